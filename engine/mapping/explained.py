"""Where a value of a result came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One target field: what it became and why."""

    target: str
    value: object
    source: str
    """The path that gave the value, in the source's own words; "" for a literal."""
    file: str
    line: int
