"""Patients for reading, many at once: each as the record that survived its merges, with all identifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.record import Patient, PatientIdentifier
from engine.store import codec, table

_patients = codec.PATIENT.select.where(table.patient.c.id.in_(bindparam("rows", expanding=True)))
_identifiers = codec.PATIENT_IDENTIFIER.select.where(
    table.patient_identifier.c.patient_id.in_(bindparam("rows", expanding=True))
).order_by(table.patient_identifier.c.id)
_owners = select(table.patient_identifier.c.patient_id).where(table.patient_identifier.c.value == bindparam("value"))


_merged_owners = (
    select(table.patient.c.id)
    .join(table.patient_identifier, table.patient_identifier.c.patient_id == table.patient.c.id)
    .where(table.patient_identifier.c.value == bindparam("value"), table.patient.c.merged_into.is_not(None))
)


def survivors(connection: Connection, rows: Iterable[RowId]) -> dict[RowId, KnownPatient]:
    """Return the surviving patient of each row that exists; two queries when nobody was merged."""
    wanted = set(rows)
    found: dict[RowId, Patient] = {}
    missing = set(wanted)
    while missing:
        fetched = {
            patient.id: patient
            for patient in map(codec.PATIENT.record, connection.execute(_patients, {"rows": list(missing)}))
        }
        found |= fetched
        led_to = {patient.merged_into for patient in fetched.values() if patient.merged_into is not None}
        missing = led_to - found.keys()
    last = {row: survivor for row in wanted if (survivor := _last(found, row)) is not None}
    identifiers = _identifiers_of(connection, {patient.id for patient in last.values()})
    return {
        row: KnownPatient(patient=patient, identifiers=tuple(identifiers[patient.id]), redirected=patient.id != row)
        for row, patient in last.items()
    }


def _last(found: dict[RowId, Patient], row: RowId) -> Patient | None:
    patient = found.get(row)
    while patient is not None and patient.merged_into is not None:
        patient = found.get(patient.merged_into)
    return patient


def _identifiers_of(connection: Connection, rows: set[RowId]) -> defaultdict[RowId, list[PatientIdentifier]]:
    by_patient: defaultdict[RowId, list[PatientIdentifier]] = defaultdict(list)
    if rows:
        for row in connection.execute(_identifiers, {"rows": list(rows)}):
            identifier = codec.PATIENT_IDENTIFIER.record(row)
            by_patient[identifier.patient_id].append(identifier)
    return by_patient


def rows_with(connection: Connection, value: str) -> set[RowId]:
    """Return the patients that have an identifier of this value under any issuer, and whom they were merged into."""
    owners = {RowId(row[0]) for row in connection.execute(_owners, {"value": value})}
    return owners | {known.patient.id for known in survivors(connection, owners).values()}


def merged_rows_with(connection: Connection, value: str) -> frozenset[RowId]:
    """Return the patients whom records with an identifier of this value were merged into."""
    owners = [RowId(row[0]) for row in connection.execute(_merged_owners, {"value": value})]
    if not owners:
        return frozenset()
    return frozenset(known.patient.id for known in survivors(connection, owners).values())
