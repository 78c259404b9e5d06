"""The lazy view of a message: bytes are decoded and cut into segments, fields are split when somebody asks.

Nothing is dropped: every segment stays visible in order, Z segments and unreadable lines included, and the bytes as
received are kept. One ORM of 1 KB costs a few microseconds.
Source: HL7 v2.5.1 chapter 2.5 (messages, segments, fields), 2.15.9 (MSH).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from engine.hl7.charset import BOM, codecs_of, decode, is_undeclared
from engine.hl7.delimiter import Delimiters
from engine.hl7.errors import HeadIncomplete, NotAMessage
from engine.hl7.location import parse_path
from engine.hl7.structure import infer_structure, infer_trigger
from engine.hl7.terminator import BLANK_BYTES, cut_lines

HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})
"""Segments whose first field is the field separator itself."""

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_WRAPPED: Final = "OBX"
"""The segment whose field senders break with CR: a line behind it that is no segment goes on with it."""
_HEAD_BYTES: Final = 4096
_CHARSET_FIELDS: Final = range(17, 23)


class Segment:
    """One segment of a message. Fields are split at the first question."""

    __slots__ = ("_fields", "_separator", "name", "occurrence", "text")

    def __init__(self, text: str, separator: str, name: str, occurrence: int) -> None:
        self.text = text
        """The segment as it stands, without its terminator."""
        self.name = name
        """Three upper-case characters; empty for a line that is no segment."""
        self.occurrence = occurrence
        """Which one of its name this is, from 1."""
        self._separator = separator
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"Segment({self.name!r}, occurrence={self.occurrence}, characters={len(self.text)})"

    @property
    def fields(self) -> list[str]:
        """The segment cut at its field separator; element 0 is the name. Not shifted for MSH."""
        if self._fields is None:
            self._fields = self.text.split(self._separator)
        return self._fields

    @property
    def length(self) -> int:
        """Number of the last field that is there."""
        return len(self.fields) - (0 if self.name in HEADERS else 1)

    def field(self, number: int) -> str | None:
        """Return the raw text of field `number` (from 1); None when it is beyond the last, "" when empty.

        MSH-1, BHS-1 and FHS-1 are the field separator itself.
        """
        fields = self._fields
        if fields is None:
            fields = self._fields = self.text.split(self._separator)
        if self.name in HEADERS:
            if number == 1:
                return self._separator
            number -= 1
        if 0 < number < len(fields):
            return fields[number]
        return None


class Message:
    """A message as received. Make one with `parse`."""

    __slots__ = ("_by_name", "_lines", "_segments", "_type", "charset", "delimiters", "raw", "text")

    def __init__(self, raw: bytes, text: str, charset: str, delimiters: Delimiters, lines: list[str]) -> None:
        self.raw = raw
        """The bytes as received."""
        self.text = text
        """The bytes decoded, NFC, terminators as received."""
        self.charset = charset
        """Python codec that read the bytes."""
        self.delimiters = delimiters
        self._lines = lines
        self._segments: list[Segment] | None = None
        self._by_name: dict[str, list[Segment]] = {}
        self._type: str | None = None

    def __repr__(self) -> str:
        return f"Message(bytes={len(self.raw)}, segments={len(self._lines)})"

    @classmethod
    def parse(cls, raw: bytes, *, default_charset: str | None = None) -> Message:
        """Return the view of one message.

        Args:
            raw: The body of a frame or a file; segment terminators may be CR, LF, CRLF or mixed.
            default_charset: Set of the listener (name of table 0211) where MSH-18 says nothing usable.

        Raises:
            NotAMessage: HL7-101.
            UndecodableBytes: HL7-102.
        """
        text, charset = decode(raw, _declared_charset(raw), default_charset)
        lines = cut_lines(text)
        if not lines:
            raise NotAMessage
        head = lines[0]
        if head[:3].upper() != "MSH" or len(head) < 4:
            raise NotAMessage
        separator = head[3]
        delimiters = Delimiters.of(separator, head[4:].partition(separator)[0], charset)
        return cls(raw, text, charset, delimiters, lines)

    @property
    def segments(self) -> list[Segment]:
        """All segments in order."""
        if self._segments is None:
            self._segments = self._cut()
        return self._segments

    def _cut(self) -> list[Segment]:
        separator = self.delimiters.field_separator
        by_name = self._by_name
        segments: list[Segment] = []
        wrapped: list[str] = []
        for line in self._lines:
            name = _segment_name(line[:4], separator)
            if not name and segments and segments[-1].name == _WRAPPED and line[0] != separator:
                wrapped.append(line)
                continue
            if wrapped:
                _go_on(segments[-1], wrapped)
            same = by_name.get(name)
            if same is None:
                segment = Segment(line, separator, name, 1)
                by_name[name] = [segment]
            else:
                segment = Segment(line, separator, name, len(same) + 1)
                same.append(segment)
            segments.append(segment)
        if wrapped:
            _go_on(segments[-1], wrapped)
        return segments

    @property
    def by_name(self) -> Mapping[str, list[Segment]]:
        """The segments of each name in order; those of "" are the lines that are no segments."""
        if self._segments is None:
            self._segments = self._cut()
        return self._by_name

    @property
    def normalised(self) -> str:
        """The message with every segment ended by one CR."""
        return "".join(f"{line}\r" for line in self._lines)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of `name`, None when there is none."""
        if self._segments is None:
            self._segments = self._cut()
        found = self._by_name.get(name)
        return found[0] if found else None

    def named(self, name: str) -> list[Segment]:
        """Return all segments of `name` in order."""
        if self._segments is None:
            self._segments = self._cut()
        return self._by_name.get(name, [])

    def get(self, path: str) -> str | None:
        """Return the unescaped text at `path`, such as `PID-3.4.2` or `OBX[2]-5`; None when it is absent.

        The first repetition is meant unless the path says otherwise; without a component, the repetition as a whole.

        Raises:
            ValueError: `path` is not a path.
        """
        place = parse_path(path)
        same = self.named(place.segment)
        if len(same) < place.occurrence:
            return None
        segment = same[place.occurrence - 1]
        raw = segment.text if place.field is None else segment.field(place.field)
        if raw is None or place.field is None:
            return raw
        if place.field <= 2 and segment.name in HEADERS:
            return raw
        delimiters = self.delimiters
        repetition = place.repetition or 1
        repetitions = delimiters.repetitions(raw) or [""]
        if len(repetitions) < repetition:
            return None
        raw = repetitions[repetition - 1]
        if place.component is not None:
            raw = delimiters.component(raw, place.component)
            if raw is not None and place.subcomponent is not None:
                raw = delimiters.subcomponent(raw, place.subcomponent)
        return None if raw is None else delimiters.unescape(raw)

    def _head(self, field: int) -> str:
        return self.segments[0].field(field) or ""

    def _head_component(self, field: int, component: int) -> str:
        raw = self.delimiters.component(self._head(field), component)
        return self.delimiters.unescape(raw).strip() if raw else ""

    @property
    def type(self) -> str:
        """MSH-9.1, such as `ORM`; "" when absent."""
        if self._type is None:
            self._type = self._head_component(9, 1)
        return self._type

    @property
    def trigger(self) -> str:
        """MSH-9.2, such as `O01`; inferred for the types that had only one."""
        return self._head_component(9, 2) or infer_trigger(self.type)

    @property
    def structure(self) -> str:
        """MSH-9.3, such as `ORM_O01`; inferred from type and trigger where the sender leaves it out."""
        return self._head_component(9, 3) or infer_structure(self.type, self.trigger)

    @property
    def control_id(self) -> str:
        """MSH-10 verbatim, escapes included."""
        return self._head(10)

    @property
    def processing_id(self) -> str:
        """MSH-11.1: P, T or D."""
        return self._head_component(11, 1)

    @property
    def processing_mode(self) -> str:
        """MSH-11.2: A archive, R restore, I initial load, T current; "" when absent. Source: table 0207."""
        return self._head_component(11, 2)

    @property
    def is_part(self) -> bool:
        """Whether this is one part of a message: it goes on in another one (DSC-1), or goes on with one (ADD).

        MSH-14 alone does not count: some senders fill it although their messages are whole.
        Source: HL7 v2.5.1 chapter 2.10.2.
        """
        if self.first("ADD") is not None:
            return True
        following = self.first("DSC")
        return following is not None and bool(following.field(1))

    @property
    def version(self) -> str:
        """MSH-12.1 as it stands; see `version.nearest_version`."""
        return self._head_component(12, 1)

    @property
    def declared_charset(self) -> str:
        """MSH-18 as it stands."""
        return self._head(18)

    @property
    def sender(self) -> tuple[str, str]:
        """Sending application and facility: the namespace of MSH-3 and MSH-4, else their universal id."""
        return self._party(3), self._party(4)

    @property
    def receiver(self) -> tuple[str, str]:
        """Receiving application and facility: the namespace of MSH-5 and MSH-6, else their universal id."""
        return self._party(5), self._party(6)

    def _party(self, field: int) -> str:
        return self._head_component(field, 1) or self._head_component(field, 2)


