"""A received message sent on with some fields changed: everything else stays as it came, byte for byte.

Segments that nobody knows, delimiters of the sender's own, terminators and escapes included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from engine.hl7.charset import BOM, hl7_name, writing_codec
from engine.hl7.delimiter import DEFAULT_DELIMITERS, Delimiters
from engine.hl7.errors import UnencodableText
from engine.hl7.location import Location
from engine.hl7.message import HEADERS, Message, Segment
from engine.hl7.terminator import cut_lines
from engine.hl7.transliteration import transliterate
from engine.mapping.outgoing import AS_MAPPED, Assignment, Dialect

_BYTEWISE = ("ascii", "utf_8", "iso8859_", "cp125", "latin_1")
"""Codecs in which the bytes of delimiters stand for nothing else."""
_TERMINATORS = re.compile(r"[\r\n]+")
_VIEW = "latin_1"
"""Shows every byte as one character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be different about a message."""

    assignments: tuple[Assignment, ...] = ()
    emptied: tuple[Location, ...] = ()
    """Fields that are sent empty."""
    new_control_id: bool = False
    """Whether MSH-7 and MSH-10 are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A message and what is different about it."""

    source: Message
    changes: Changes = Changes()

    def control_id(self, ours: str) -> str:
        """Return the MSH-10 that the message goes out with."""
        return ours if self.changes.new_control_id else self.source.control_id

    def render(self, *, control_id: str, now: datetime, dialect: Dialect = AS_MAPPED) -> bytes:
        """Return the message; the same control id, time and dialect give the same bytes.

        Args:
            control_id: MSH-10, where it is to be a new one.
            now: MSH-7, likewise.
            dialect: The ways of the receiver; text is written anew only where its charset is another one.

        Raises:
            UnencodableText: HL7-102, a value does not fit the character set.
        """
        codec = self.source.charset if dialect.charset is None else writing_codec(dialect.charset)
        writer = _Writer(self.source, codec, transliterates=dialect.transliterate)
        for place in self.changes.emptied:
            writer.set(place, "")
        for assignment in self.changes.assignments:
            text = assignment.text
            if assignment.is_raw:
                writer.set(assignment.place, _redelimited(text, self.source.delimiters))
            else:
                writer.set(assignment.place, self.source.delimiters.escape(text))
        for place, value in self._head(control_id, now, dialect):
            writer.set(place, self.source.delimiters.escape(value))
        return writer.written()

    def _head(self, control_id: str, now: datetime, dialect: Dialect) -> list[tuple[Location, str]]:
        said: list[tuple[Location, str | None]] = [
            (Location("MSH", 1, 5), dialect.application),
            (Location("MSH", 1, 6), dialect.facility),
            (Location("MSH", 1, 12, 1, 1), dialect.version),
            (Location("MSH", 1, 18), dialect.charset),
        ]
        if self.changes.new_control_id:
            said.append((Location("MSH", 1, 7), now.strftime("%Y%m%d%H%M%S%z")))
            said.append((Location("MSH", 1, 10), control_id))
        return [(place, value) for place, value in said if value is not None]


class _Writer:
    """Changes fields in the text of a message, or, where its character set allows, in a view of its bytes."""

    def __init__(self, source: Message, codec: str, *, transliterates: bool) -> None:
        self._source = source
        self._codec = codec
        self._transliterates = transliterates
        self._mark = BOM if source.raw.startswith(BOM) else b""
        self._text = source.raw[len(self._mark) :].decode(_VIEW)
        self._segments = Message(source.raw, self._text, _VIEW, source.delimiters, cut_lines(self._text)).segments
        # A byte that only the view takes for a blank could part or join lines.
        same_segments = [each.name for each in self._segments] == [each.name for each in source.segments]
        self._is_view = same_segments and codec == source.charset and codec.startswith(_BYTEWISE)
        if not self._is_view:
            self._text, self._segments = source.text, source.segments
        self._changed: dict[tuple[str, int], list[str]] = {}
        self._added: list[tuple[str, int]] = []

    def set(self, place: Location, raw: str) -> None:
        """Set a field, or a part of it, to text that is escaped already."""
        if self._transliterates:
            raw = transliterate(raw, self._codec)
        self._check(raw, place)
        if self._is_view:
            raw = raw.encode(self._codec).decode(_VIEW)
        fields = self._fields(place.segment, place.occurrence)
        index = (place.field or 0) - (1 if place.segment in HEADERS else 0)
        fields.extend([""] * (index + 1 - len(fields)))
        fields[index] = _with_part(fields[index], raw, place, self._source.delimiters)

    def written(self) -> bytes:
        """Return the message.

        Raises:
            UnencodableText: HL7-102.
        """
        separator = self._source.delimiters.field_separator
        text, pieces, at = self._text, [], 0
        for segment in self._segments:
            start, end = _span(text, segment, at)
            changed = self._changed.get((segment.name, segment.occurrence))
            written = text[start:end] if changed is None else separator.join(changed)
            if not self._is_view:
                written = self._carried(written, segment)
            pieces += [text[at:start], written]
            at = end
        pieces.append(text[at:])
        if self._added:
            pieces.append("" if text.endswith(("\r", "\n")) else "\r")
            pieces += [f"{separator.join(self._changed[key])}\r" for key in self._added]
        if self._is_view:
            return self._mark + "".join(pieces).encode(_VIEW)
        return "".join(pieces).encode(self._codec)

    def _fields(self, name: str, occurrence: int) -> list[str]:
        key = (name, occurrence)
        fields = self._changed.get(key)
        if fields is not None:
            return fields
        separator = self._source.delimiters.field_separator
        for segment in self._segments:
            if (segment.name, segment.occurrence) == key:
                fields = segment.text.split(separator)
                break
        else:
            fields = [name]
            self._added.append(key)
        self._changed[key] = fields
        return fields

    def _carried(self, line: str, segment: Segment) -> str:
        if self._transliterates:
            line = transliterate(line, self._codec)
        self._check(line, Location(segment.name or "MSH", segment.occurrence))
        return line

    def _check(self, text: str, place: Location) -> None:
        try:
            text.encode(self._codec)
        except UnicodeEncodeError as cause:
            raise UnencodableText(where=place.erl, charset=hl7_name(self._codec)) from cause


def _span(text: str, segment: Segment, at: int) -> tuple[int, int]:
    """Return where a segment stands at or behind `at`; lines that were wrapped inside a field belong to it."""
    first, *more = _TERMINATORS.split(segment.text)
    start = text.index(first, at)
    end = start + len(first)
    for piece in more:
        end = text.index(piece, end) + len(piece)
    return start, end


def _with_part(field: str, raw: str, place: Location, delimiters: Delimiters) -> str:
    """Return a field with the part at `place` replaced; the rest of it stays as it is."""
    parts = (
        (delimiters.repetition_separator, place.repetition if place.component is None else place.repetition or 1),
        (delimiters.component_separator, place.component),
        (delimiters.subcomponent_separator, place.subcomponent),
    )
    return _replaced(field, raw, [(separator, number) for separator, number in parts if number is not None])


def _replaced(text: str, raw: str, parts: list[tuple[str, int]]) -> str:
    if not parts:
        return raw
    (separator, number), *inner = parts
    pieces = text.split(separator)
    pieces.extend([""] * (number - len(pieces)))
    pieces[number - 1] = _replaced(pieces[number - 1], raw, inner)
    return separator.join(pieces)


def _redelimited(raw: str, theirs: Delimiters) -> str:
    """Return a field that was written with the default delimiters as the message writes it."""
    ours = DEFAULT_DELIMITERS
    if theirs.encoding_characters[:4] == ours.encoding_characters and theirs.field_separator == ours.field_separator:
        return raw
    return theirs.repetition_separator.join(
        theirs.component_separator.join(
            theirs.subcomponent_separator.join(theirs.escape(ours.unescape(part)) for part in ours.subcomponents(piece))
            for piece in ours.components(repetition)
        )
        for repetition in ours.repetitions(raw)
    )
