"""The parts of an expression, as parsed. `column` counts characters from 0 within the expression's text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.records.explicit import Explicit

Comparator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class PathText:
    """A place in the source, not yet understood: what it means depends on what the source is."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Literally:
    """A text, a number, true, false or null."""

    value: str | int | float | bool | Explicit


@dataclass(frozen=True, slots=True)
class Several:
    """`[a, b, c]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class FirstOf:
    """`a or b`: the first that has a value; else an explicit null; else nothing."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """`a and b`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """`not a`: true when there is no value."""

    item: Expression


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a == b`; with several values on a side, whether any of them does."""

    left: Expression
    comparator: Comparator
    right: Expression


@dataclass(frozen=True, slots=True)
class Membership:
    """`a in [b, c]`."""

    item: Expression
    choices: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Piped:
    """`a | function(b, c)`."""

    value: Expression
    function: str
    arguments: tuple[Expression, ...]
    column: int


Expression = PathText | Literally | Several | FirstOf | AllOf | Negation | Comparison | Membership | Piped
