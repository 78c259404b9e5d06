"""Reads what FHIR resources are made of: a requested procedure with its order, a patient, a study.

Logical ids are row ids. Every search is by an indexed key or walks the primary key, and is bounded by a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, bindparam, func, or_, select

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.records.record import OrderIdentifier, RequestedProcedure, Series, Study
from engine.store import codec, table
from engine.store.codec import from_micros
from engine.store.statement import Statement

Kind = Literal["ServiceRequest", "Patient", "ImagingStudy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedProcedure:
    """A requested procedure with all of its order.

    `version` counts the acts (messages, instances, timers, persons) that had something to do with the order, from 1;
    showing it to a modality is none.
    """

    known: KnownOrder
    procedure: RequestedProcedure
    version: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedStudy:
    """A study as its images and its standing links describe it."""

    study: Study
    series: tuple[Series, ...]
    procedures: tuple[RequestedProcedure, ...]
    """Those it is linked to."""
    accessions: tuple[OrderIdentifier, ...]
    """Accession numbers of their orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One condition of a search. `issuer` counts for `number` only: None takes any."""

    by: Literal["id", "number", "rp_id", "study_uid", "patient", "procedure", "states"]
    row: int = 0
    text: str = ""
    issuer: str | None = None
    states: tuple[str, ...] = ()


Criteria = Sequence[Sequence[Wanted]]
"""All of the outer ones must hold, each by any of its inner ones."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that a search found, by id, and how many there are in all."""

    ids: tuple[RowId, ...]
    total: int
    more: bool


_procedure_columns = len(codec.REQUESTED_PROCEDURE.columns)
_procedure = Statement(
    select(*codec.REQUESTED_PROCEDURE.columns, *codec.IMAGING_ORDER.columns)
    .join(table.imaging_order, table.imaging_order.c.id == table.requested_procedure.c.order_id)
    .where(table.requested_procedure.c.id == bindparam("id"))
)
_numbers = Statement(codec.ORDER_IDENTIFIER.select.where(table.order_identifier.c.order_id == bindparam("id")))
_steps = Statement(
    codec.SCHEDULED_STEP.select.where(table.scheduled_step.c.procedure_id == bindparam("id")).order_by(
        table.scheduled_step.c.id
    )
)
_acts = Statement(
    select(table.event.c.cause_kind, table.event.c.cause_id, table.event.c.at).where(
        table.event.c.order_id == bindparam("id"), table.event.c.name != "step.listed"
    )
)
_patient = Statement(codec.PATIENT.select.where(table.patient.c.id == bindparam("id")))
_identifiers = Statement(
    codec.PATIENT_IDENTIFIER.select.where(table.patient_identifier.c.patient_id == bindparam("id")).order_by(
        table.patient_identifier.c.id
    )
)
_is_held = (
    select(table.hold.c.id)
    .where(table.hold.c.study_id == table.study.c.id, table.hold.c.state == "open", table.hold.c.danger == "RED")
    .exists()
)
_study = Statement(codec.STUDY.select.where(table.study.c.id == bindparam("id"), ~_is_held))
_series = Statement(codec.SERIES.select.where(table.series.c.study_id == bindparam("id")).order_by(table.series.c.id))
_linked = Statement(
    select(*codec.REQUESTED_PROCEDURE.columns)
    .join(table.link, table.link.c.procedure_id == table.requested_procedure.c.id)
    .where(table.link.c.study_id == bindparam("id"), table.link.c.undone_at.is_(None))
    .order_by(table.requested_procedure.c.id)
)
_owners = Statement(
    select(table.patient_identifier.c.patient_id).where(table.patient_identifier.c.value == bindparam("value"))
)
_owners_exact = Statement(
    select(table.patient_identifier.c.patient_id).where(
        table.patient_identifier.c.value == bindparam("value"), table.patient_identifier.c.issuer == bindparam("issuer")
    )
)


def _rows(connection: Connection, statement: Statement, **values: Any) -> Sequence[Any]:
    cursor = connection.connection.cursor()
    cursor.execute(statement.sql(connection.dialect), statement.parameters(values))
    found: Sequence[Any] = cursor.fetchall()
    return found


