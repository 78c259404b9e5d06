"""Several messages in one body: batches with FHS, BHS, BTS, FTS, and messages merely put one behind the other.

Works on bytes: CR and LF are never part of a two-byte character in the sets of table 0211, and each message may be in
its own set.
Source: HL7 v2.5.1 chapter 2.10.3 (batch protocol), 2.15.2 (BHS), 2.15.3 (BTS), 2.15.6 (FHS), 2.15.7 (FTS).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.hl7.charset import BOM
from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.terminator import BLANK_BYTES

_START: Final = re.compile(
    rb"(?:\A(?:\xef\xbb\xbf)?|(?<=[\r\n]))[ \t\0\v\x1c]*(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s\0])"
)
_HEADS: Final = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")
_LINE_END: Final = re.compile(rb"[\r\n]|\Z")
_FILL: Final = BLANK_BYTES + BOM


@dataclass(frozen=True, slots=True)
class Batch:
    """A body taken apart. `messages` are slices of it, byte for byte, in order.

    A piece that belongs to no MSH is a message too: it will be refused, but it does not vanish.
    """

    messages: tuple[bytes, ...]
    envelope: tuple[bytes, ...] = ()
    """FHS, BHS, BTS and FTS segments in order."""

    @property
    def control_id(self) -> str:
        """BHS-11 of the first batch header, "" when there is none."""
        return self._field(b"BHS", 10)

    @property
    def declared_count(self) -> int | None:
        """Sum of BTS-1 over all batches, None when not all of them say."""
        counts = [_field_of(segment, 1) for segment in self.envelope if segment[:3] == b"BTS"]
        return sum(map(int, counts)) if counts and all(c.isdecimal() and len(c) < 10 for c in counts) else None

    @property
    def disagreements(self) -> tuple[str, ...]:
        """What its counts say otherwise than what it holds, in words; () when they agree or are left out."""
        said = []
        if self.declared_count not in (None, len(self.messages)):
            said.append(f"BTS-1 says {self.declared_count} messages, the batch holds {len(self.messages)}")
        batches = sum(segment[:3] == b"BHS" for segment in self.envelope)
        stated = next((_field_of(segment, 1) for segment in self.envelope if segment[:3] == b"FTS"), "")
        if stated.isdecimal() and len(stated) < 10 and int(stated) != batches:
            said.append(f"FTS-1 says {int(stated)} batches, the file holds {batches}")
        return tuple(said)

    def _field(self, name: bytes, index: int) -> str:
        return next((_field_of(segment, index) for segment in self.envelope if segment[:3] == name), "")


def read_batch(raw: bytes) -> Batch:
    """Take a body apart. A body that is one message comes back as that very object."""
    if raw.startswith(b"MSH") and not any(raw.find(name, 3) >= 0 for name in _HEADS):
        return Batch((raw,))  # the usual body, ten times as fast as the search below
    starts = list(_START.finditer(raw))
    if len(starts) <= 1 and (not starts or starts[0][1] == b"MSH") and not raw[: _first(starts)].strip(_FILL):
        return Batch((raw,))
    messages: list[bytes] = []
    envelope: list[bytes] = []
    _keep(messages, raw[: starts[0].start()])
    for found, following in zip(starts, [*starts[1:], None], strict=True):
        end = following.start() if following else len(raw)
        if found[1] == b"MSH":
            _keep(messages, raw[found.start(1) : end])
            continue
        line_end = _LINE_END.search(raw, found.start(1), end)
        cut = line_end.start() if line_end else end
        envelope.append(raw[found.start(1) : cut])
        _keep(messages, raw[cut:end])
    return Batch(tuple(messages), tuple(envelope))


def split(raw: bytes) -> list[bytes]:
    """Return the messages of a body, byte for byte; the envelope of a batch is left out.

    An empty body gives one empty message, an envelope without messages none.
    """
    return list(read_batch(raw).messages)


def build_batch_answer(batch: Batch, answers: Sequence[bytes], *, control_id: str, time: str) -> bytes:
    """Return the answers to the messages of a batch as one batch: BHS-12 names the batch that is answered.

    Args:
        batch: What was received.
        answers: Acknowledgements in order, each ended by CR.
        control_id: BHS-11 of the answer.
        time: BHS-7, HL7 TS text.
    """
    escape = DEFAULT_DELIMITERS.escape
    head = f"BHS|^~\\&|||||{time}||||{escape(control_id)}|{escape(batch.control_id)}".rstrip("|")
    return b"".join([head.encode(), b"\r", *answers, f"BTS|{len(answers)}\r".encode()])


def _first(starts: list[re.Match[bytes]]) -> int:
    return starts[0].start() if starts else 0


def _keep(messages: list[bytes], piece: bytes) -> None:
    if piece.strip(_FILL):
        messages.append(piece)


def _field_of(segment: bytes, index: int) -> str:
    fields = segment.split(segment[3:4])
    return fields[index].decode("latin_1").strip() if index < len(fields) else ""
