"""From the parts of an expression to a closure that reads a scope. Nothing is interpreted while messages run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from engine.hl7.acknowledgement import Problem
from engine.mapping.data_path import data_path
from engine.mapping.expression import (
    AllOf,
    Comparison,
    Expression,
    FirstOf,
    Literally,
    Membership,
    Negation,
    PathText,
    Piped,
    Several,
)
from engine.mapping.fault import LeftOut, Refused
from engine.mapping.function import Function, Parameter
from engine.mapping.hl7_path import hl7_path
from engine.mapping.parser import NotAnExpression, parse_expression
from engine.mapping.path import NotAPath, Path, Read, source_of
from engine.mapping.place import Flaw, Place
from engine.mapping.registry import function_for, nearest_function
from engine.mapping.scope import Scope
from engine.mapping.table import Table
from engine.mapping.value import Value, as_text, has_value, weaker
from engine.records.explicit import NULL

SourceKind = Literal["hl7v2", "fhir", "event"]

EVENT_FIELDS: Mapping[str, frozenset[str]] = {
    "event": frozenset({"id", "name", "at", "detail"}),
    "patient": frozenset({"key", "name", "birth_date", "sex", "identifiers"}),
    "order": frozenset(
        [
            "placer_number",
            "placer_issuer",
            "filler_number",
            "filler_issuer",
            "accession_number",
            "accession_issuer",
            "priority",
            "requesting_physician",
            "state",
        ]
    ),
    "procedure": frozenset({"rp_id", "study_uid", "code", "code_system", "description", "state"}),
    "step": frozenset({"sps_id", "modality", "start"}),
    "visit": frozenset({"number", "class_code"}),
    "report": frozenset(
        [
            "number",
            "issuer",
            "state",
            "version",
            "title",
            "code",
            "code_system",
            "issued",
            "observed",
            "interpreter",
            "assistant",
            "text",
            "findings",
            "impression",
            "study_uids",
            "attachments",
        ]
    ),
    "study": frozenset(
        [
            "study_uid",
            "modalities",
            "study_date",
            "study_time",
            "series",
            "instances",
            "state",
            "first_received_at",
            "completed_at",
            "is_update",
            "additional_uids",
            "patient_id",
            "patient_issuer",
            "patient_name",
            "patient_birth_date",
            "patient_sex",
            "accession_number",
            "description",
        ]
    ),
}
"""What the broker puts into an event. One event speaks of one procedure."""

_FHIR_ALIASES = {"patient": "subject"}
_EQUAL = ("==", "!=")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(slots=True, kw_only=True)
class Environment:
    """What an expression is compiled for; flaws are collected in `flaws`."""

    source: SourceKind
    tables: Mapping[str, Table] = field(default_factory=dict)
    null_is_empty: bool = False
    flaws: list[Flaw] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression ready to run: its reading, and the paths it reads in order."""

    read: Read
    paths: tuple[Path, ...] = ()


def _nothing(_: Scope) -> Value:
    return None


NOTHING = Compiled(_nothing)
"""Stands for an expression with a flaw, so that the rest can be checked too."""


def compile_expression(text: str, environment: Environment, place: Place, *, raw: bool = False) -> Compiled:
    """Return the closure of an expression; what is wrong with it is added to `environment.flaws`.

    Args:
        text: The expression.
        environment: Source kind and tables.
        place: Where the text starts in its file.
        raw: Give whole HL7 fields (`Raw`) and FHIR elements instead of text.
    """
    try:
        parsed = parse_expression(text)
    except NotAnExpression as fault:
        environment.flaws.append(Flaw(_at(place, fault.column), "CFG-106", f"not an expression: {fault}"))
        return NOTHING
    return _Compiler(environment, place).compile(parsed, raw=raw)


def _at(place: Place, column: int) -> Place:
    return Place(place.file, place.line, place.column + column)


