"""From documents to mappings: checks what they name, resolves `use:`, compiles every expression."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

from engine.mapping.compile import NOTHING, Compiled, Environment, compile_expression
from engine.mapping.document import MappingDocument, Setting
from engine.mapping.grouping import groups_of
from engine.mapping.mapping import Mapping
from engine.mapping.path import Path, Read
from engine.mapping.place import Document, Flaw, KeyPath
from engine.mapping.rule import Rule
from engine.mapping.scope import Scope, by_name
from engine.mapping.table import Table
from engine.mapping.target import Target, target_of
from engine.mapping.value import Value, has_value
from engine.records.fact import (
    ClinicalFact,
    ObservationFact,
    OrderReferenceFact,
    ResultFact,
    ServiceFact,
    StepFact,
    VisitFact,
)

_SAYS_NOTHING = (
    VisitFact(),
    StepFact(),
    ResultFact(),
    OrderReferenceFact(),
    ClinicalFact(),
    ObservationFact(),
    ServiceFact(),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file under mappings/: what it says, and where."""

    said: MappingDocument
    document: Document


@dataclass(slots=True)
class MappingBuilder:
    """Compiles a set of mappings that may use each other. What is wrong is collected in `flaws`."""

    entries: Dict[str, Entry]
    """By mapping name."""
    tables: Dict[str, Table]
    flaws: list[Flaw] = field(default_factory=list)
    _built: dict[tuple[str, bool], Mapping] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def build_all(self) -> dict[str, Mapping]:
        """Return every mapping by name. Use it only when `flaws` has no error."""
        return {name: self.build(name) for name in self.entries}

    def build(self, name: str, *, null_is_empty: bool = False) -> Mapping:
        """Return one mapping, compiled once for each way its explicit nulls are read."""
        entry = self.entries[name]
        null_is_empty = null_is_empty or entry.said.options.null_is_empty
        known = self._built.get((name, null_is_empty))
        if known is None:
            self._open.append(name)
            known = _OneMapping(self, name, entry, null_is_empty).build()
            self._open.pop()
            self._built[(name, null_is_empty)] = known
        return known

    def used(self, name: str, user: Document, at: KeyPath, *, null_is_empty: bool) -> Mapping | None:
        """Return a mapping that another one uses; None, with a flaw, when it cannot."""
        place = user.place(at)
        if name not in self.entries:
            self.flaws.append(Flaw(place, "CFG-112", f"'{name}.yaml' does not exist under mappings/"))
            return None
        if name in self._open:
            ring = " → ".join([*self._open[self._open.index(name) :], name])
            self.flaws.append(Flaw(place, "MAP-105", f"mapping includes itself: {ring}"))
            return None
        return self.build(name, null_is_empty=null_is_empty)


