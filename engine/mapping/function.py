"""What a function of the language is, and those that work on any source.

The registry (`FUNCTIONS`, in registry.py) is the single source for checks at load and for the reference page.
A function is not called for a value that says nothing (absent, empty, null): that passes through, unless the function
is there for it. Of a list, each item is mapped, unless the function wants the list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Literal

from engine.mapping.fault import Refused
from engine.mapping.scope import Scope
from engine.mapping.table import Table
from engine.mapping.value import Value, as_text, has_value
from engine.records.explicit import NULL

_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST_UID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument: any value, or the name of a table."""

    name: str
    kind: Literal["value", "table"] = "value"
    is_optional: bool = False
    is_repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of the language, for one or for all kinds of source."""

    name: str
    run: Callable[..., Value]
    """(scope, value, *arguments) -> value. Raises Refused."""
    reads: Literal["text", "raw", "list", "anything"] = "text"
    """`raw`: a whole HL7 field or FHIR element, with its parts. `list`: all values at once, as text."""
    parameters: tuple[Parameter, ...] = ()
    sources: frozenset[str] | None = None
    """Kinds of source it is for; None for all."""
    takes_nothing: bool = False
    """Whether it is also called for absent, empty and null."""

    @property
    def doc(self) -> str:
        """What it does, for the reference page."""
        return getdoc(self.run) or ""


def trim(_: Scope, value: str) -> Value:
    """Text without white space around it. Paths trim already; this is for pieces of text."""
    return value.strip()


def upper(_: Scope, value: str) -> Value:
    """Text in capitals."""
    return value.upper()


def lower(_: Scope, value: str) -> Value:
    """Text in small letters."""
    return value.lower()


def default(_: Scope, value: Value, otherwise: Value) -> Value:
    """The value; the argument when the sender said nothing. An explicit null stays null."""
    return value if has_value(value) or value is NULL else otherwise


def required(_: Scope, value: Value) -> Value:
    """The value; refuses the message (MAP-201) when there is none: for what a site's own rules need."""
    if not has_value(value):
        raise Refused("rule {rule}: {path} is empty and has no default", code="MAP-201")
    return value


def not_empty(_: Scope, value: Value) -> Value:
    """The value; refuses the message (HL7-111) when there is none: for what the standard requires."""
    if not has_value(value):
        raise Refused("{path} is required", code="HL7-111")
    return value


def not_null(_: Scope, value: Value) -> Value:
    """The value, absent and empty too; refuses an explicit null, for what nobody may erase (HL7-111)."""
    if value is NULL:
        raise Refused("{path} is required", code="HL7-111")
    return value


def concat(_: Scope, value: str, *pieces: Value) -> Value:
    """Text with the arguments put behind it; those that say nothing are left out."""
    return value + "".join(text for piece in pieces if isinstance(text := as_text(piece), str))


def join(_: Scope, values: list[Value], separator: str = " ") -> Value:
    """One text of several values; empty when there is none."""
    return separator.join(text for value in values if isinstance(text := as_text(value), str) and text)


def split(_: Scope, value: str, separator: str) -> Value:
    """The pieces between separators, as a list."""
    return [piece.strip() for piece in value.split(separator)] if separator else [value]


def first(_: Scope, values: list[Value]) -> Value:
    """The first of several values."""
    return values[0] if values else None


def same(_: Scope, values: list[Value]) -> Value:
    """The value that all repetitions agree on; refuses when they do not (MAP-203)."""
    if any(value != values[0] for value in values):
        raise Refused("rule {rule}: {path} is not the same in every repetition")
    return values[0] if values else None


def replace(_: Scope, value: str, old: str, new: str) -> Value:
    """Text with every `old` turned into `new`."""
    return value.replace(old, new) if old else value


def starts_with(_: Scope, value: str, prefix: str) -> Value:
    """Whether text starts with the argument."""
    return value.startswith(prefix)


def uid(_: Scope, value: str) -> Value:
    """A DICOM UID, `urn:oid:` taken off; refuses what is none (MAP-203).

    Source: DICOM PS3.5 9.1: components without leading zeros, at most 64 characters.
    """
    text = value.removeprefix("urn:oid:")
    if len(text) > _LONGEST_UID or _UID.fullmatch(text) is None:
        raise Refused.invalid("UID")
    return text


def lookup(_: Scope, value: str, table: Table, *otherwise: str) -> Value:
    """The row of a code in a table under mappings/tables/; else the second argument; else the table's `*` row.

    Refuses (MAP-202) when there is neither. A row may give an empty value: it says nothing.
    """
    found = table.rows.get(value.strip().casefold())
    if found is not None:
        return found
    if otherwise:
        return otherwise[0]
    if table.default is None:
        raise Refused(f"rule {{rule}}: value of {{path}} is not in table '{table.name}'", code="MAP-202")
    return table.default


def lookup_known(scope: Scope, value: str, table: Table) -> Value:
    """The row of a code in a table; refuses (MAP-202) a code without one: for what must not be guessed."""
    return lookup(scope, value, table)


GENERAL = (
    Function(name="trim", run=trim),
    Function(name="upper", run=upper),
    Function(name="lower", run=lower),
    Function(
        name="default", run=default, reads="anything", parameters=(Parameter(name="otherwise"),), takes_nothing=True
    ),
    Function(name="required", run=required, reads="anything", takes_nothing=True),
    Function(name="not_empty", run=not_empty, reads="anything", sources=frozenset({"hl7v2"}), takes_nothing=True),
    Function(name="not_null", run=not_null, reads="anything", takes_nothing=True),
    Function(name="concat", run=concat, parameters=(Parameter(name="pieces", is_repeated=True),)),
    Function(name="join", run=join, reads="list", parameters=(Parameter(name="separator", is_optional=True),)),
    Function(name="split", run=split, parameters=(Parameter(name="separator"),)),
    Function(name="first", run=first, reads="list"),
    Function(name="same", run=same, reads="list"),
    Function(name="replace", run=replace, parameters=(Parameter(name="old"), Parameter(name="new"))),
    Function(name="starts_with", run=starts_with, parameters=(Parameter(name="prefix"),)),
    Function(name="uid", run=uid),
    Function(
        name="lookup",
        run=lookup,
        parameters=(Parameter(name="table", kind="table"), Parameter(name="otherwise", is_optional=True)),
    ),
    Function(name="lookup_known", run=lookup_known, parameters=(Parameter(name="table", kind="table"),)),
)
