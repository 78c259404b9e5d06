"""Writing outgoing messages: values are set at places, bytes come out with escapes, delimiters and terminators right.

Source: HL7 v2.5.1 chapter 2.6 (message construction rules), 2.7 (escapes).
"""

from __future__ import annotations

from typing import Final

from engine.hl7.charset import hl7_name
from engine.hl7.delimiter import DEFAULT_DELIMITERS, Delimiters
from engine.hl7.errors import UnencodableText
from engine.hl7.location import Location

_Subcomponents = dict[int, str]
_Components = dict[int, _Subcomponents]
_Repetitions = dict[int, _Components]


class OutgoingSegment:
    """One segment being written."""

    __slots__ = ("_fields", "name", "occurrence")

    def __init__(self, name: str, occurrence: int) -> None:
        self.name: Final = name
        self.occurrence: Final = occurrence
        self._fields: dict[int, str | _Repetitions] = {}

    def set_raw(self, field: int, raw: str) -> None:
        """Set a whole field from text that is escaped already."""
        self._fields[field] = raw

    def set(self, field: int, text: str, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> None:
        """Set one value from plain text."""
        value = self._fields.get(field)
        if value is None or isinstance(value, str):
            value = self._fields[field] = {}
        value.setdefault(repetition, {}).setdefault(component, {})[subcomponent] = text

    def text(self, delimiters: Delimiters, charset: str) -> str:
        """Return the segment without its terminator, trailing empties dropped.

        Raises:
            UnencodableText: HL7-102.
        """
        last = max(self._fields, default=0)
        header = self.name == "MSH"
        fields = [self.name]
        for number in range(3 if header else 1, last + 1):
            value = self._fields.get(number, "")
            raw = value if isinstance(value, str) else _field_text(value, delimiters)
            if not raw.isascii():
                self._check(raw, number, charset)
            fields.append(raw)
        if header:
            fields.insert(1, delimiters.encoding_characters)
        separator = delimiters.field_separator
        return separator.join(fields).rstrip(separator)

    def _check(self, raw: str, number: int, charset: str) -> None:
        try:
            raw.encode(charset)
        except UnicodeEncodeError as cause:
            where = Location(self.name, self.occurrence, number).erl
            raise UnencodableText(where=where, charset=hl7_name(charset)) from cause


class OutgoingMessage:
    """A message being written; segments stand in the order in which they are first mentioned.

    Args:
        delimiters: MSH-1 and MSH-2 of the message.
        charset: Python codec of the bytes; MSH-18 is the writer's to set (`charset.hl7_name`).
    """

    __slots__ = ("_segments", "charset", "delimiters")

    def __init__(self, delimiters: Delimiters = DEFAULT_DELIMITERS, charset: str = "utf_8") -> None:
        self.delimiters = delimiters
        self.charset = charset
        self._segments: dict[tuple[str, int], OutgoingSegment] = {("MSH", 1): OutgoingSegment("MSH", 1)}

    def segment(self, name: str, occurrence: int = 1) -> OutgoingSegment:
        """Return a segment, put at the end of the message when it is mentioned for the first time."""
        key = (name, occurrence)
        found = self._segments.get(key)
        if found is None:
            found = self._segments[key] = OutgoingSegment(name, occurrence)
        return found

    def set(self, place: Location, text: str) -> None:
        """Set the value at `place` to plain text; levels that the place leaves open are 1."""
        if place.field is None:
            raise ValueError(f"{place.path} names no field")
        self.segment(place.segment, place.occurrence).set(
            place.field, text, place.repetition or 1, place.component or 1, place.subcomponent or 1
        )

    def set_raw(self, place: Location, raw: str) -> None:
        """Set the whole field at `place` from text that is escaped already."""
        if place.field is None:
            raise ValueError(f"{place.path} names no field")
        self.segment(place.segment, place.occurrence).set_raw(place.field, raw)

    @property
    def text(self) -> str:
        """The message, every segment ended by CR. Segments without any value stand as their name.

        Raises:
            UnencodableText: HL7-102, with the place of the value.
        """
        delimiters, charset = self.delimiters, self.charset
        return "".join(f"{segment.text(delimiters, charset)}\r" for segment in self._segments.values())

    def to_bytes(self) -> bytes:
        """Return the message in its character set.

        Raises:
            UnencodableText: HL7-102, with the place of the value.
        """
        return self.text.encode(self.charset)

    __bytes__ = to_bytes


def _field_text(value: _Repetitions, delimiters: Delimiters) -> str:
    separator = delimiters.repetition_separator
    raw = separator.join(
        _repetition_text(value.get(number, {}), delimiters) for number in range(1, max(value, default=0) + 1)
    )
    return raw.rstrip(separator)


def _repetition_text(value: _Components, delimiters: Delimiters) -> str:
    separator = delimiters.component_separator
    raw = separator.join(
        _component_text(value.get(number, {}), delimiters) for number in range(1, max(value, default=0) + 1)
    )
    return raw.rstrip(separator)


def _component_text(value: _Subcomponents, delimiters: Delimiters) -> str:
    separator = delimiters.subcomponent_separator
    raw = separator.join(delimiters.escape(value.get(n, "")) for n in range(1, max(value, default=0) + 1))
    return raw.rstrip(separator)
