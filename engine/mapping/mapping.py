"""A mapping: compiled once, run per message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.hl7.acknowledgement import Problem
from engine.hl7.message import Message
from engine.mapping.compile import Compiled, SourceKind
from engine.mapping.context import Context
from engine.mapping.copied import Changes, Copied
from engine.mapping.document import TargetKind
from engine.mapping.fault import MappingFault, Refused
from engine.mapping.grouping import groups_of, patients_of
from engine.mapping.place import Place
from engine.mapping.result import Result
from engine.mapping.rule import Rule, single
from engine.mapping.scope import Scope, by_name
from engine.mapping.target import Target
from engine.mapping.value import Raw, Value, has_value

_WITH_PATIENT = 3
"""How many starters `each: [PID, ORC, OBR]` has."""

Source = Message | dict[str, Any]
"""An HL7 message; or a FHIR resource or event as plain data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """What stands in one file under mappings/."""

    name: str
    file: str
    source: SourceKind
    rules: tuple[Rule, ...]
    kind: Target
    puts: tuple[Callable[[Value], Value] | None, ...]
    """For each rule what turns its value into the field's; None when the rule's is right."""
    when: Compiled | None = None
    starters: tuple[str, ...] = ()
    """Segments that start a group."""
    each: Compiled | None = None
    """Path of the list whose items are mapped, for sources other than HL7."""
    all_or_none: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    @property
    def target(self) -> TargetKind:
        """What `to:` says."""
        return self.kind.kind

    def run(self, source: Source, context: Context, *, explain: bool = False) -> list[Result]:
        """Return what the message becomes: one result per group of `each:`, none where `when:` says no.

        Args:
            source: A `Message` for `from: hl7v2`; plain data for `from: fhir` and `from: event`.
            context: The site and the listener.
            explain: Also say where every value came from (slower).

        Raises:
            MappingFault: MAP-201, MAP-202, MAP-203, MAP-205, HL7-110, HL7-111, FHIR-113.
        """
        scope = Scope.of(source, context)
        results = []
        for inner in self._scopes(scope):
            trace = inner.budget.trace = [] if explain else None
            warnings: list[Problem] = []
            inner.budget.warnings = warnings
            made = self.make(inner)
            if isinstance(made, Changes) and isinstance(source, Message):
                made = Copied(source=source, changes=made)
            if made is not None:
                results.append(Result(fact=made, explain=tuple(trace or ()), members=inner.members, warnings=warnings))
        return results

    def make(self, scope: Scope) -> Any:
        """Return what one scope becomes; None when `when:` says no. For `run`, and for mappings that use this one.

        Raises:
            MappingFault: as `run`.
        """
        if self.when is not None and not self._is_wanted(scope):
            return None
        values = self._values(scope)
        for name in self.kind.required:
            if not values.get(name):
                code = "FHIR-113" if self.source == "fhir" else "HL7-111"
                raise next(rule for rule in self.rules if rule.target == name).missing(scope, code)
        return self.kind.build(values)

    def _is_wanted(self, scope: Scope) -> bool:
        assert self.when is not None
        try:
            return has_value(self.when.read(scope))
        except Refused as refused:
            rule = Rule(number=0, target="when", read=self.when.read, paths=self.when.paths, place=Place(self.file))
            raise rule.fault(scope, refused) from refused

    def _values(self, scope: Scope) -> dict[str, Any]:
        values: dict[str, Any] = {}
        budget = scope.budget
        trace = budget.trace
        budget.spend_steps(len(self.rules))
        size = 0
        for rule, put in zip(self.rules, self.puts, strict=True):
            try:
                value = rule.read(scope)
                if value is None:
                    continue
                if put is not None and (type(value) is not str or put is not single):
                    value = put(value)
            except Refused as refused:
                raise rule.fault(scope, refused) from refused
            size += len(value) if type(value) is str else len(value.text) if type(value) is Raw else 1
            values[rule.target] = value
            if trace is not None and not rule.is_nested:
                trace.append(rule.explain(scope, value))
        budget.spend_bytes(size)
        return values

    def _scopes(self, scope: Scope) -> Iterable[Scope]:
        """Return the scopes of `each:`; the whole when there is none.

        Raises:
            MappingFault: HL7-110, there is no group, or a segment of `all_or_none` is in some groups only.
        """
        if self.each is not None:
            items = self.each.read(scope)
            return [scope.inside(item) for item in (items if isinstance(items, list) else [items]) if item is not None]
        if not self.starters:
            return (scope,)
        if len(self.starters) == _WITH_PATIENT:
            patient, starters = self.starters[0], self.starters[1:]
            blocks = [groups_of(block, starters) for block in patients_of(scope.members, patient)]
        else:
            starters = self.starters
            blocks = [groups_of(scope.members, starters)]
        groups = [group for _, some in blocks for group in some]
        name = starters[0] if starters is self.starters else starters[-1]
        if not groups or (starters is not self.starters and name not in scope.segments):
            raise MappingFault(f"{name} is required", code="HL7-110", where=f"{name}^1")
        for name in self.all_or_none:
            having = sum(1 for group in groups if any(segment.name == name for segment in group))
            if 0 < having < len(groups):
                raise MappingFault(f"{name} is required in each group or in none", code="HL7-110", where=f"{name}^1")
        scopes: list[Scope] = []
        for before, some in blocks:
            shared = by_name([segment for segment in before if segment.name not in self.own])
            scopes.extend(scope.group(shared, group, before) for group in some)
        return scopes
