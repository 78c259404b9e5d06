"""Spoiled messages by the thousand: only errors of ours come out, each within a second, and memory stays where it was.

Time is that of the processor: other programs must not count.

10⁴ frames here, 10⁶ with `make fuzz` (ISTHMUS_FUZZ=1000000). A failure names its seed and case;
ISTHMUS_FUZZ_SEED and ISTHMUS_FUZZ_CASE replay it, with the same files in the corpus.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.config.site import Site, load_site
from engine.connectors.mllp.wire import Fault, Frame, Framer, framed
from engine.core.clock import SystemClock
from engine.core.errors import PeerError
from engine.core.limits import Limits
from engine.core.outcomes import OUTCOMES
from engine.hl7.batch import split
from engine.records.exchange import Peer
from engine.records.state import MessageState
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.writer import Writer
from tests.conftest import CORPUS, REPOSITORY
from tests.corpus.mutation import spoiled
from tests.corpus.sending import SETTINGS, body_of, files_of

SHARDS: Final = 4
FRAMES: Final = int(os.environ.get("ISTHMUS_FUZZ", "10000"))
SEED: Final = int(os.environ.get("ISTHMUS_FUZZ_SEED", random.SystemRandom().randrange(10**9)))
ONLY: Final = os.environ.get("ISTHMUS_FUZZ_CASE")
APPLIED_ONE_IN: Final = 20
TOGETHER: Final = 64
"""How many are applied at once; they share a commit."""
ROWS_PER_DATABASE: Final = 2_000
SEED_FILE_BYTES: Final = 16 * 1024
GROWTH_BYTES: Final = 384 * 1024 * 1024
NOWHERE: Final[Any] = None
"""Where nothing is written or woken: messages are read only."""
PEER: Final = Peer("his", "127.0.0.1:1")


def _seed_messages() -> list[bytes]:
    samples = [path.read_bytes() for path in sorted((REPOSITORY / "samples" / "hl7").iterdir())]
    corpus = [body_of(path) for path in files_of(CORPUS).values()] if CORPUS.is_dir() else []
    return samples * 3 + [body for body in corpus if len(body) <= SEED_FILE_BYTES]


def _cases(shard: int) -> Iterator[tuple[int, bytes, random.Random]]:
    messages = _seed_messages()
    for number in [int(ONLY)] if ONLY else range(shard, FRAMES, SHARDS):
        dice = random.Random(f"{SEED}/{number}")
        yield number, spoiled(messages, dice), dice


@contextmanager
def _said_how_to_replay(number: int, body: bytes) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"ISTHMUS_FUZZ_SEED={SEED} ISTHMUS_FUZZ_CASE={number} replays it; the frame is {body[:4000]!r}")
        raise


def _resident_bytes() -> int:
    """Return the most memory that this process ever held [bytes]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "isthmus.yaml").write_text(SETTINGS, "utf-8")
    return load_site(tmp_path, environ={})


