"""What a compiled path offers: its value, its text, and its place in the sender's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.mapping.scope import Scope
from engine.mapping.value import Value, has_value

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


def source_of(scope: Scope, among: tuple[Path, ...]) -> Path | None:
    """Return the path that gave the value; the first one when none did; None for a literal."""
    for path in among:
        if has_value(path.read_raw(scope)):
            return path
    return among[0] if among else None
