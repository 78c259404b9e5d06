"""Frames on a byte stream: `0B` body `1C 0D`. No input, no output, no clock.

Source: HL7 Transport Specification: MLLP, Release 1; deviations as in spec/hl7.md section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from engine.connectors.mllp.errors import (
    EndBlockBroken,
    FrameEmpty,
    FrameRestarted,
    FrameTooLong,
    FrameUnfinished,
    TooMuchJunk,
)
from engine.core.errors import PeerError

START: Final = b"\x0b"
END: Final = b"\x1c"
_START: Final = 0x0B
_CR: Final = 0x0D
_HEADERS: Final = (b"MSH", b"FHS", b"BHS")
_COMMIT_BLOCKS: Final = (b"\x06", b"\x15")
"""MLLP Release 2 acknowledgement and its opposite; recognised and skipped."""
_BLANK: Final = b" \t\r\n\0"

EndBlock = Literal["strict", "lenient"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A complete body."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is no frame.

    `answer`: the peer is told, and `body` is kept. `close`: nothing on this stream can be trusted any more.
    """

    error: PeerError
    body: bytes = b""
    answer: bool = False
    close: bool = False


class _State(Enum):
    IDLE = auto()
    INSIDE = auto()
    ENDING = auto()
    """The last byte was 1C."""
    CLOSED = auto()