@dataclass(slots=True)
class _Compiler:
    environment: Environment
    place: Place

    def compile(self, part: Expression, *, raw: bool = False) -> Compiled:
        match part:
            case PathText():
                path = self._path(part)
                return Compiled(path.read_raw if raw else path.read, (path,)) if path else NOTHING
            case Literally(value):
                return Compiled(lambda _: value)
            case Several(items):
                return _several([self.compile(item) for item in items])
            case FirstOf(items):
                return _first_of([self.compile(item, raw=raw) for item in items])
            case AllOf(items):
                return _all_of([self.compile(item) for item in items])
            case Negation(item):
                return _negation(self.compile(item))
            case Comparison(left, comparator, right):
                if comparator in _EQUAL and isinstance(right, Literally) and isinstance(right.value, str):
                    return _is_one_of(self.compile(left), (right.value,), negated=comparator == "!=")
                return _comparison(self.compile(left), comparator, self.compile(right))
            case Membership(item, choices, negated):
                words = _words(choices)
                if words is not None:
                    return _is_one_of(self.compile(item), words, negated=negated)
                return _membership(self.compile(item), self.compile(choices), negated=negated)
            case Piped():
                return self._piped(part, raw=raw)
            case _:
                assert_never(part)

    def _path(self, part: PathText) -> Path | None:
        text, source = part.text, self.environment.source
        try:
            if text.startswith("site."):
                return _constant(text)
            if source == "hl7v2":
                return hl7_path(text, null_is_empty=self.environment.null_is_empty)
            if source == "event":
                _check_event_path(text)
            return data_path(text, aliases=_FHIR_ALIASES if source == "fhir" else None)
        except NotAPath as fault:
            self._flaw(part.column, "MAP-102", f"'{text}' is not a {fault} of {source}")
            return None

    def _piped(self, part: Piped, *, raw: bool) -> Compiled:
        function = function_for(part.function, self.environment.source)
        if function is None:
            near = nearest_function(part.function)
            if near == part.function:
                text = f"function '{part.function}' is not for {self.environment.source} sources"
            else:
                text = f"unknown function '{part.function}'; did you mean '{near}'?"
            self._flaw(part.column, "MAP-101", text)
            return NOTHING
        wants_raw = function.reads == "raw" or (function.reads == "list" and self.environment.source != "hl7v2")
        if function.reads == "anything":
            wants_raw = raw
        value = self.compile(part.value, raw=wants_raw)
        each = function.reads == "text" or (function.reads == "raw" and self.environment.source == "hl7v2")
        return Compiled(_call(function, value, self._arguments(function, part), each=each), value.paths)

    def _arguments(self, function: Function, part: Piped) -> list[Read]:
        wanted = list(function.parameters)
        if wanted and wanted[-1].is_repeated:
            wanted += [wanted[-1]] * (len(part.arguments) - len(wanted))
        least = sum(1 for parameter in function.parameters if not (parameter.is_optional or parameter.is_repeated))
        if not least <= len(part.arguments) <= len(wanted):
            names = ", ".join(parameter.name for parameter in function.parameters) or "nothing"
            self._flaw(part.column, "MAP-101", f"function '{function.name}' takes {names} in brackets")
            return []
        arguments = [self._argument(p, given, part) for p, given in zip(wanted, part.arguments, strict=False)]
        self._check_lookup(function, part)
        return arguments

    def _argument(self, parameter: Parameter, given: Expression, part: Piped) -> Read:
        if parameter.kind == "value":
            return self.compile(given).read
        if isinstance(given, PathText):
            table = self.environment.tables.get(given.text)
            if table is not None:
                return lambda _: table
        name = given.text if isinstance(given, PathText) else "?"
        column = given.column if isinstance(given, PathText) else part.column
        self._flaw(column, "CFG-112", f"'tables/{name}.csv' does not exist under mappings/")
        return _nothing

    def _check_lookup(self, function: Function, part: Piped) -> None:
        if function.name != "lookup" or len(part.arguments) > 1 or not isinstance(part.arguments[0], PathText):
            return
        table = self.environment.tables.get(part.arguments[0].text)
        if table is not None and table.default is None:
            text = f"table '{table.name}' has no default and no row for every input"
            self.environment.flaws.append(Flaw(_at(self.place, part.column), "MAP-104", text, "warning"))

    def _flaw(self, column: int, code: str, text: str) -> None:
        self.environment.flaws.append(Flaw(_at(self.place, column), code, text))


def _check_event_path(text: str) -> None:
    root, _, rest = text.partition(".")
    known = EVENT_FIELDS.get(root)
    if known is None or (rest and rest.partition(".")[0].partition("[")[0] not in known):
        raise NotAPath("field")


def _constant(text: str) -> Path:
    def read(scope: Scope) -> Value:
        return scope.context.constants.get(text)

    return Path(text=text, read=read, read_raw=read, where=lambda _: "", label_of=lambda _: text)


def _paths(parts: list[Compiled]) -> tuple[Path, ...]:
    return tuple(path for part in parts for path in part.paths)


def _several(parts: list[Compiled]) -> Compiled:
    reads = [part.read for part in parts]
    return Compiled(lambda scope: [read(scope) for read in reads], _paths(parts))


def _first_of(parts: list[Compiled]) -> Compiled:
    reads = [part.read for part in parts]

    def read(scope: Scope) -> Value:
        best: Value = None
        for one in reads:
            value = one(scope)
            if value or (value is not None and has_value(value)):
                return value
            best = weaker(best, value)
        return best

    return Compiled(read, _paths(parts))


