"""What a compiled path offers: its value, its text, and its place in the sender's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.mapping.scope import Scope
from engine.mapping.value import Value

Read = Callable[[Scope], Value]


class NotAPath(ValueError):
    """The text is not a path of the source; the text says of what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path of one source, in three readings."""

    text: str
    """As written."""
    read: Read
    """Gives text (or plain data): what comparisons and targets want."""
    read_raw: Read
    """Gives `Raw` for HL7: what functions on data types want. The same as `read` for other sources."""
    where: Callable[[Scope], str]
    """The place for answers: `PID^1^3^1^4`, or a FHIRPath."""
    label_of: Callable[[Scope], str]
    """The place for people: `PID-3`, `Patient.identifier`; without repetitions and parts."""
