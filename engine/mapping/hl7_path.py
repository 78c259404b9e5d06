"""Paths through HL7 v2: `PID-3[1].4.2`, `OBX[*]-5`, `OBX[3.1='113014']-5.1`, `PID-5[7='L'].1`, `ZDS`.

Numbers count from 1. Without `[n]` the first segment and the first repetition are read, `[*]` reads all as a list.
A path without component reads the first one: a field without components is its own first component (spec/hl7.md 3, 9).
Functions on data types (`person_name`, `identifiers` …) are given the whole field instead.
Source: HL7 v2.5.1 chapter 2.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.hl7.delimiter import Delimiters
from engine.hl7.message import Segment
from engine.mapping.path import NotAPath, Path, Read
from engine.mapping.scope import Scope
from engine.mapping.value import Raw, Value
from engine.records.explicit import NULL

_FILTER = (
    r"(?P<{0}>\*|[0-9]{{1,4}}|(?P<{0}_at>[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{0,2}})\s*=\s*'(?P<{0}_is>(?:[^'\\]|\\.)*)')"
)
_FORM = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[" + _FILTER.format("segments") + r"\])?"
    r"(?:-(?P<field>[0-9]{1,3})(?:\[" + _FILTER.format("repetitions") + r"\])?"
    r"(?:\.(?P<component>[0-9]{1,3})(?:\.(?P<subcomponent>[0-9]{1,3}))?)?)?"
)
_QUOTED_NULL = '""'


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which of several: number `index` from 0, all, or those whose part `at` is `wanted`."""

    index: int = 0
    every: bool = False
    at: tuple[int, ...] = ()
    wanted: str = ""


