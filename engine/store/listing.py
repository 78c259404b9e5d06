"""Lists of orders, studies and holds, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, literal, or_, select

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.record import Hold, ImagingOrder, Link, RequestedProcedure, Study
from engine.records.state import Danger, HoldState, OrderState, StudyState
from engine.store import codec, table
from engine.store.paging import Cut, Page, count, records_by, records_page
from engine.store.person import rows_with, survivors

_GRAVE = (Danger.RED.value, Danger.AMBER.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """What a list of orders is narrowed by; None leaves open. `number` is an accession, placer or filler number."""

    patient_id: str | None = None
    accession: str | None = None
    number: str | None = None
    state: OrderState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """An order in a list."""

    order: ImagingOrder
    patient: KnownPatient | None
    procedures: tuple[RequestedProcedure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFilter:
    """What a list of studies is narrowed by; `held` asks for those that a person must decide about."""

    state: StudyState | None = None
    held: bool | None = None
    linked: bool | None = None
    patient_id: str | None = None
    accession: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study in a list, with its standing links and open holds."""

    study: Study
    links: tuple[Link, ...]
    holds: tuple[Hold, ...]


def orders(connection: Connection, wanted: OrderFilter, cut: Cut) -> Page[OrderRow]:
    """Return orders, the newest first."""
    of = table.imaging_order
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(of.c.state == wanted.state.value)
    if wanted.patient_id is not None:
        conditions.append(of.c.patient_id.in_(rows_with(connection, wanted.patient_id)))
    for kind, value in (("accession", wanted.accession), (None, wanted.number)):
        if value is not None:
            conditions.append(of.c.id.in_(_orders_numbered(connection, value, kind)))
    page = records_page(connection, codec.IMAGING_ORDER, of, conditions, cut)
    found: tuple[ImagingOrder, ...] = page.rows
    patients = survivors(connection, {order.patient_id for order in found})
    procedures = records_by(
        connection, codec.REQUESTED_PROCEDURE, table.requested_procedure, "order_id", [order.id for order in found]
    )
    rows = tuple(
        OrderRow(order=order, patient=patients.get(order.patient_id), procedures=tuple(procedures[order.id]))
        for order in found
    )
    return Page(rows=rows, next=page.next, total=count(connection, of, conditions))


def _orders_numbered(connection: Connection, value: str, kind: str | None) -> list[RowId]:
    of = table.order_identifier
    statement = select(of.c.order_id).where(of.c.value == value)
    if kind is not None:
        statement = statement.where(of.c.kind == kind)
    return [row[0] for row in connection.execute(statement)]


_linked = exists(select(literal(1)).where(table.link.c.study_id == table.study.c.id, table.link.c.undone_at.is_(None)))
_on_hold = table.study.c.id.in_(
    select(table.hold.c.study_id).where(
        table.hold.c.state == HoldState.OPEN.value,
        table.hold.c.danger.in_(_GRAVE),
        table.hold.c.study_id.is_not(None),
    )
)


def studies(connection: Connection, wanted: StudyFilter, cut: Cut) -> Page[StudyRow]:
    """Return studies, the newest first. A page may hold fewer than asked for and still have a `next`."""
    of = table.study
    narrow: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        narrow.append(of.c.state == wanted.state.value)
    if wanted.patient_id is not None:
        owners = rows_with(connection, wanted.patient_id)
        narrow.append(or_(of.c.dicom_patient_id == wanted.patient_id, of.c.patient_id.in_(owners)))
    if wanted.accession is not None:
        narrow.append(of.c.accession_number == wanted.accession)
    if wanted.held:
        narrow.append(_on_hold)
    further: list[ColumnElement[bool]] = []
    if wanted.linked is not None:
        further.append(_linked if wanted.linked else ~_linked)
    if wanted.held is not None:
        further.append(~_linked if wanted.held else or_(_linked, ~_on_hold))
    page = records_page(connection, codec.STUDY, of, narrow, cut, further)
    return Page(rows=_study_rows(connection, page.rows), next=page.next)


def _study_rows(connection: Connection, found: Sequence[Study]) -> tuple[StudyRow, ...]:
    rows = [study.id for study in found]
    links = records_by(connection, codec.LINK, table.link, "study_id", rows, table.link.c.undone_at.is_(None))
    holds = records_by(connection, codec.HOLD, table.hold, "study_id", rows, table.hold.c.state == HoldState.OPEN.value)
    return tuple(StudyRow(study=study, links=tuple(links[study.id]), holds=tuple(holds[study.id])) for study in found)


def holds(connection: Connection, state: HoldState | None, danger: Danger | None, cut: Cut) -> Page[Hold]:
    """Return holds, the newest first."""
    of = table.hold
    conditions: list[ColumnElement[bool]] = []
    if state is not None:
        conditions.append(of.c.state == state.value)
    if danger is not None:
        conditions.append(of.c.danger == danger.value)
    moment = of.c.raised_at if state is not None else None  # the index that orders by time begins with the state
    page = records_page(connection, codec.HOLD, of, conditions, cut, moment=moment)
    return Page(rows=page.rows, next=page.next, total=count(connection, of, conditions))
