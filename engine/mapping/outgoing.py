"""An HL7 v2 message that a mapping made: complete but for its control id and its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Values at positions; `render` gives the bytes. The same control id and time give the same bytes.

    Positions are (segment, occurrence, field, repetition, component, subcomponent), all counted from 1.
    """

    message_type: str
    """`OMG^O19^OMG_O19`"""
    version: str = "2.5.1"
    charset: str = "UNICODE UTF-8"
    values: tuple[tuple[tuple[str, int, int, int, int, int], str], ...] = ()

    def render(self, *, control_id: str, now: datetime) -> bytes:
        """Return the message; MSH-7 is `now`, MSH-10 `control_id`, segments are separated by CR."""
        raise NotImplementedError
