"""Where something stands in a file that a person edits, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True, slots=True, order=True)
class Flaw:
    """One thing an integrator must mend, or should look at. Codes: docs/errors.md."""

    place: Place
    code: str
    text: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data, with the place of every key and of every value (behind the quote of quoted text)."""

    file: str
    tree: Any
    values: dict[KeyPath, Place] = field(default_factory=dict)
    keys: dict[KeyPath, Place] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Return the place of a value; of its nearest parent when it is not written."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, Place(self.file))

    def key_place(self, path: KeyPath) -> Place:
        """Return the place of a key; of its value's nearest parent when it is not written."""
        return self.keys.get(path) or self.place(path)
