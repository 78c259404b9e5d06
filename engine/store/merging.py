"""Loads what a merge speaks of: the records behind its identifiers, where they were merged to, and what hangs on them.

Every query is by an indexed key; merges are rare, so nothing here is kept fast at the cost of being plain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, select

from engine.core.ids import RowId
from engine.linkage.merge_world import MergeWorld
from engine.records.explicit import plain
from engine.records.fact import IdentifierFact, MergeFact
from engine.records.record import ImagingOrder, Patient, PatientIdentifier, Record, Study, Visit
from engine.records.report import Report
from engine.records.schedule import Appointment
from engine.store import codec, known, table
from engine.store.codec import CODECS
from engine.store.statement import Statement
from engine.store.unit import Unit

_of_patient: dict[codec.Codec[Any], Statement] = {
    each: Statement(each.select.where(each.table.c.patient_id == bindparam("id")).order_by(each.table.c.id))
    for each in (CODECS[cls] for cls in (ImagingOrder, Study, Visit, Report, Appointment))
}
_open_holds = Statement(
    codec.HOLD.select.where(table.hold.c.state == "open", table.hold.c.patient_id == bindparam("id")).order_by(
        table.hold.c.id
    )
)
_identifier = Statement(
    codec.PATIENT_IDENTIFIER.select.where(
        table.patient_identifier.c.value == bindparam("value"), table.patient_identifier.c.issuer == bindparam("issuer")
    )
)
_visit = Statement(
    codec.VISIT.select.where(table.visit.c.number == bindparam("number"), table.visit.c.issuer == bindparam("issuer"))
)
_visit_by_row = Statement(codec.VISIT.select.where(table.visit.c.id == bindparam("id")))
_procedures = Statement(
    select(*codec.REQUESTED_PROCEDURE.columns)
    .join(table.imaging_order, table.imaging_order.c.id == table.requested_procedure.c.order_id)
    .where(table.imaging_order.c.patient_id == bindparam("id"))
    .order_by(table.requested_procedure.c.id)
)
_studied = Statement(
    select(table.requested_procedure.c.order_id)
    .join(table.imaging_order, table.imaging_order.c.id == table.requested_procedure.c.order_id)
    .join(table.link, table.link.c.procedure_id == table.requested_procedure.c.id)
    .where(table.imaging_order.c.patient_id == bindparam("id"), table.link.c.undone_at.is_(None))
)
_reported = Statement(
    select(table.requested_procedure.c.order_id)
    .join(table.imaging_order, table.imaging_order.c.id == table.requested_procedure.c.order_id)
    .join(table.report_link, table.report_link.c.procedure_id == table.requested_procedure.c.id)
    .where(table.imaging_order.c.patient_id == bindparam("id"), table.report_link.c.undone_at.is_(None))
)


def merge_world(unit: Unit, said: MergeFact) -> MergeWorld:
    """Return every record that the pairs of a message name, with all that hangs on those that survived so far."""
    world = MergeWorld()
    for pair in said.pairs:
        for identifier in (*pair.patient.identifiers, *pair.prior_identifiers):
            world.learn(_people(unit, identifier))
        numbers = [(pair.prior_visit_number, pair.prior_visit_issuer)]
        if pair.patient.visit is not None:
            numbers.append((pair.patient.visit.number, pair.patient.visit.issuer))
        for number, issuer in numbers:
            world.learn(_visits(unit, plain(number), plain(issuer)))
    imaged: set[RowId] = set()
    for patient in [each for each in world.patients.values() if each.merged_into is None]:
        world.learn(_hanging(unit, patient))
        for statement in (_studied, _reported):
            imaged.update(row[0] for row in unit.rows(statement, {"id": patient.id}))
    world.imaged = frozenset(imaged)
    return world


def _people(unit: Unit, said: IdentifierFact) -> Iterable[Record]:
    """Return who has an identifier, up to the survivor, and whoever was merged into that one."""
    for row in unit.rows(_identifier, {"value": said.value, "issuer": said.issuer}):
        identifier: PatientIdentifier = codec.PATIENT_IDENTIFIER.record(row)
        patient = known.patient(unit, identifier.patient_id)
        while patient is not None:
            yield patient
            if patient.merged_into is None:
                break
            patient = known.patient(unit, patient.merged_into)
        survivor = known.survivor(unit, identifier.patient_id)
        if survivor is not None:
            yield from survivor.merged
            yield from survivor.identifiers
            yield from survivor.former


def _visits(unit: Unit, number: str, issuer: str) -> Iterable[Visit]:
    found = unit.rows(_visit, {"number": number, "issuer": issuer}) if number else ()
    while found:
        visit: Visit = codec.VISIT.record(found[0])
        yield visit
        found = unit.rows(_visit_by_row, {"id": visit.merged_into}) if visit.merged_into is not None else ()


def _hanging(unit: Unit, patient: Patient) -> Iterable[Record]:
    for of, statement in _of_patient.items():
        yield from _records(unit, of, statement, patient.id)
    yield from _records(unit, codec.HOLD, _open_holds, patient.id)
    yield from _records(unit, codec.REQUESTED_PROCEDURE, _procedures, patient.id)


def _records(unit: Unit, of: codec.Codec[Any], statement: Statement, row: RowId) -> Iterable[Record]:
    return [of.record(each) for each in unit.rows(statement, {"id": row})]