class Applying:
    """An intake on a real database, a fresh one every few thousand messages."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._taken = 0
        migrate(sqlite_url(folder / "empty.db"))
        self.intake = self._opened()

    def _opened(self) -> MessageIntake:
        path = self._folder / f"{self._taken}.db"
        path.write_bytes((self._folder / "empty.db").read_bytes())
        limits = Limits(disk_floor_bytes=0, disk_floor_share=0.0)
        self._database = open_engine(sqlite_url(path))
        self._writer = Writer(self._database, SystemClock(), limits)
        self._writer.start()
        blobs = FolderStore(self._folder / "blobs", limits)
        return MessageIntake(
            site=lambda: self._site, writer=self._writer, blobs=blobs, wake=lambda _name: None, limits=limits
        )

    async def take(self, bodies: list[bytes]) -> None:
        """Take messages that share a commit; none of them may be a defect of ours, and each answer is framed."""
        peers = [Peer("his", f"127.0.0.1:{port}") for port in range(len(bodies))]
        replies = await asyncio.gather(*map(self.intake.accept, bodies, peers))
        assert self.intake.counts[MessageState.DEAD.value] == 0
        assert all(frame.startswith((b"MSH", b"BHS")) for reply in replies for frame in reply.frames)
        self._taken += len(bodies)
        if self._taken % ROWS_PER_DATABASE < len(bodies):
            await self.close()
            self.intake = self._opened()

    async def close(self) -> None:
        await self._writer.stop()
        self._database.dispose()


@pytest.mark.parametrize("shard", range(1 if ONLY else SHARDS))
async def test_only_errors_of_ours_come_out_soon(site: Site, tmp_path: Path, shard: int) -> None:
    applying = Applying(site, tmp_path)
    waiting: list[tuple[int, bytes]] = []
    held = 0
    for number, body, dice in _cases(shard):
        begun = time.thread_time()
        with _said_how_to_replay(number, body):
            taken = [frame for frame in _framed_and_cut(body, dice) if _is_read(applying.intake, frame, site)]
            assert time.thread_time() - begun < 1
        if taken and (number // SHARDS % APPLIED_ONE_IN == 0 or ONLY):
            waiting.append((number, taken[0]))
        if len(waiting) == TOGETHER:
            await _apply(applying, waiting)
            held = held or _resident_bytes()
    await _apply(applying, waiting)
    await applying.close()

    assert ONLY or _resident_bytes() - held < GROWTH_BYTES


HEAD: Final = b"MSH|^~\\&|HIS|HOSP|I|R|2026||ORM^O01|1|P|2.5\rPID|1||%s||%s\rPV1|1|O||||||%s\r"
ORDER: Final = b"ORC|NW|1\rOBR|1|1||%s\r"
PLAIN: Final = HEAD % (b"1", b"A^B", b"") + ORDER % b"C^D"
LONG_BYTES: Final = 100_000
SHAPES: Final = {
    "CR": (PLAIN, b"\r"),
    "LF as data": (PLAIN, b"\nx"),
    "LF and blanks": (PLAIN, b"\n "),
    "batch of heads": (b"", b"MSH|^~\\&|\r"),
    "start blocks": (b"", b"\x0b"),
    "end blocks": (b"", b"\x1cx"),
    "fields": (b"MSH|^~\\&", b"|"),
    "identifiers": (HEAD.partition(b"%s")[0], b"1~"),
    "components": (HEAD.partition(b"%s")[0], b"1^"),
    "subcomponents": (HEAD.partition(b"%s")[0], b"1&"),
    "names": (HEAD.partition(b"%s||%s")[0] + b"1||", b"A^B~"),
    "attending": (HEAD.rpartition(b"%s")[0] % (b"1", b"A^B"), b"1^A~"),
    "escapes": (PLAIN[:-2], b"\\"),
    "hexadecimal": (PLAIN[:-2], b"\\X41\\"),
    "designations": (PLAIN[:-2] + b"\\M2442\\", b"0!\\.br\\"),
    "spaces": (PLAIN[:-2], b"\\.sp99\\"),
    "marks": (PLAIN[:-2] + b"e", "\u0301\u0323".encode()),
    "escaped marks": (PLAIN[:-2] + b"e", b"\\XCC81\\"),
    "notes": (PLAIN, b"NTE|1||x\r"),
    "observations": (PLAIN, b"OBX|1|ST|1^1||1\r"),
    "wrapped observation": (PLAIN + b"OBX|1|ED|1^1||^^PDF^Base64^QUJD\r", b"AA\r"),
    "timings": (PLAIN, b"TQ1|1\r"),
    "steps": (PLAIN, b"IPC|1|1|1.2|1|CT\r"),
    "requests": (PLAIN, b"OBR|1|1\r"),
    "orders": (PLAIN, b"ORC|NW\rOBR|1\r"),
}
"""What a long message may consist of: how it begins, and what then comes again and again."""


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_a_long_message_takes_long(site: Site, shape: str) -> None:
    begin, again = SHAPES[shape]
    body = begin + again * (LONG_BYTES // len(again)) + b"\r"
    intake = MessageIntake(site=lambda: site, writer=NOWHERE, blobs=NOWHERE, wake=NOWHERE, limits=Limits())

    begun = time.thread_time()
    for frame in _framed_and_cut(body, random.Random(shape)):
        _is_read(intake, frame, site)
    assert time.thread_time() - begun < 1


async def _apply(applying: Applying, waiting: list[tuple[int, bytes]]) -> None:
    try:
        await applying.take([body for _, body in waiting])
    except Exception as error:
        error.add_note(f"one of ISTHMUS_FUZZ_SEED={SEED} ISTHMUS_FUZZ_CASE={[number for number, _ in waiting]}")
        raise
    waiting.clear()


def _framed_and_cut(body: bytes, dice: random.Random) -> Iterator[bytes]:
    """Frame a body, cut the stream anywhere, and yield the bodies that come out of it again."""
    stream = framed(body)
    cuts = sorted(dice.randint(0, len(stream)) for _ in range(dice.choice((0, 1, 1, 5))))
    framer = Framer(limit_bytes=1 << 20, end_block=dice.choice(("strict", "lenient")))
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        for event in framer.feed(stream[begin:end]):
            if isinstance(event, Frame):
                yield event.body
            else:
                _is_ours(event)
    for event in framer.finish():
        if isinstance(event, Fault):
            _is_ours(event)


def _is_ours(fault: Fault) -> None:
    assert isinstance(fault.error, PeerError)
    assert fault.error.code in OUTCOMES


def _is_read(intake: MessageIntake, frame: bytes, site: Site) -> bool:
    """Read a frame as the intake does before it decides; a refusal has a code and a place or words."""
    pieces = split(frame)
    for piece in pieces:
        read = intake._read(piece, PEER, site)
        assert read.body == piece
        if read.error is not None:
            assert read.error.code in OUTCOMES
            assert read.error.where or read.error.text
    return True