def _go_on(segment: Segment, lines: list[str]) -> None:
    """Put lines behind a segment, at once: one by one they would cost the square of their number."""
    segment.text = "\r".join((segment.text, *lines))
    lines.clear()


@lru_cache(maxsize=1024)
def _segment_name(start: str, separator: str) -> str:
    """Return the name of a segment from its first four characters, "" for a line that is none."""
    name = start[:3].upper()
    return name if start[3:] in {"", separator} and _NAME.fullmatch(name) else ""


def read_head(raw: bytes) -> Message | None:
    """Return a view of the MSH segment alone, byte by byte, for answering what cannot be read as a whole.

    None when not even MSH can be read. Its charset is Latin-1, so that values go back as they came.
    """
    start = raw.find(b"MSH")
    if start < 0 or raw[:start].strip(BLANK_BYTES + BOM):
        return None
    line = cut_lines(raw[start : start + _HEAD_BYTES].decode("latin_1"))[0]
    try:
        delimiters = Delimiters.of(line[3:4], line[4:].partition(line[3:4] or "|")[0], "latin_1")
    except NotAMessage:
        return None
    return Message(raw, line, "latin_1", delimiters, [line])


def check_head(message: Message) -> None:
    """Confirm that a message says what it is and what it is called.

    Raises:
        HeadIncomplete: HL7-103, MSH-9 or MSH-10 is missing. An answer can still be built.
    """
    if not message.type:
        raise HeadIncomplete(field=9)
    if not message.control_id.strip():
        raise HeadIncomplete(field=10)


