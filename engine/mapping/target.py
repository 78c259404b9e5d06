"""What each `to:` may set, and how values become its result."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from engine.hl7.delimiter import NULL as RAW_NULL
from engine.hl7.location import Location, parse_path
from engine.mapping.copied import Changes
from engine.mapping.document import MappingDocument, TargetKind
from engine.mapping.fault import Refused
from engine.mapping.outgoing import FILLED_BY_ENGINE, Assignment, Outgoing
from engine.mapping.rule import single
from engine.mapping.value import Raw, Value, has_value
from engine.records.explicit import NULL
from engine.records.fact import (
    AppointmentFact,
    ClinicalFact,
    IdentifierFact,
    MergeFact,
    MergePairFact,
    ObservationFact,
    OrderFact,
    OrderReferenceFact,
    PatientFact,
    ReportFact,
    ResultFact,
    ServiceFact,
    StepFact,
    VisitFact,
)

Put = Callable[[Value], Value]
"""Turns a rule's value into what the target holds. Raises Refused."""
Build = Callable[[dict[str, Any]], Any]
"""Makes the result of all that was set."""

_Fact = (
    OrderFact
    | PatientFact
    | VisitFact
    | StepFact
    | ReportFact
    | ResultFact
    | OrderReferenceFact
    | MergeFact
    | MergePairFact
    | ClinicalFact
    | ObservationFact
    | AppointmentFact
    | ServiceFact
)