def _all_of(parts: list[Compiled]) -> Compiled:
    reads = [part.read for part in parts]
    return Compiled(lambda scope: all(has_value(read(scope)) for read in reads), _paths(parts))


def _negation(part: Compiled) -> Compiled:
    read = part.read
    return Compiled(lambda scope: not has_value(read(scope)), part.paths)


def _comparison(left: Compiled, comparator: str, right: Compiled) -> Compiled:
    read_left, read_right = left.read, right.read
    if comparator in _EQUAL:
        wanted = comparator == "=="

        def equals(scope: Scope) -> Value:
            ours, theirs = _as_list(read_left(scope)), _as_list(read_right(scope))
            return any(_is_equal(one, other) for one in ours for other in theirs) is wanted

        return Compiled(equals, left.paths + right.paths)
    order = _ORDER[comparator]

    def compares(scope: Scope) -> Value:
        ours, theirs = _as_list(read_left(scope)), _as_list(read_right(scope))
        return any(_is_ordered(order, one, other) for one in ours for other in theirs)

    return Compiled(compares, left.paths + right.paths)


def _membership(item: Compiled, choices: Compiled, *, negated: bool) -> Compiled:
    read_item, read_choices = item.read, choices.read

    def member(scope: Scope) -> Value:
        among = _as_list(read_choices(scope))
        return any(_is_equal(one, other) for one in _as_list(read_item(scope)) for other in among) is not negated

    return Compiled(member, item.paths + choices.paths)


def _words(choices: Expression) -> tuple[str, ...] | None:
    """Return a list of literal texts; None when it has anything else in it."""
    if not isinstance(choices, Several):
        return None
    words = tuple(item.value for item in choices.items if isinstance(item, Literally) and isinstance(item.value, str))
    return words if len(words) == len(choices.items) else None


def _is_one_of(item: Compiled, words: tuple[str, ...], *, negated: bool) -> Compiled:
    """Return the test that nearly all routes make: a text against literal ones. This is the hot path."""
    read, among = item.read, frozenset(words)

    def one_of(scope: Scope) -> Value:
        value = read(scope)
        if type(value) is str:
            return (value in among) is not negated
        return any(_is_equal(one, word) for one in _as_list(value) for word in words) is not negated

    return Compiled(one_of, item.paths)


def _as_list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _is_equal(one: Value, other: Value) -> bool:
    if one is None or other is None or one is NULL or other is NULL:
        return one is other
    if isinstance(one, bool) or isinstance(other, bool):
        return bool(_word(one) == _word(other))
    if isinstance(one, int | float) or isinstance(other, int | float):
        first, second = _number(one), _number(other)
        return first is not None and first == second
    return bool(one == other)


def _is_ordered(order: Callable[[Any, Any], bool], one: Value, other: Value) -> bool:
    if isinstance(one, int | float) or isinstance(other, int | float):
        first, second = _number(one), _number(other)
        return first is not None and second is not None and order(first, second)
    return isinstance(one, str) and isinstance(other, str) and one != "" != other and order(one, other)


def _number(value: Value) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None


def _word(value: Value) -> Value:
    return as_text(value) if isinstance(value, bool) else value


def _call(function: Function, value: Compiled, arguments: list[Read], *, each: bool) -> Read:
    """Return the reading of a piped call, made for what the function wants; `each` calls it for each item of a list."""
    inner, run, paths = value.read, function.run, value.paths
    takes_nothing, reads = function.takes_nothing, function.reads

    def one(scope: Scope, got: Value) -> Value:
        if reads == "text" and not isinstance(got, str):
            got = _text_of(got)
            if not isinstance(got, str):
                return got
        return run(scope, got, *[argument(scope) for argument in arguments])

    def read(scope: Scope) -> Value:
        got = inner(scope)
        if not takes_nothing and not got and not has_value(got):
            return None if got == [] else got
        try:
            if reads == "list":
                return run(scope, _as_list(got), *[argument(scope) for argument in arguments])
            if each and isinstance(got, list):
                return [one(scope, item) for item in got]
            return one(scope, got)
        except Refused as fault:
            if fault.paths is None:
                fault.paths = paths
            if not isinstance(fault, LeftOut):
                raise
            scope.budget.warnings.append(_warning(scope, fault))
            return None

    return read


def _warning(scope: Scope, fault: LeftOut) -> Problem:
    path = source_of(scope, fault.paths or ())
    label, where = (path.label_of(scope), path.where(scope)) if path else ("the value", "")
    return Problem(fault.code, fault.text.format(path=label), where or None, "W")


def _text_of(value: Value) -> Value:
    try:
        return as_text(value)
    except TypeError as cause:
        raise Refused.invalid("text") from cause