def _declared_charset(raw: bytes) -> str:
    """Read MSH-18 before anything is decoded, "" where it cannot be read."""
    start = 0
    if raw[:3] != b"MSH":
        start = len(raw) - len(raw.removeprefix(BOM).lstrip(BLANK_BYTES).removeprefix(BOM))
        if raw[start : start + 3].upper() != b"MSH":
            raise NotAMessage
    separator = raw[start + 3 : start + 4]
    if not separator:
        raise NotAMessage
    ends = [end for end in (raw.find(b"\r", start), raw.find(b"\n", start)) if end >= 0]
    fields = raw[start : min(ends, default=len(raw))].split(separator, 23)
    if len(fields) <= _CHARSET_FIELDS.start:
        return ""
    declared = fields[_CHARSET_FIELDS.start].decode("latin_1")
    if raw.isascii() or codecs_of(declared.partition("~")[0]):
        return declared
    # A two-byte character in front may hold the separator's value and shift the count.
    if is_undeclared(declared):
        for index in _CHARSET_FIELDS[1:]:
            shifted = fields[index].decode("latin_1") if index < len(fields) else ""
            if any(codec.startswith(("shift_jis", "gb18030", "big5", "iso2022")) for codec in codecs_of(shifted)):
                return shifted
    return declared