def hl7_path(text: str, *, null_is_empty: bool = False) -> Path:
    """Return the compiled path.

    Raises:
        NotAPath: the text has not that form, or a number is 0.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise NotAPath("HL7 field")
    segments, repetitions = _choice(found, "segments"), _choice(found, "repetitions")
    name = found["segment"]
    field, component, subcomponent = (_number(found[part]) for part in ("field", "component", "subcomponent"))
    null: Value = "" if null_is_empty else NULL
    label = name if field is None else f"{name}-{field}"
    pick = _segments(name, segments)

    def where(scope: Scope) -> str:
        chosen = pick(scope)
        numbers = [chosen[0].occurrence if chosen else 1, field]
        if component is not None:
            numbers += [repetitions.index + 1, component, subcomponent]
        elif found["repetitions"]:
            numbers += [repetitions.index + 1]
        return "^".join([name, *(str(number) for number in numbers if number is not None)])

    if field is None:
        read: Read = _whole_segment(pick)
        raw = read
    else:
        several = segments.every or repetitions.every
        read = _text(pick, field, repetitions, component, subcomponent, null, several=several)
        raw = _raw(pick, field, repetitions, component, subcomponent, null, several=several)
        if found["segments"] is None and found["repetitions"] is None:
            read = _plain_text(name, field, component or 1, subcomponent or 1, null)
            raw = raw if component is not None else _plain_raw(name, field, null)
        else:
            read, raw = _unless_absent(name, read), _unless_absent(name, raw)
    return Path(text=text, read=read, read_raw=raw, where=where, label_of=lambda _: label)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    number = int(text)
    if number < 1:
        raise NotAPath("HL7 field")
    return number


def _choice(found: re.Match[str], name: str) -> _Choice:
    text = found[name]
    if text is None:
        return _Choice()
    if text == "*":
        return _Choice(every=True)
    if found[f"{name}_at"]:
        at = tuple(_number(part) or 0 for part in found[f"{name}_at"].split("."))
        return _Choice(at=at, wanted=found[f"{name}_is"].replace("\\'", "'").replace("\\\\", "\\"))
    return _Choice(index=(_number(text) or 1) - 1)


def _segments(name: str, choice: _Choice) -> Callable[[Scope], list[Segment]]:
    """Return what gives the chosen segments of a scope."""
    if choice.at:
        field, component, subcomponent = (*choice.at, 1, 1)[:3]
        test = _plain_part(component, subcomponent)

        def matching(scope: Scope) -> list[Segment]:
            found = scope.segments.get(name, ())
            scope.budget.spend_steps(len(found))
            return [segment for segment in found if test(scope, segment.field(field) or "") == choice.wanted]

        return matching
    if choice.every:

        def every(scope: Scope) -> list[Segment]:
            found = scope.segments.get(name, [])
            scope.budget.spend_steps(len(found))
            return found

        return every
    index = choice.index

    def one(scope: Scope) -> list[Segment]:
        return scope.segments.get(name, [])[index : index + 1]

    return one


def _plain_text(name: str, field: int, component: int, subcomponent: int, null: Value) -> Read:
    """Return the reading that nearly all rules need: first segment, first repetition. This is the hot path."""
    index, inner = component - 1, subcomponent - 1

    def read(scope: Scope) -> Value:
        found = scope.segments.get(name)
        if found is None:
            return None
        raw = found[0].field(field)
        if not raw:
            return raw
        if raw == _QUOTED_NULL:
            return null
        delimiters = scope.delimiters
        separator = delimiters.repetition_separator
        if separator and separator in raw:
            raw = raw.partition(separator)[0]
        separator = delimiters.component_separator
        if separator in raw:
            parts = raw.split(separator)
            if index >= len(parts):
                return None
            raw = parts[index]
        elif index:
            return None
        separator = delimiters.subcomponent_separator
        if separator and separator in raw:
            parts = raw.split(separator)
            if inner >= len(parts):
                return None
            raw = parts[inner]
        elif inner:
            return None
        if raw == _QUOTED_NULL:
            return null
        escape = delimiters.escape_character
        return delimiters.unescape(raw).strip() if escape and escape in raw else raw.strip()

    return read


def _plain_raw(name: str, field: int, null: Value) -> Read:
    """Return the reading of a whole field of the first segment."""

    def read(scope: Scope) -> Value:
        found = scope.segments.get(name)
        if found is None:
            return None
        raw = found[0].field(field)
        return _raw_part(scope, raw, None, None, null) if raw else raw

    return read


def _unless_absent(name: str, read: Read) -> Read:
    """Return a reading that is spared where the message has no such segment."""

    def checked(scope: Scope) -> Value:
        return read(scope) if name in scope.segments else None

    return checked


def _plain_part(component: int, subcomponent: int) -> Callable[[Scope, str], str | None]:
    """Return what gives the text of one part of a field, for filters."""

    def part(scope: Scope, raw: str) -> str | None:
        delimiters = scope.delimiters
        piece = delimiters.component(raw, component)
        inner = None if piece is None else delimiters.subcomponent(piece, subcomponent)
        return None if inner is None else delimiters.unescape(inner).strip()

    return part


def _repetitions(scope: Scope, raw: str, choice: _Choice) -> list[str]:
    found = scope.delimiters.repetitions(raw)
    if choice.every:
        scope.budget.spend_steps(len(found))
        return found
    if choice.at:
        test = _plain_part(*(*choice.at, 1)[:2])
        scope.budget.spend_steps(len(found))
        return [repetition for repetition in found if test(scope, repetition) == choice.wanted][:1]
    return found[choice.index : choice.index + 1]


def _text(
    pick: Callable[[Scope], list[Segment]],
    field: int,
    repetitions: _Choice,
    component: int | None,
    subcomponent: int | None,
    null: Value,
    *,
    several: bool,
) -> Read:
    part = _plain_part(component or 1, subcomponent or 1)

    def values(scope: Scope) -> list[Value]:
        found: list[Value] = []
        for segment in pick(scope):
            raw = segment.field(field)
            if not raw or raw == _QUOTED_NULL:
                found.append(null if raw else raw)
                continue
            for repetition in _repetitions(scope, raw, repetitions):
                text = part(scope, repetition)
                found.append(null if text == _QUOTED_NULL else text)
        return found

    return _all_of(values) if several else _first_of(values)


def _raw(
    pick: Callable[[Scope], list[Segment]],
    field: int,
    repetitions: _Choice,
    component: int | None,
    subcomponent: int | None,
    null: Value,
    *,
    several: bool,
) -> Read:
    whole_field = repetitions == _Choice()

    def values(scope: Scope) -> list[Value]:
        found: list[Value] = []
        for segment in pick(scope):
            raw = segment.field(field)
            if not raw or raw == _QUOTED_NULL:
                found.append(null if raw else raw)
                continue
            pieces = [raw] if whole_field and component is None else _repetitions(scope, raw, repetitions)
            found.extend(_raw_part(scope, piece, component, subcomponent, null) for piece in pieces)
        return found

    return _all_of(values) if several else _first_of(values)


def _raw_part(scope: Scope, raw: str, component: int | None, subcomponent: int | None, null: Value) -> Value:
    delimiters = scope.delimiters
    piece: str | None = raw
    if component is not None:
        piece = delimiters.component(raw, component)
        if piece is not None and subcomponent is not None:
            piece = delimiters.subcomponent(piece, subcomponent)
    if not piece:
        return piece
    if piece[0] == delimiters.component_separator and not piece.strip(_separators(delimiters)):
        return ""
    return null if piece == _QUOTED_NULL else Raw(piece, delimiters, component is not None)


def _separators(delimiters: Delimiters) -> str:
    return delimiters.component_separator + delimiters.repetition_separator + delimiters.subcomponent_separator


def _first_of(values: Callable[[Scope], list[Value]]) -> Read:
    def read(scope: Scope) -> Value:
        found = values(scope)
        return found[0] if found else None

    return read


def _all_of(values: Callable[[Scope], list[Value]]) -> Read:
    def read(scope: Scope) -> Value:
        return [value for value in values(scope) if value is not None and value != ""]

    return read


def _whole_segment(pick: Callable[[Scope], list[Segment]]) -> Read:
    def read(scope: Scope) -> Value:
        found = pick(scope)
        return found[0].text if found else None

    return read
