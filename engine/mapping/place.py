"""Where something stands in a file that a person edits, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]
"""Way through keys and list positions of a document: ("set", "patient", "use")."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


PlaceOf = Callable[[KeyPath], Place]
"""Gives the place of the value at a key path, of its nearest parent when it has none."""


@dataclass(frozen=True, slots=True, order=True)
class Flaw:
    """One thing an integrator must mend, or should look at. Codes: spec of the mapping language, docs/errors.md."""

    place: Place
    code: str
    text: str
    severity: Severity = "error"


class Flawed(Exception):
    """A document cannot be used; `flaws` says why."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        self.flaws = flaws
        super().__init__("; ".join(f"{flaw.place}: {flaw.code}: {flaw.text}" for flaw in flaws))
