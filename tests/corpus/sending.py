"""Sends a file of the corpus to a real listener in front of an empty database, and tells what became of it.

The listener is the shipped site's, except that it takes test and debugging messages too (MSH-11 T and D): half of the
corpus is such.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.config.site import Site, load_site
from engine.connectors.mllp.server import MllpServer
from engine.connectors.mllp.wire import framed
from engine.core.clock import SystemClock
from engine.core.limits import Limits
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.writer import Writer

SETTINGS: Final = "listeners: {mllp: {his: {port: 0, processing_ids: [P, T, D]}}}\n"
ANSWERED_WITHIN_S: Final = 60.0
_FRAME_END: Final = b"\x1c"
_FRAMING: Final = b"\x0b\x1c \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the journal."""

    body: bytes
    answers: tuple[bytes, ...]
    """What was answered to it."""
    message_type: str
    state: str
    code: str
    place: str
    text: str
    events: int
    """How many things happened because of it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One file, what came back on the connection, and what the journal then holds."""

    body: bytes
    answers: tuple[bytes, ...]
    kept: tuple[Kept, ...]
    seconds: float
    """From the first byte out to the last byte in [s]."""
    serves_on: bool
    """Whether the listener still answers the next sender."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What sending needs, made once: the site and a database without a row."""

    site: Site
    empty: Path

    @classmethod
    def made_in(cls, folder: Path) -> Bench:
        """Return a bench whose files are in `folder`."""
        (folder / "site").mkdir()
        (folder / "site" / "isthmus.yaml").write_text(SETTINGS, "utf-8")
        migrate(sqlite_url(folder / "empty.db"))
        return cls(load_site(folder / "site", environ={}), folder / "empty.db")

    async def send(self, body: bytes, folder: Path) -> Sent:
        """Send one frame to a listener of its own; `folder` is empty and gets its database and blobs."""
        shutil.copyfile(self.empty, folder / "x.db")
        database = open_engine(sqlite_url(folder / "x.db"))
        limits = Limits(disk_floor_bytes=0, disk_floor_share=0.0)
        writer, blobs = Writer(database, SystemClock(), limits), FolderStore(folder / "blobs", limits)
        writer.start()
        intake = MessageIntake(
            site=lambda: self.site, writer=writer, blobs=blobs, wake=lambda _name: None, limits=limits
        )
        server = MllpServer(name="his", host="127.0.0.1", port=0, intake=intake, limits=limits)
        await server.start()
        try:
            begun = time.perf_counter()
            answers = await _answers(server.port, framed(body))
            seconds = time.perf_counter() - begun
            alive = await _answers(server.port, framed(b"GARBAGE FROM A TERMINAL"))
        finally:
            await server.stop()
            await writer.stop()
        with database.connect() as connection:
            rows = connection.execute(select(table.message).order_by(table.message.c.id)).mappings().all()
            causes = Counter(connection.execute(select(table.event.c.cause_id)).scalars())
        database.dispose()
        kept = [_kept(row, blobs, causes[row["id"]]) for row in rows]
        return Sent(body, answers, tuple(kept[:-1]), seconds, serves_on=len(kept) > 0 and len(alive) == 1)


def _kept(row: Any, blobs: FolderStore, events: int) -> Kept:
    return Kept(
        body=row["body"] if row["body"] is not None else blobs.read(row["body_blob"]),
        answers=tuple(frame for frame in (row["answer"] or b"").split(_FRAME_END) if frame),
        message_type=row["message_type"],
        state=row["state"],
        code=row["code"],
        place=row["place"],
        text=row["text"],
        events=events,
    )


async def _answers(port: int, stream: bytes) -> tuple[bytes, ...]:
    """Send a stream, end our side, and return the frames that come back before the other side ends too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(stream)
    writer.write_eof()
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    frames = received.split(b"\x1c\r")
    assert frames.pop() == b"", "the listener ended inside a frame"
    return tuple(frame.removeprefix(b"\x0b") for frame in frames)


def body_of(path: Path) -> bytes:
    """Return what a sender would frame: the file; of a capture with its framing still there, what is inside it."""
    raw = path.read_bytes()
    if b"\x0b" in raw or b"\x1c" in raw:
        return raw.strip(_FRAMING) + b"\r"
    return raw


def files_of(corpus: Path) -> dict[str, Path]:
    """Return the HL7 files of the corpus by their name below hl7/, sorted."""
    folder = corpus / "hl7"
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
