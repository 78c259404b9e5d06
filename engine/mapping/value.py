"""What an expression can give, and when that counts as a value."""

from __future__ import annotations

from typing import Any

from engine.hl7.delimiter import Delimiters
from engine.records.explicit import NULL, Explicit

Value = Any
"""None (absent), "" (empty), NULL (explicit null), text, number, bool, `Raw`, a list of values, plain data, or a fact.

Paths read foreign data, so nothing narrower would be true.
"""


class Raw:
    """Text of an HL7 field as it stands, for functions that read a data type with parts of its own.

    A plain class: one is made for every such function call, and a frozen dataclass costs three times as much.
    """

    __slots__ = ("delimiters", "is_component", "text")

    def __init__(self, text: str, delimiters: Delimiters, is_component: bool = False) -> None:
        self.text = text
        self.delimiters = delimiters
        self.is_component = is_component
        """Its parts are subcomponents (`&`); otherwise repetitions, components and subcomponents."""


def has_value(value: Value) -> bool:
    """Whether a value says something: not absent, not empty, not null, not false."""
    return bool(value) or type(value) in (int, float)


def weaker(best: Value, other: Value) -> Value:
    """Of two values that say nothing, return the one that says more: null, then false, then empty, then absent."""
    if best is NULL or other is None:
        return best
    if other is NULL or best is None or best in ("", []):
        return other
    return best


def as_text(value: Value) -> str | Explicit | None:
    """Return a single value as text, NULL or None.

    Raises:
        TypeError: it is a list or structured data.
    """
    if value is None or value is NULL or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple) and len(value) <= 1:
        return as_text(value[0]) if value else None
    if isinstance(value, Raw):
        return value.delimiters.unescape(value.text)
    raise TypeError("not one value")