def service_request(connection: Connection, row: RowId) -> OrderedProcedure | None:
    """Return a requested procedure with its order; None when there is none."""
    found = _rows(connection, _procedure, id=row)
    if not found:
        return None
    procedure = codec.REQUESTED_PROCEDURE.record(found[0][:_procedure_columns])
    order = codec.IMAGING_ORDER.record(found[0][_procedure_columns:])
    return of_order(
        connection,
        KnownOrder(
            order=order,
            identifiers=tuple(codec.ORDER_IDENTIFIER.record(one) for one in _rows(connection, _numbers, id=order.id)),
            procedures=(procedure,),
            steps=tuple(codec.SCHEDULED_STEP.record(one) for one in _rows(connection, _steps, id=row)),
        ),
        procedure,
    )


def of_order(connection: Connection, known: KnownOrder, procedure: RequestedProcedure) -> OrderedProcedure:
    """Return one of the procedures of an order that is loaded already."""
    acts = _rows(connection, _acts, id=known.order.id)
    return OrderedProcedure(
        known=known,
        procedure=procedure,
        version=max(1, len({tuple(act) for act in acts})),
        changed_at=max((from_micros(act[2]) for act in acts), default=known.order.placed_at),
    )


def patient(connection: Connection, row: RowId) -> KnownPatient | None:
    """Return a patient with its identifiers, a merged one as it is; None when there is none."""
    found = _rows(connection, _patient, id=row)
    if not found:
        return None
    identifiers = _rows(connection, _identifiers, id=row)
    return KnownPatient(
        patient=codec.PATIENT.record(found[0]),
        identifiers=tuple(codec.PATIENT_IDENTIFIER.record(one) for one in identifiers),
    )


def survivor(connection: Connection, row: RowId) -> KnownPatient | None:
    """Return a patient; a merged one leads to the record that survived it."""
    found = patient(connection, row)
    while found is not None and found.patient.merged_into is not None:
        found = patient(connection, found.patient.merged_into)
    return found


def patients_with(connection: Connection, value: str, issuer: str | None) -> tuple[KnownPatient, ...]:
    """Return the surviving patients that have an identifier, each once; `issuer` None takes any."""
    statement = _owners if issuer is None else _owners_exact
    values = {"value": value} if issuer is None else {"value": value, "issuer": issuer}
    owners = (survivor(connection, row[0]) for row in _rows(connection, statement, **values))
    return tuple({owner.patient.id: owner for owner in owners if owner is not None}.values())


def imaging_study(connection: Connection, row: RowId) -> IndexedStudy | None:
    """Return a study; None when there is none, or a person must decide first whose it is (an open red hold)."""
    found = _rows(connection, _study, id=row)
    if not found:
        return None
    procedures = tuple(codec.REQUESTED_PROCEDURE.record(one) for one in _rows(connection, _linked, id=row))
    orders = dict.fromkeys(procedure.order_id for procedure in procedures)
    numbers = [codec.ORDER_IDENTIFIER.record(one) for order in orders for one in _rows(connection, _numbers, id=order)]
    return IndexedStudy(
        study=codec.STUDY.record(found[0]),
        series=tuple(codec.SERIES.record(one) for one in _rows(connection, _series, id=row)),
        procedures=procedures,
        accessions=tuple(number for number in numbers if number.kind == "accession"),
    )


Loaded = OrderedProcedure | KnownPatient | IndexedStudy


def load(connection: Connection, kind: Kind, row: RowId) -> Loaded | None:
    """Return what a resource of a type is made of; None when there is none, or it is not shown."""
    match kind:
        case "ServiceRequest":
            return service_request(connection, row)
        case "Patient":
            return patient(connection, row)
        case "ImagingStudy":
            return imaging_study(connection, row)


def load_page(
    connection: Connection, kind: Kind, criteria: Criteria, *, after: int, count: int
) -> tuple[Page, list[Loaded]]:
    """Return a page of a search and what its resources are made of; raises and costs what `find` does."""
    page = find(connection, kind, criteria, after=after, count=count)
    loaded = (load(connection, kind, row) for row in page.ids)
    return page, [one for one in loaded if one is not None]


