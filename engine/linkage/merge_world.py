"""What a merge speaks of: the records behind its identifiers and everything that hangs on them.

Several pairs of one message are decided one after the other on the same world, each seeing what the ones before did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.fact import IdentifierFact
from engine.records.record import (
    Hold,
    ImagingOrder,
    Patient,
    PatientIdentifier,
    Record,
    RequestedProcedure,
    Study,
    Visit,
)
from engine.records.report import Report
from engine.records.schedule import Appointment
from engine.records.state import Danger

Hanging = ImagingOrder | Study | Visit | Report | Appointment | Hold
"""A row that points at its patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a person must decide about a pair; then no pair of the message is applied."""

    code: str
    reason: str
    danger: Danger = Danger.RED
    evidence: dict[str, Any] = field(default_factory=dict)
    patient_id: RowId | None = None


@dataclass(slots=True)
class MergeWorld:
    """Records by row. A patient here comes with every record that it was merged into, the last one with all its rows.

    `imaged` are the orders that images or a report are linked to.
    """

    patients: dict[RowId, Patient] = field(default_factory=dict)
    identifiers: dict[RowId, PatientIdentifier] = field(default_factory=dict)
    hanging: dict[RowId, Hanging] = field(default_factory=dict)
    procedures: dict[RowId, RequestedProcedure] = field(default_factory=dict)
    imaged: frozenset[RowId] = frozenset()

    def learn(self, records: Iterable[Record]) -> None:
        """Know records, in their present form."""
        for record in records:
            match record:
                case Patient():
                    self.patients[record.id] = record
                case PatientIdentifier():
                    self.identifiers[record.id] = record
                case ImagingOrder() | Study() | Visit() | Report() | Appointment() | Hold():
                    self.hanging[record.id] = record
                case RequestedProcedure():
                    self.procedures[record.id] = record
                case _:
                    pass

    def identifier(self, said: IdentifierFact) -> PatientIdentifier | None:
        """Return the identifier that was said, if anybody has or had it."""
        found = (each for each in self.identifiers.values() if (each.value, each.issuer) == (said.value, said.issuer))
        return next(found, None)

    def owner(self, said: IdentifierFact) -> Patient | None:
        """Return the record that has an identifier; it may have been merged into another."""
        found = self.identifier(said)
        return self.patients[found.patient_id] if found is not None else None

    def owners(self, said: Iterable[IdentifierFact]) -> list[Patient]:
        """Return the records that have any of these identifiers, each once."""
        found = {owner.id: owner for each in said if (owner := self.owner(each)) is not None}
        return list(found.values())

    def way(self, patient: Patient) -> list[Patient]:
        """Return a record, the one that it was merged into, and so on to the survivor."""
        steps = [self.patients[patient.id]]
        while (next_row := steps[-1].merged_into) is not None:
            steps.append(self.patients[next_row])
        return steps

    def survivor(self, patient: Patient) -> Patient:
        """Return the record that a patient's rows are found under."""
        return self.way(patient)[-1]

    def known(self, patient: Patient, *, redirected: bool = False) -> KnownPatient:
        """Return a record as registration sees it."""
        mine = tuple(each for each in self.identifiers.values() if each.patient_id == patient.id)
        others = [each for each in self.identifiers.values() if each.patient_id != patient.id]
        former = tuple(each for each in others if self.survivor(self.patients[each.patient_id]).id == patient.id)
        rows = {each.patient_id for each in former}
        return KnownPatient(
            patient=self.patients[patient.id],
            identifiers=mine,
            redirected=redirected,
            former=former,
            merged=tuple(self.patients[row] for row in sorted(rows)),
        )

    def rows_of(self, patient: Patient) -> list[Hanging]:
        """Return what hangs on a patient, by row."""
        return [self.hanging[row] for row in sorted(self.hanging) if self.hanging[row].patient_id == patient.id]

    def orders_of(self, patient: Patient) -> list[ImagingOrder]:
        """Return the orders of a patient."""
        return [row for row in self.rows_of(patient) if isinstance(row, ImagingOrder)]

    def visit(self, number: str, issuer: str) -> Visit | None:
        """Return a visit by its number, as it is."""
        visits = (row for row in self.hanging.values() if isinstance(row, Visit))
        return next((visit for visit in visits if (visit.number, visit.issuer) == (number, issuer)), None)
