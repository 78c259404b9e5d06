"""Loads what is known about patients, orders and studies, as linkage wants to see it.

Every query here is by an indexed key, so its cost does not grow with the archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from engine.core.ids import BlobKey, RowId
from engine.linkage.evidence import Candidate
from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.records.record import (
    Hold,
    ImagingOrder,
    Instance,
    Link,
    OrderIdentifier,
    Patient,
    RequestedProcedure,
    ScheduledStep,
    Series,
    Study,
    Visit,
)
from engine.store import codec, table
from engine.store.codec import from_micros
from engine.store.statement import Statement
from engine.store.unit import Unit

_patient = Statement(codec.PATIENT.select.where(table.patient.c.id == bindparam("id")))
_merged = Statement(
    codec.PATIENT.select.where(table.patient.c.merged_into == bindparam("id")).order_by(table.patient.c.id)
)
_identifiers_of = Statement(
    codec.PATIENT_IDENTIFIER.select.where(table.patient_identifier.c.patient_id == bindparam("id")).order_by(
        table.patient_identifier.c.id
    )
)
_identifiers_like = Statement(
    codec.PATIENT_IDENTIFIER.select.where(table.patient_identifier.c.value == bindparam("value"))
)
_absorbed = table.patient.alias("absorbed")
_named = table.patient_identifier.alias("named")
_patient_columns = len(codec.PATIENT.columns)
_persons = Statement(
    select(
        *codec.PATIENT.columns,
        select(_absorbed.c.id).where(_absorbed.c.merged_into == table.patient.c.id).exists(),
        *codec.PATIENT_IDENTIFIER.columns,
    )
    .select_from(_named)
    .join(table.patient, table.patient.c.id == _named.c.patient_id)
    .join(table.patient_identifier, table.patient_identifier.c.patient_id == table.patient.c.id)
    .where(_named.c.value == bindparam("value"), _named.c.issuer == bindparam("issuer"))
    .order_by(table.patient_identifier.c.id)
)
_visit = Statement(
    codec.VISIT.select.where(table.visit.c.number == bindparam("number"), table.visit.c.issuer == bindparam("issuer"))
)
_visit_by_row = Statement(codec.VISIT.select.where(table.visit.c.id == bindparam("id")))
_order = Statement(codec.IMAGING_ORDER.select.where(table.imaging_order.c.id == bindparam("id")))
_order_identifiers = Statement(
    codec.ORDER_IDENTIFIER.select.where(table.order_identifier.c.order_id == bindparam("id"))
)
_NOTHING = "\0"
"""Stands for no value; no number can be this."""
_has_number = or_(
    *(
        and_(
            table.order_identifier.c.value == bindparam(f"value{i}"),
            table.order_identifier.c.kind == bindparam(f"kind{i}"),
            table.order_identifier.c.issuer == bindparam(f"issuer{i}"),
        )
        for i in range(3)
    )
)
_order_numbers = Statement(codec.ORDER_IDENTIFIER.select.where(_has_number))
_numbers_or_uid = Statement(
    select(table.order_identifier.c.order_id)
    .where(_has_number)
    .union_all(
        select(table.requested_procedure.c.order_id).where(
            table.requested_procedure.c.study_uid == bindparam("study_uid")
        )
    )
)
_accession = Statement(
    select(table.order_identifier.c.order_id, table.order_identifier.c.issuer).where(
        table.order_identifier.c.value == bindparam("value"), table.order_identifier.c.kind == "accession"
    )
)
_procedures_of = Statement(
    codec.REQUESTED_PROCEDURE.select.where(table.requested_procedure.c.order_id == bindparam("id")).order_by(
        table.requested_procedure.c.id
    )
)
_procedure = Statement(codec.REQUESTED_PROCEDURE.select.where(table.requested_procedure.c.id == bindparam("id")))
_procedures_by_uid = Statement(
    codec.REQUESTED_PROCEDURE.select.where(table.requested_procedure.c.study_uid == bindparam("study_uid")).order_by(
        table.requested_procedure.c.id
    )
)
_steps_of = Statement(
    select(*codec.SCHEDULED_STEP.columns)
    .join(table.requested_procedure, table.requested_procedure.c.id == table.scheduled_step.c.procedure_id)
    .where(table.requested_procedure.c.order_id == bindparam("id"))
    .order_by(table.scheduled_step.c.id)
)
_study_by_uid = Statement(codec.STUDY.select.where(table.study.c.study_uid == bindparam("study_uid")))
_study = Statement(codec.STUDY.select.where(table.study.c.id == bindparam("id")))
_studies_due = Statement(
    codec.STUDY.select.where(table.study.c.quiet_due_at <= bindparam("now")).order_by(table.study.c.quiet_due_at)
)
_series = Statement(
    codec.SERIES.select.where(
        table.series.c.study_id == bindparam("study_id"), table.series.c.series_uid == bindparam("series_uid")
    )
)
_instances = Statement(
    codec.INSTANCE.select.where(table.instance.c.sop_uid == bindparam("sop_uid")).order_by(table.instance.c.id)
)
_links_of_study = Statement(
    codec.LINK.select.where(table.link.c.study_id == bindparam("id"), table.link.c.undone_at.is_(None))
)
_links_of_order = Statement(
    select(*codec.LINK.columns)
    .join(table.requested_procedure, table.requested_procedure.c.id == table.link.c.procedure_id)
    .where(table.requested_procedure.c.order_id == bindparam("id"), table.link.c.undone_at.is_(None))
)
_open_holds_of_order = Statement(
    codec.HOLD.select.where(table.hold.c.order_id == bindparam("id"), table.hold.c.state == "open")
)
_holds_of_study = Statement(codec.HOLD.select.where(table.hold.c.study_id == bindparam("id")))
_waiting_studies = Statement(
    codec.STUDY.select.where(
        or_(
            table.study.c.study_uid == bindparam("uid"),
            table.study.c.accession_number == bindparam("accession"),
            table.study.c.dicom_patient_id == bindparam("patient_id"),
        ),
        ~select(table.link.c.id)
        .where(table.link.c.study_id == table.study.c.id, table.link.c.undone_at.is_(None))
        .exists(),
    )
)


def _one(unit: Unit, of: codec.Codec[codec.R], statement: Statement, **values: Any) -> codec.R | None:
    row = unit.first(statement, values)
    return of.record(row) if row is not None else None


def _all(unit: Unit, of: codec.Codec[codec.R], statement: Statement, **values: Any) -> tuple[codec.R, ...]:
    return tuple(of.record(row) for row in unit.rows(statement, values))


def patient(unit: Unit, row: RowId) -> Patient | None:
    """Return a patient by row, as it is."""
    return _one(unit, codec.PATIENT, _patient, id=row)


def survivor(unit: Unit, row: RowId) -> KnownPatient | None:
    """Return a patient with its identifiers; a merged one leads to the record that survived it."""
    found = patient(unit, row)
    redirected = False
    while found is not None and found.merged_into is not None:
        redirected = True
        found = patient(unit, found.merged_into)
    if found is None:
        return None
    merged = _merged_into(unit, found.id)
    return KnownPatient(
        patient=found,
        identifiers=_all(unit, codec.PATIENT_IDENTIFIER, _identifiers_of, id=found.id),
        redirected=redirected,
        merged=merged,
        former=tuple(
            each for one in merged for each in _all(unit, codec.PATIENT_IDENTIFIER, _identifiers_of, id=one.id)
        ),
    )


def _merged_into(unit: Unit, row: RowId) -> tuple[Patient, ...]:
    """Return the records that were merged into one, and into those, and so on."""
    found: list[Patient] = list(_all(unit, codec.PATIENT, _merged, id=row))
    for one in found:  # grows while it is read
        found.extend(_all(unit, codec.PATIENT, _merged, id=one.id))
    return tuple(found)


def patients_with(unit: Unit, pairs: Iterable[tuple[str, str]]) -> tuple[KnownPatient, ...]:
    """Return the patients that have any of these (value, issuer), each once.

    One that is named by a former identifier and by one of today's is not `redirected`.
    """
    found: dict[RowId, KnownPatient] = {}
    for value, issuer in pairs:
        known = _patient_with(unit, value, issuer)
        if known is not None and (known.patient.id not in found or not known.redirected):
            found[known.patient.id] = known
    return tuple(found.values())


def _patient_with(unit: Unit, value: str, issuer: str) -> KnownPatient | None:
    """Return the patient that a pair leads to; one statement, unless it was merged or others were merged into it."""
    rows = unit.rows(_persons, {"value": value, "issuer": issuer})
    if not rows:
        return None
    found: Patient = codec.PATIENT.record(rows[0][:_patient_columns])
    if found.merged_into is not None or rows[0][_patient_columns]:
        return survivor(unit, found.id)
    identifiers = [codec.PATIENT_IDENTIFIER.record(row[_patient_columns + 1 :]) for row in rows]
    return KnownPatient(patient=found, identifiers=tuple(identifiers))


def patients_with_value(unit: Unit, value: str) -> tuple[KnownPatient, ...]:
    """Return the patients that have this identifier under any issuer, each once."""
    found: dict[RowId, KnownPatient] = {}
    for identifier in _all(unit, codec.PATIENT_IDENTIFIER, _identifiers_like, value=value):
        known = survivor(unit, identifier.patient_id)
        if known is not None:
            found.setdefault(known.patient.id, known)
    return tuple(found.values())


def visit(unit: Unit, number: str, issuer: str) -> Visit | None:
    """Return a visit by its number; one that was merged leads to the one that survived it."""
    found: Visit | None = _one(unit, codec.VISIT, _visit, number=number, issuer=issuer)
    while found is not None and found.merged_into is not None:
        found = _one(unit, codec.VISIT, _visit_by_row, id=found.merged_into)
    return found


def order(unit: Unit, row: RowId) -> KnownOrder:
    """Return an order with its numbers, procedures and steps, and the open holds of one that lacks something."""
    found: ImagingOrder = codec.IMAGING_ORDER.record(unit.rows(_order, {"id": row})[0])
    identifiers: tuple[OrderIdentifier, ...] = _all(unit, codec.ORDER_IDENTIFIER, _order_identifiers, id=row)
    procedures: tuple[RequestedProcedure, ...] = _all(unit, codec.REQUESTED_PROCEDURE, _procedures_of, id=row)
    steps: tuple[ScheduledStep, ...] = _all(unit, codec.SCHEDULED_STEP, _steps_of, id=row)
    holds: tuple[Hold, ...] = ()
    if any(step.missing for step in steps):
        holds = _all(unit, codec.HOLD, _open_holds_of_order, id=row)
    return KnownOrder(order=found, identifiers=identifiers, procedures=procedures, steps=steps, holds=holds)


def order_row(unit: Unit, row: RowId) -> ImagingOrder | None:
    """Return an order by row, without what belongs to it."""
    return _one(unit, codec.IMAGING_ORDER, _order, id=row)


def orders_with(unit: Unit, numbers: Sequence[tuple[str, str, str]]) -> tuple[KnownOrder, ...]:
    """Return the orders that have any of these (kind, value, issuer), each once."""
    rows = _all(unit, codec.ORDER_IDENTIFIER, _order_numbers, **_three(numbers))
    return tuple(order(unit, row) for row in dict.fromkeys(identifier.order_id for identifier in rows))


def _three(numbers: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for i in range(3):
        kind, value, issuer = numbers[i] if i < len(numbers) else ("", "", "")
        values |= {f"kind{i}": kind, f"value{i}": value, f"issuer{i}": issuer}
    return values


def knows(unit: Unit, numbers: Sequence[tuple[str, str, str]], study_uid: str) -> bool:
    """Whether an order has any of these numbers, or a procedure was ordered under this Study Instance UID."""
    return bool(unit.rows(_numbers_or_uid, {**_three(numbers), "study_uid": study_uid or _NOTHING}))


def procedures_with_uid(unit: Unit, study_uid: str) -> tuple[RequestedProcedure, ...]:
    """Return the procedures that were ordered under a Study Instance UID."""
    return _all(unit, codec.REQUESTED_PROCEDURE, _procedures_by_uid, study_uid=study_uid)


def candidates_by_uid(unit: Unit, study_uid: str) -> tuple[Candidate, ...]:
    """Return the procedures ordered under a Study Instance UID, with order and steps."""
    return tuple(
        Candidate(procedure=procedure, order=known.order, steps=known.steps_of(procedure.id))
        for procedure in procedures_with_uid(unit, study_uid)
        for known in (order(unit, procedure.order_id),)
    )


def candidates_by_accession(unit: Unit, accession: str, issuer: str) -> tuple[Candidate, ...]:
    """Return the procedures under an accession number; an issuer that either side leaves open is no difference."""
    if not accession:
        return ()
    found: list[Candidate] = []
    for order_id, of in unit.rows(_accession, {"value": accession}):
        if issuer and of and issuer != of:
            continue
        known = order(unit, order_id)
        found.extend(
            Candidate(procedure=procedure, order=known.order, steps=known.steps_of(procedure.id))
            for procedure in known.procedures
        )
    return tuple(found)


def procedure(unit: Unit, row: RowId) -> RequestedProcedure | None:
    """Return a requested procedure by row."""
    return _one(unit, codec.REQUESTED_PROCEDURE, _procedure, id=row)


def study(unit: Unit, row: RowId) -> Study | None:
    """Return a study by row."""
    return _one(unit, codec.STUDY, _study, id=row)


def study_by_uid(unit: Unit, study_uid: str) -> Study | None:
    """Return a study by Study Instance UID."""
    return _one(unit, codec.STUDY, _study_by_uid, study_uid=study_uid)


def studies_due(unit: Unit, now_micros: int) -> tuple[Study, ...]:
    """Return the studies whose quiet timer has fired."""
    return _all(unit, codec.STUDY, _studies_due, now=now_micros)


def waiting_studies(
    unit: Unit, *, uids: Sequence[str], accessions: Sequence[str], patient_ids: Sequence[str]
) -> tuple[Study, ...]:
    """Return the studies without a link that a new or changed order, or patient, may be about."""
    found: dict[RowId, Study] = {}
    for uid, accession, patient_id in zip_longest(uids, accessions, patient_ids, fillvalue=""):
        values = {"uid": uid or "-", "accession": accession or "-", "patient_id": patient_id or "-"}
        for study_found in _all(unit, codec.STUDY, _waiting_studies, **values):
            found[study_found.id] = study_found
    return tuple(found[row] for row in sorted(found))


def series(unit: Unit, study_id: RowId, series_uid: str) -> Series | None:
    """Return a series of a study."""
    return _one(unit, codec.SERIES, _series, study_id=study_id, series_uid=series_uid)


def instances(unit: Unit, sop_uid: str) -> tuple[Instance, ...]:
    """Return every stored copy under a SOP Instance UID, the first received first."""
    return _all(unit, codec.INSTANCE, _instances, sop_uid=sop_uid)


def links_of_study(unit: Unit, study_id: RowId) -> tuple[Link, ...]:
    """Return the standing links of a study."""
    return _all(unit, codec.LINK, _links_of_study, id=study_id)


def links_of_order(unit: Unit, order_id: RowId) -> tuple[Link, ...]:
    """Return the standing links of an order's procedures."""
    return _all(unit, codec.LINK, _links_of_order, id=order_id)