_FACTS: dict[str, type[_Fact]] = {
    "order": OrderFact,
    "patient": PatientFact,
    "visit": VisitFact,
    "step": StepFact,
    "report": ReportFact,
    "result": ResultFact,
    "order_reference": OrderReferenceFact,
    "merge": MergeFact,
    "merge_pair": MergePairFact,
    "clinical": ClinicalFact,
    "observation": ObservationFact,
    "appointment": AppointmentFact,
    "service": ServiceFact,
}
_NESTED: dict[str, TargetKind] = {
    "patient": "patient",
    "visit": "visit",
    "steps": "step",
    "results": "result",
    "orders": "order_reference",
    "pairs": "merge_pair",
    "clinical": "clinical",
    "observations": "observation",
    "services": "service",
}
_REQUIRED = {
    "order": ("patient",),
    "report": ("patient",),
    "patient": ("identifiers",),
    "merge": ("event",),
    "appointment": ("event",),
    "merge_pair": ("patient", "prior_identifiers"),
}
_IDENTIFIERS = frozenset({"identifiers", "prior_identifiers"})
_DATA_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[0-9]{1,2}\])?(\.[A-Za-z_][A-Za-z0-9_]*(\[[0-9]{1,2}\])?)*")


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of result."""

    kind: TargetKind
    build: Build
    required: tuple[str, ...] = ()
    """Fields without which there is no result."""
    names: frozenset[str] | None = None
    """Fields it has; None when keys are places."""

    def is_key(self, key: str) -> bool:
        """Whether `set:` may name this."""
        if self.names is not None:
            return key in self.names
        if self.kind == "hl7v2":
            return hl7_place(key) is not None
        return _DATA_KEY.fullmatch(key) is not None

    def nested_kind(self, key: str) -> TargetKind | None:
        """Return what a mapping must be `to:` to fill this field; None when it is filled by a value."""
        return _NESTED.get(key) if self.names is not None else None

    def put(self, key: str) -> Put:
        """Return what turns a value into what the field holds."""
        if self.names is None:
            return _hl7_values if self.kind == "hl7v2" else _plain_data
        return _identifiers if key in _IDENTIFIERS else single


def target_of(document: MappingDocument) -> Target:
    """Return the target of a mapping."""
    kind = document.target
    if kind in _FACTS:
        fact = _FACTS[kind]
        names = frozenset(field.name for field in fields(fact))
        return Target(kind, lambda values: fact(**values), _REQUIRED.get(kind, ()), names)
    if kind == "hl7v2":
        return Target(kind, _outgoing(document) if document.copy_of is None else _copying(document))
    return Target(kind, _data(document.resource))


def hl7_place(key: str) -> Location | None:
    """Return the place of a key such as `OBX[2]-5`; None when it is none, or one that the engine fills."""
    try:
        place = parse_path(key)
    except ValueError:
        return None
    if place.field is None or key[:3].islower() or 0 in (place.field, place.component, place.subcomponent):
        return None
    return None if place.segment == "MSH" and place.field in FILLED_BY_ENGINE else place


def _identifiers(value: Value) -> Value:
    if value == "" or value is NULL:
        return ()
    if not isinstance(value, tuple) or not all(isinstance(one, IdentifierFact) for one in value):
        raise Refused("rule {rule}: {path} is not a list of identifiers; use the function identifiers")
    return value


def _hl7_values(value: Value) -> Value:
    """Return what stands at a place: text, `Raw`, or a list of them for repetitions."""
    if isinstance(value, Raw) or value is NULL:
        return value
    if isinstance(value, list | tuple) and len(value) != 1:
        return [one if isinstance(one, Raw) else single(one) for one in value]
    return single(value)


def _plain_data(value: Value) -> Value:
    return value


def _outgoing(document: MappingDocument) -> Build:
    message_type, version, charset = document.message or "", document.version, document.charset
    places = {key: hl7_place(key) for key in document.rules}

    def build(values: dict[str, Any]) -> Outgoing:
        assignments: list[Assignment] = []
        for key, value in values.items():
            place = places[key]
            if place is not None:
                assignments.extend(_assignments(place, value))
        there = {key for key, value in values.items() if has_value(value)}
        return Outgoing(
            message_type=message_type,
            version=version,
            charset=charset,
            assignments=tuple(assignments),
            unsaid=tuple(place for key, place in places.items() if place is not None and key not in there),
        )

    return build


def _copying(document: MappingDocument) -> Build:
    """Return what makes a copy of the source; the mapping that runs puts the source into it."""
    places = {key: hl7_place(key) for key in document.rules}
    new_control_id = document.options.new_control_id

    def build(values: dict[str, Any]) -> Changes:
        assignments: list[Assignment] = []
        emptied: list[Location] = []
        for key, value in values.items():
            place = places[key]
            if place is not None:
                assignments.extend(_assignments(place, value))
                if value == "" and document.rules[key].text == "":
                    emptied.append(place)
        return Changes(assignments=tuple(assignments), emptied=tuple(emptied), new_control_id=new_control_id)

    return build


def _assignments(place: Location, value: Value) -> list[Assignment]:
    if value is NULL:
        return [Assignment(place, RAW_NULL, is_raw=True)]
    if isinstance(value, Raw):
        return [_raw_assignment(place, value)] if value.text else []
    if isinstance(value, list):
        return [
            assignment
            for number, one in enumerate(value, start=1)
            for assignment in _assignments(_repetition(place, number), one)
        ]
    return [Assignment(place, value)] if value else []


def _repetition(place: Location, number: int) -> Location:
    return Location(place.segment, place.occurrence, place.field, number, place.component, place.subcomponent)


def _raw_assignment(place: Location, value: Raw) -> Assignment:
    if place.repetition is None and place.component is None:
        return Assignment(place, value.text, is_raw=True)
    parts = value.delimiters.components(value.text)
    return Assignment(place, value.delimiters.unescape(parts[0]))


def _data(resource: str | None) -> Build:
    def build(values: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {} if resource is None else {"resourceType": resource}
        for key, value in values.items():
            if value != "" and value is not NULL:
                _set_data(made, key, value)
        return made

    return build


def _set_data(made: dict[str, Any], key: str, value: Any) -> None:
    here: Any = made
    steps: list[str | int] = []
    for part in key.split("."):
        name, _, index = part.rstrip("]").partition("[")
        steps += [name, int(index)] if index else [name]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        inner: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            here.extend({} for _ in range(step + 1 - len(here)))
            if following is None or not here[step]:
                here[step] = inner
        elif following is None:
            here[step] = inner
        else:
            here.setdefault(step, inner)
        here = here[step]
