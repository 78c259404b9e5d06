"""An HL7 v2 message that a mapping made: complete but for its control id, its time and its receiver's ways."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.hl7.build import OutgoingMessage
from engine.hl7.charset import writing_codec
from engine.hl7.delimiter import DEFAULT_DELIMITERS, NULL
from engine.hl7.location import Location
from engine.hl7.structure import infer_structure
from engine.hl7.transliteration import transliterate
from engine.hl7.version import version_tuple

FILLED_BY_ENGINE = frozenset({1, 2, 7, 9, 10, 12, 18})
"""Fields of MSH that a mapping does not set."""

_NAMES_STRUCTURE = (2, 3, 1)
"""MSH-9.3 is from this version on."""
_DEMANDS_STRUCTURE = (2, 6, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one receiver wants its messages; what is None is as the mapping has it."""

    version: str | None = None
    """MSH-12."""
    charset: str | None = None
    """MSH-18, a name of table 0211."""
    application: str | None = None
    """MSH-5."""
    facility: str | None = None
    """MSH-6."""
    include_nulls: bool = False
    """Write `""` where the mapping has a field and its source no value."""
    transliterate: bool = False
    """Write text that the charset cannot carry in the nearest letters; otherwise it cannot be sent."""


AS_MAPPED = Dialect()


@dataclass(frozen=True, slots=True)
class Assignment:
    """One value at one place; `is_raw` when it is a whole field, escaped already."""

    place: Location
    text: str
    is_raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Values at places, in the order in which their segments appear. Plain data: it can be kept and compared."""

    message_type: str
    """`OMG^O19^OMG_O19`."""
    version: str = "2.5.1"
    charset: str = "UNICODE UTF-8"
    """Name of table 0211."""
    assignments: tuple[Assignment, ...] = ()
    unsaid: tuple[Location, ...] = ()
    """Places that the mapping sets and its source has no value for."""

    def render(self, *, control_id: str, now: datetime, dialect: Dialect = AS_MAPPED) -> bytes:
        """Return the message; the same control id, time and dialect give the same bytes.

        Args:
            control_id: MSH-10.
            now: MSH-7, written with its offset.
            dialect: The ways of the receiver.

        Raises:
            UnencodableText: HL7-102, a value does not fit the character set.
        """
        charset = dialect.charset or self.charset
        version = dialect.version or self.version
        message = OutgoingMessage(DEFAULT_DELIMITERS, writing_codec(charset))
        for assignment in self.assignments:
            text = transliterate(assignment.text, message.charset) if dialect.transliterate else assignment.text
            if assignment.is_raw:
                message.set_raw(assignment.place, text)
            else:
                message.set(assignment.place, text)
        if dialect.include_nulls:
            self._add_nulls(message)
        head = message.segment("MSH")
        for field, said in ((5, dialect.application), (6, dialect.facility)):
            if said is not None:
                head.set_raw(field, DEFAULT_DELIMITERS.escape(said))
        head.set_raw(7, now.strftime("%Y%m%d%H%M%S%z"))
        head.set_raw(9, _message_type(self.message_type, version))
        head.set(10, control_id)
        if not any(one.place.segment == "MSH" and one.place.field == 11 for one in self.assignments):
            head.set_raw(11, "P")
        head.set_raw(12, version)
        head.set_raw(18, charset)
        return message.to_bytes()

    def _add_nulls(self, message: OutgoingMessage) -> None:
        """Write nulls into segments that say something, where no part of the field does."""
        there = {(one.place.segment, one.place.occurrence) for one in self.assignments}
        said = {(one.place.segment, one.place.occurrence, one.place.field) for one in self.assignments}
        for place in self.unsaid:
            is_free = (place.segment, place.occurrence, place.field) not in said
            if is_free and (place.segment, place.occurrence) in there and place.segment != "MSH":
                message.set_raw(place, NULL)


def _message_type(stated: str, version: str) -> str:
    """Return MSH-9 with its structure where the version demands it, without where it has no such component."""
    kind, trigger, *structure = stated.split("^")
    if version_tuple(version) < _NAMES_STRUCTURE:
        return f"{kind}^{trigger}"
    if version_tuple(version) >= _DEMANDS_STRUCTURE and not structure:
        return "^".join(part for part in (kind, trigger, infer_structure(kind, trigger)) if part)
    return stated