def find(connection: Connection, kind: Kind, criteria: Criteria, *, after: int = 0, count: int = 50) -> Page:
    """Return the rows of a kind for which all criteria hold, by id.

    Args:
        connection: Where to look.
        kind: Whose rows.
        criteria: None of them finds everything.
        after: Rows up to this id were given before.
        count: Most rows of the page; 0 only counts.
    """
    of, conditions = _TABLES[kind]
    clauses = [or_(*(conditions(wanted) for wanted in alternatives)) for alternatives in criteria]
    if kind == "ImagingStudy":
        clauses.append(~_is_held)
    total = connection.execute(select(func.count()).select_from(of).where(and_(True, *clauses))).scalar_one()
    page: Select[Any] = select(of.c.id).where(of.c.id > after, *clauses).order_by(of.c.id).limit(count + 1)
    ids = [RowId(row[0]) for row in connection.execute(page)] if count else []
    return Page(tuple(ids[:count]), total, more=len(ids) > count)


def _number(of: Table, wanted: Wanted) -> list[ColumnElement[bool]]:
    clauses = [of.c.value == wanted.text]
    if wanted.issuer is not None:
        clauses.append(of.c.issuer == wanted.issuer)
    return clauses


def _of_procedure(wanted: Wanted) -> ColumnElement[bool]:
    of = table.requested_procedure
    match wanted.by:
        case "id" | "procedure":
            return of.c.id == wanted.row
        case "study_uid":
            return of.c.study_uid == wanted.text
        case "rp_id":
            listed = select(table.scheduled_step.c.procedure_id).join(
                table.worklist_item, table.worklist_item.c.step_id == table.scheduled_step.c.id
            )
            return of.c.id.in_(listed.where(table.worklist_item.c.rp_id == wanted.text))
        case "number":
            number = table.order_identifier
            return of.c.order_id.in_(select(number.c.order_id).where(*_number(number, wanted)))
        case "patient":
            return of.c.order_id.in_(
                select(table.imaging_order.c.id).where(table.imaging_order.c.patient_id == wanted.row)
            )
        case "states":
            return of.c.state.in_(wanted.states)


def _of_patient(wanted: Wanted) -> ColumnElement[bool]:
    number = table.patient_identifier
    match wanted.by:
        case "number":
            return table.patient.c.id.in_(select(number.c.patient_id).where(*_number(number, wanted)))
        case "states":
            return table.patient.c.state.in_(wanted.states)
        case _:
            return table.patient.c.id == wanted.row


def _of_study(wanted: Wanted) -> ColumnElement[bool]:
    of, number = table.study, table.order_identifier
    linked = select(table.link.c.study_id).where(table.link.c.undone_at.is_(None))
    match wanted.by:
        case "id":
            return of.c.id == wanted.row
        case "study_uid":
            return of.c.study_uid == wanted.text
        case "number":
            own = [of.c.accession_number == wanted.text]
            if wanted.issuer is not None:
                own.append(of.c.accession_issuer == wanted.issuer)
            of_order = (
                linked.join(table.requested_procedure, table.requested_procedure.c.id == table.link.c.procedure_id)
                .join(number, number.c.order_id == table.requested_procedure.c.order_id)
                .where(number.c.kind == "accession", *_number(number, wanted))
            )
            return or_(and_(*own), of.c.id.in_(of_order))
        case "patient":
            return of.c.patient_id == wanted.row
        case "procedure":
            return of.c.id.in_(linked.where(table.link.c.procedure_id == wanted.row))
        case "states":
            return of.c.state.in_(wanted.states)
        case "rp_id":
            procedure = table.requested_procedure
            return of.c.id.in_(
                linked.join(procedure, procedure.c.id == table.link.c.procedure_id).where(
                    procedure.c.rp_id == wanted.text
                )
            )


_TABLES: dict[Kind, tuple[Table, Callable[[Wanted], ColumnElement[bool]]]] = {
    "ServiceRequest": (table.requested_procedure, _of_procedure),
    "Patient": (table.patient, _of_patient),
    "ImagingStudy": (table.study, _of_study),
}