class Framer:
    """Cuts a byte stream into MLLP frames; one instance per connection.

    Args:
        limit_bytes: Longest body.
        junk_bytes: Most bytes between two frames.
        end_block: `lenient` takes a message that ends in CR although 1C is not followed by 0D.
        allow_unframed: Takes what begins with MSH, FHS or BHS outside a frame; it ends at 1C 0D, at the next 0B, at the
            end of the stream, or when the caller says so with `gap`.
        accept_eof_as_end: Takes a message that ends in CR when the stream ends before the end block.
    """

    __slots__ = (
        "_accept_eof_as_end",
        "_allow_unframed",
        "_between",
        "_body",
        "_end_block",
        "_junk_bytes",
        "_limit_bytes",
        "_state",
        "_unframed",
        "begun",
    )

    def __init__(
        self,
        *,
        limit_bytes: int,
        junk_bytes: int = 1024,
        end_block: EndBlock = "strict",
        allow_unframed: bool = False,
        accept_eof_as_end: bool = False,
    ) -> None:
        self._allow_unframed = allow_unframed
        self._accept_eof_as_end = accept_eof_as_end
        self._unframed = False
        self._limit_bytes = limit_bytes
        self._junk_bytes = junk_bytes
        self._end_block = end_block
        self._state = _State.IDLE
        self._body = bytearray()
        self._between = bytearray()
        self.begun = 0
        """How many frames have begun; tells one open frame from the next."""

    @property
    def is_open(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._state is _State.INSIDE or self._state is _State.ENDING

    @property
    def is_unframed(self) -> bool:
        """Whether the open frame is none: a message without start block."""
        return self._unframed and self.is_open

    @property
    def open_bytes(self) -> int:
        """How much of an unfinished frame is held [bytes]."""
        return len(self._body)

    def feed(self, chunk: bytes) -> Iterator[Frame | Fault]:
        """Take the next bytes of the stream and yield what they complete, in order.

        The iterator must be exhausted before the next chunk is fed. After a fault with `close` nothing follows.
        Cost: linear; bytes of earlier chunks are not looked at again.
        """
        position, length = 0, len(chunk)
        while position < length:
            if self._state is _State.INSIDE:
                end = chunk.find(END, position)
                stop = end if end >= 0 else length
                following = chunk.find(START, position, stop) if self._unframed else -1
                if following >= 0:
                    stop = following
                restart = chunk.rfind(START, position, stop)
                if restart >= 0:
                    yield Fault(FrameRestarted(received=len(self._body) + restart - position))
                    self._body.clear()
                    self.begun += 1
                    position = restart + 1
                if len(self._body) + stop - position > self._limit_bytes:
                    yield self._too_long(chunk[position:stop])
                    return
                if following >= 0:
                    self._body += chunk[position:following]
                    position = following + 1
                    self.begun += 1
                    self._unframed = False
                    yield from _delivered(self._taken())
                    continue
                if end >= 0 and not self._body and chunk[end + 1 : end + 2] == b"\r":
                    self._state = _State.IDLE
                    yield from _delivered(chunk[position:end])
                    position = end + 2
                    continue
                self._body += chunk[position:stop]
                position = stop
                if end >= 0:
                    self._state = _State.ENDING
                    position += 1
            elif self._state is _State.IDLE:
                start = chunk.find(START, position)
                stop = start if start >= 0 else length
                self._unframed = False
                if self._allow_unframed and (begin := self._unframed_from(chunk, position, stop)) is not None:
                    position = begin
                    continue
                if stop > position and self._is_junk(chunk, position, stop):
                    self._close()
                    yield Fault(TooMuchJunk(limit=self._junk_bytes), close=True)
                    return
                position = stop
                if start >= 0:
                    self._between.clear()
                    self._state = _State.INSIDE
                    self.begun += 1
                    position += 1
            elif self._state is _State.ENDING:
                byte = chunk[position]
                if byte in (_CR, _START):
                    position += 1
                    self._state = _State.IDLE if byte == _CR else _State.INSIDE
                    self._unframed = False
                    self.begun += byte != _CR
                    yield from _delivered(self._taken())
                else:
                    yield from self._ended_otherwise()
            else:
                return

    def finish(self) -> Iterator[Frame | Fault]:
        """Take the end of the stream."""
        if self._state is _State.INSIDE:
            if self._unframed or (self._accept_eof_as_end and _looks_whole(self._body)):
                yield from _delivered(self._taken())
            else:
                yield Fault(FrameUnfinished(received=len(self._body)), close=True)
        elif self._state is _State.ENDING:
            yield from self._ended_otherwise()
        self._close()

    def gap(self) -> Iterator[Frame | Fault]:
        """Take note that nothing has come for a while: a message without frame ends here."""
        if self._unframed and self._state is _State.INSIDE:
            self._state = _State.IDLE
            yield from _delivered(self._taken())

    def _ended_otherwise(self) -> Iterator[Frame | Fault]:
        """Settle a frame whose 1C is followed by neither 0D nor 0B."""
        body = self._taken()
        if self._end_block == "lenient" and _looks_whole(body):
            self._state = _State.IDLE
            yield Frame(body)
        else:
            self._close()
            yield Fault(EndBlockBroken(), body, answer=True, close=True)

    def _too_long(self, rest: bytes) -> Fault:
        body = self._taken() + rest[: self._limit_bytes]
        self._close()
        return Fault(FrameTooLong(limit=self._limit_bytes), body[: self._limit_bytes], answer=True, close=True)

    def _unframed_from(self, chunk: bytes, start: int, stop: int) -> int | None:
        """Open a message without frame, when one begins between two frames; return where to go on in `chunk`."""
        between = len(self._between)
        seen = bytes(self._between) + chunk[start:stop]
        message = seen.lstrip(_BLANK)
        if not message.startswith(_HEADERS):
            return None
        blank = len(seen) - len(message)
        self._body += seen[blank:between]
        self._between.clear()
        self._state = _State.INSIDE
        self._unframed = True
        self.begun += 1
        return start + max(blank - between, 0)

    def _is_junk(self, chunk: bytes, start: int, stop: int) -> bool:
        """Count bytes between frames; say whether they are too many or a message without start block."""
        if len(self._between) + stop - start > self._junk_bytes:
            return True
        self._between += chunk[start:stop]
        return self._between.lstrip(_BLANK).startswith(_HEADERS)

    def _taken(self) -> bytes:
        body = bytes(self._body)
        self._body.clear()
        return body

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._body = bytearray()
        self._between.clear()


def _looks_whole(body: bytes | bytearray) -> bool:
    return body.lstrip(_BLANK).startswith(b"MSH") and body.endswith(b"\r")


def _delivered(body: bytes) -> Iterator[Frame | Fault]:
    if body in _COMMIT_BLOCKS:
        return
    if body.strip(_BLANK):
        yield Frame(body)
    else:
        yield Fault(FrameEmpty(), body, answer=True)


def framed(body: bytes) -> bytes:
    """Return `body` as a block on the wire."""
    return b"\x0b" + body + b"\x1c\r"