@dataclass(slots=True)
class _OneMapping:
    builder: MappingBuilder
    name: str
    entry: Entry
    null_is_empty: bool

    @property
    def _document(self) -> Document:
        return self.entry.document

    def build(self) -> Mapping:
        said, target = self.entry.said, target_of(self.entry.said)
        rules = [self._rule(number, key, one, target) for number, (key, one) in enumerate(said.rules.items(), start=1)]
        for missing in target.required:
            if missing not in said.rules:
                self._flaw(("set",), "CFG-105", f"'set.{missing}' is required")
        starters, each = self._each(said)
        return Mapping(
            name=self.name,
            file=self._document.file,
            source=said.source,
            rules=tuple(rules),
            kind=target,
            puts=tuple(None if rule.is_nested else target.put(rule.target) for rule in rules),
            when=self._expression(said.when, ("when",)) if said.when is not None else None,
            starters=starters,
            each=each,
            all_or_none=said.options.all_or_none,
            own=frozenset(said.options.own),
        )

    def _each(self, said: MappingDocument) -> tuple[tuple[str, ...], Compiled | None]:
        if said.each is None:
            return (), None
        if said.source == "hl7v2":
            return (said.each,) if isinstance(said.each, str) else said.each, None
        if isinstance(said.each, str):
            return (), self._expression(said.each, ("each",), raw=True)
        self._flaw(("each",), "CFG-106", "'each' must be the path of a list")
        return (), None

    def _rule(self, number: int, key: str, setting: Setting, target: Target) -> Rule:
        at: KeyPath = ("set", key)
        if not target.is_key(key):
            self._unknown_key(key, target)
        nested_kind = target.nested_kind(key)
        if setting.use is not None:
            read, paths = self._nested(key, setting, target)
        elif setting.value is not None:
            at = at if ("set", key, "value") not in self._document.values else ("set", key, "value")
            compiled = self._expression(setting.value, at)
            read, paths = compiled.read, compiled.paths
        else:
            literal = setting.text
            read, paths = (lambda _: literal), ()
        if nested_kind is not None and setting.use is None:
            self._flaw(at, "CFG-106", f"'set.{key}' must be a mapping, for example {{use: {nested_kind}-from-…}}")
        if setting.when is not None:
            read = _guarded(read, self._expression(setting.when, ("set", key, "when")).read)
        return Rule(
            number=number,
            target=key,
            read=read,
            paths=paths,
            place=self._document.key_place(("set", key)),
            is_nested=setting.use is not None,
        )

    def _nested(self, key: str, setting: Setting, target: Target) -> tuple[Read, tuple[Path, ...]]:
        assert setting.use is not None
        at: KeyPath = ("set", key, "use")
        used = self.builder.used(setting.use, self._document, at, null_is_empty=self.null_is_empty)
        if used is None:
            return NOTHING.read, ()
        wanted = target.nested_kind(key)
        if target.names is not None and used.target != wanted:
            expected = f"a mapping to {wanted}" if wanted else "an expression"
            self._flaw(at, "CFG-106", f"'set.{key}.use' must be {expected}; '{used.name}' is to {used.target}")
        if used.source != self.entry.said.source:
            text = (
                f"'set.{key}.use' must be a mapping from {self.entry.said.source}; '{used.name}' is from {used.source}"
            )
            self._flaw(at, "CFG-106", text)
        if setting.each is not None:
            return self._list_of(used, key, setting.each), ()
        part = None if setting.at is None else self._expression(setting.at, ("set", key, "at"), raw=True)
        return _one_of(used, key, part), () if part is None else part.paths

    def _list_of(self, used: Mapping, key: str, each: str | tuple[str, ...]) -> Read:
        if self.entry.said.source == "hl7v2":
            return _segment_list(used, key, (each,) if isinstance(each, str) else each)
        if not isinstance(each, str):
            self._flaw(("set", key, "each"), "CFG-106", "'each' must be the path of a list")
            return NOTHING.read
        return _item_list(used, key, self._expression(each, ("set", key, "each"), raw=True))

    def _expression(self, text: str, at: KeyPath, *, raw: bool = False) -> Compiled:
        environment = Environment(
            source=self.entry.said.source,
            tables=self.builder.tables,
            null_is_empty=self.null_is_empty,
            flaws=self.builder.flaws,
        )
        return compile_expression(text, environment, self._document.place(at), raw=raw)

    def _unknown_key(self, key: str, target: Target) -> None:
        near = get_close_matches(key, sorted(target.names or ()), n=1, cutoff=0.0)
        if near:
            text = f"unknown key '{key}' under 'set'; did you mean '{near[0]}'?"
            self._flaw(("set", key), "CFG-104", text, is_key=True)
        else:
            wanted = "HL7 field that a mapping sets" if target.kind == "hl7v2" else f"{target.kind.upper()} element"
            self._flaw(("set", key), "MAP-102", f"'{key}' is not a {wanted}", is_key=True)

    def _flaw(self, at: KeyPath, code: str, text: str, *, is_key: bool = False) -> None:
        place = self._document.key_place(at) if is_key else self._document.place(at)
        self.builder.flaws.append(Flaw(place, code, text))


def _guarded(read: Read, when: Read) -> Read:
    def guarded(scope: Scope) -> Value:
        return read(scope) if has_value(when(scope)) else None

    return guarded


def _one_of(used: Mapping, key: str, part: Compiled | None) -> Read:
    def one(scope: Scope) -> Value:
        inner = scope
        if part is not None:
            resource = part.read(scope)
            if not isinstance(resource, dict):
                return None
            inner = scope.inside(resource)
        made = _prefixed(scope, f"{key}.", partial(used.make, inner))
        return None if made in _SAYS_NOTHING else made

    return one


def _segment_list(used: Mapping, key: str, starters: tuple[str, ...]) -> Read:
    def several(scope: Scope) -> Value:
        if starters[0] not in scope.segments:
            return None
        before, groups = groups_of(scope.members, starters)
        shared = by_name(before)
        return _list(scope, used, key, [scope.group(shared, group) for group in groups])

    return several


def _item_list(used: Mapping, key: str, items: Compiled) -> Read:
    def several(scope: Scope) -> Value:
        found = items.read(scope)
        listed = found if isinstance(found, list) else [] if found is None else [found]
        return _list(scope, used, key, [scope.inside(item) for item in listed])

    return several


def _list(scope: Scope, used: Mapping, key: str, inner: list[Scope]) -> Value:
    made = [_prefixed(scope, f"{key}[{index}].", partial(used.make, one)) for index, one in enumerate(inner)]
    return tuple(one for one in made if one is not None and one not in _SAYS_NOTHING)


def _prefixed(scope: Scope, prefix: str, make: Callable[[], Value]) -> Value:
    """Return what a nested mapping makes; its targets are explained under the prefix."""
    budget = scope.budget
    if budget.trace is None:
        return make()
    before = budget.prefix
    budget.prefix = before + prefix
    try:
        return make()
    finally:
        budget.prefix = before