def holds_of_study(unit: Unit, study_id: RowId) -> tuple[Hold, ...]:
    """Return all holds of a study, resolved ones too."""
    return _all(unit, codec.HOLD, _holds_of_study, id=study_id)


_open_orders = Statement(
    select(table.imaging_order.c.id)
    .where(
        table.imaging_order.c.patient_id == bindparam("id"),
        or_(*(table.imaging_order.c.state == state for state in ("PLACED", "SCHEDULED", "HELD", "IN_PROGRESS"))),
    )
    .order_by(table.imaging_order.c.id)
)


def open_orders_of_patient(unit: Unit, patient_id: RowId) -> list[RowId]:
    """Return the orders of a patient that a modality may still ask for."""
    return [row[0] for row in unit.rows(_open_orders, {"id": patient_id})]


_next_quiet = select(func.min(table.study.c.quiet_due_at))


def next_quiet(connection: Connection) -> datetime | None:
    """Return when the next quiet timer fires; None when no study is receiving."""
    due = connection.execute(_next_quiet).scalar()
    return from_micros(due) if due is not None else None


_instance_blob = select(table.instance.c.id).where(table.instance.c.blob == bindparam("key")).limit(1)
_document_blob = select(table.report_attachment.c.id).where(table.report_attachment.c.blob == bindparam("key")).limit(1)
_message_blob = (
    select(table.message.c.id)
    .where(table.message.c.body_blob == bindparam("key"), table.message.c.body_blob != "")
    .limit(1)
)


def knows_blob(connection: Connection, key: BlobKey) -> bool:
    """Whether any row refers to a stored object."""
    queries = (_instance_blob, _message_blob, _document_blob)
    return any(connection.execute(query, {"key": key}).first() is not None for query in queries)
