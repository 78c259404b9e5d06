"""An HL7 v2 message that a mapping made: complete but for its control id and its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.hl7.build import OutgoingMessage
from engine.hl7.charset import codecs_of
from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.location import Location

FILLED_BY_ENGINE = frozenset({1, 2, 7, 9, 10, 12, 18})
"""Fields of MSH that a mapping does not set."""


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

    def render(self, *, control_id: str, now: datetime) -> bytes:
        """Return the message; the same control id and time give the same bytes.

        Args:
            control_id: MSH-10.
            now: MSH-7, written with its offset.

        Raises:
            UnencodableText: HL7-102, a value does not fit the character set.
        """
        message = OutgoingMessage(DEFAULT_DELIMITERS, codecs_of(self.charset)[0])
        head = message.segment("MSH")
        for assignment in self.assignments:
            if assignment.is_raw:
                message.set_raw(assignment.place, assignment.text)
            else:
                message.set(assignment.place, assignment.text)
        head.set_raw(7, now.strftime("%Y%m%d%H%M%S%z"))
        head.set_raw(9, self.message_type)
        head.set(10, control_id)
        if not any(one.place.segment == "MSH" and one.place.field == 11 for one in self.assignments):
            head.set_raw(11, "P")
        head.set_raw(12, self.version)
        head.set_raw(18, self.charset)
        return message.to_bytes()
