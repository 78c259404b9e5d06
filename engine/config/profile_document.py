"""What a file `routes/*.profile.yaml` may say, and its compilation.

profile: his-orders
standard: true              # false: the tables of HL7 itself are not consulted
rules:
PID:     {min: 1, max: 1}
PID-3.1: {required: true, max_length: 16}
PID-8:   {values: [F, M, O, U]}
OBR-24:  {table: modalities, severity: warning}
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.hl7.location import Location, parse_path
from engine.hl7.profile import Demand, Profile
from engine.mapping.place import Document, Flaw, KeyPath
from engine.mapping.table import Table

Severity = Literal["error", "warning"]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class DemandDocument(_Section):
    """What is asked of one place."""

    required: bool = False
    """Short for `min: 1`."""
    min: Annotated[int, Field(ge=0)] = 0
    """Fewest segments of this name; for a field, fewest values in each of its segments."""
    max: Annotated[int, Field(ge=0)] | None = None
    """Most of them; 0 means that nothing may stand there."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """Fewest characters of a value."""
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Most characters of a value."""
    values: Annotated[tuple[str | int, ...], Field(min_length=1, strict=False)] | None = None
    """What a value may be."""
    table: str | None = None
    """A file under mappings/tables/ in whose first column a value must stand."""
    severity: Severity | None = None
    """`warning` refuses nothing; None takes the profile's."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.max is not None and self.max < max(self.min, int(self.required)):
            raise ValueError("a rule whose max is not below its min")
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError("a rule whose max_length is not below its min_length")
        if self.values is not None and self.table is not None:
            raise ValueError("a rule with values or table, not both")
        return self


class ProfileDocument(_Section):
    """The whole of a file routes/*.profile.yaml."""

    profile: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=64)]
    description: str = ""
    standard: bool = True
    """Whether `validate:` also consults the tables of the message's version."""
    severity: Severity = "error"
    """Of rules that do not say."""
    rules: dict[str, DemandDocument] = Field(min_length=1)
    """By place: `PID`, `PID-3`, `PID-3.4.2`; a place means every segment of its name and every repetition."""


def compile_profile(
    said: ProfileDocument, document: Document, *, tables: Dict[str, Table], flaws: list[Flaw]
) -> Profile:
    """Return a profile; what it names wrongly is added to `flaws`."""
    demands = []
    for key, rule in said.rules.items():
        at: KeyPath = ("rules", key)
        place = _place(key)
        if place is None:
            flaws.append(Flaw(document.key_place(at), "MAP-102", f"'{key}' is not a HL7 segment or field of a profile"))
            continue
        severity = rule.severity or said.severity
        demand = Demand(
            place=place,
            least=max(rule.min, int(rule.required)),
            most=rule.max,
            least_length=rule.min_length,
            most_length=rule.max_length,
            values=_values(rule, document, at, tables, flaws),
            table=rule.table or "",
            severity="E" if severity == "error" else "W",
        )
        if place.field is None and (demand.least_length or demand.most_length or demand.values is not None):
            text = f"'rules.{key}' must be a rule of a field to have lengths or values"
            flaws.append(Flaw(document.place(at), "CFG-106", text))
        demands.append(demand)
    return Profile(name=said.profile, demands=tuple(demands), standard=said.standard)


def _place(key: str) -> Location | None:
    """Return the place of a rule; None when it is none, or names one segment or repetition of several."""
    try:
        place = parse_path(key)
    except ValueError:
        return None
    if "[" in key or key[:3] != key[:3].upper() or 0 in (place.field, place.component, place.subcomponent):
        return None
    return place


def _values(
    rule: DemandDocument, document: Document, at: KeyPath, tables: Dict[str, Table], flaws: list[Flaw]
) -> frozenset[str] | None:
    if rule.values is not None:
        return frozenset(str(value).casefold() for value in rule.values)
    if rule.table is None:
        return None
    table = tables.get(rule.table)
    if table is None:
        text = f"'tables/{rule.table}.csv' does not exist under mappings/"
        flaws.append(Flaw(document.place((*at, "table")), "CFG-112", text))
        return frozenset()
    return frozenset(table.rows)
