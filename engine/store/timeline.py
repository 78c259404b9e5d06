"""Everything known about one order, or one study, read in one moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.record import (
    Event,
    Hold,
    ImagingOrder,
    Link,
    OrderIdentifier,
    RequestedProcedure,
    ScheduledStep,
    Series,
    Study,
)
from engine.records.state import HoldState
from engine.store import codec, table
from engine.store.paging import records_by
from engine.store.person import survivors
from engine.store.report_file import ReportFile, reports_of
from engine.store.traffic import MessageHead, NoticeHead, message_heads, notices_of_orders

_EVENTS = 1_000
"""Most events of one record that are told; the oldest are kept, the timeline says where it was cut."""
_accession = (
    select(table.order_identifier.c.order_id, table.order_identifier.c.issuer)
    .where(table.order_identifier.c.value == bindparam("value"), table.order_identifier.c.kind == "accession")
    .order_by(table.order_identifier.c.order_id)
)
_order = codec.IMAGING_ORDER.select.where(table.imaging_order.c.id == bindparam("id"))
_study = codec.STUDY.select.where(table.study.c.study_uid == bindparam("study_uid"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFile:
    """An order with all that belongs to it. `studies` are those linked now, and those held because of it."""

    order: ImagingOrder
    identifiers: tuple[OrderIdentifier, ...]
    patient: KnownPatient | None
    procedures: tuple[RequestedProcedure, ...]
    steps: tuple[ScheduledStep, ...]
    links: tuple[Link, ...]
    """Standing ones."""
    studies: tuple[Study, ...]
    holds: tuple[Hold, ...]
    events: tuple[Event, ...]
    notices: tuple[NoticeHead, ...]
    messages: tuple[MessageHead, ...]
    reports: tuple[ReportFile, ...] = ()
    """Those linked to its procedures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """A study with all that belongs to it. `orders` are those of its standing links and of its holds."""

    study: Study
    patient: KnownPatient | None
    """Whose it is, once that is decided."""
    series: tuple[Series, ...]
    links: tuple[Link, ...]
    """All that ever were, undone ones too."""
    procedures: tuple[RequestedProcedure, ...]
    orders: tuple[ImagingOrder, ...]
    order_patients: dict[RowId, KnownPatient]
    """By row of `orders[].patient_id`."""
    holds: tuple[Hold, ...]
    events: tuple[Event, ...]
    notices: tuple[NoticeHead, ...]


def accession_owners(connection: Connection, accession: str) -> tuple[tuple[RowId, str], ...]:
    """Return (order, issuer of the accession number) of every order under this number."""
    return tuple((RowId(row[0]), row[1]) for row in connection.execute(_accession, {"value": accession}))


def order_file(connection: Connection, row: RowId) -> OrderFile | None:
    """Return an order by row; None when there is none."""
    found = connection.execute(_order, {"id": row}).first()
    if found is None:
        return None
    order = codec.IMAGING_ORDER.record(found)
    procedures = _of(connection, codec.REQUESTED_PROCEDURE, table.requested_procedure, "order_id", [row])
    procedure_rows = [procedure.id for procedure in procedures]
    links = _standing(_of(connection, codec.LINK, table.link, "procedure_id", procedure_rows))
    order_holds = _of(connection, codec.HOLD, table.hold, "order_id", [row])
    waiting = [hold.study_id for hold in order_holds if hold.study_id is not None and hold.state is HoldState.OPEN]
    study_rows = list(dict.fromkeys([*(link.study_id for link in links), *waiting]))
    study_holds = _of(connection, codec.HOLD, table.hold, "study_id", [link.study_id for link in links])
    holds = {hold.id: hold for hold in (*order_holds, *study_holds)}
    reports = reports_of(connection, procedure_rows)
    events = _events(
        connection,
        order_rows=[row],
        study_rows=[link.study_id for link in links],
        report_rows=[each.report.id for each in reports],
    )
    causes = [event.cause_id for event in events if event.cause_kind == "message"]
    return OrderFile(
        order=order,
        identifiers=_of(connection, codec.ORDER_IDENTIFIER, table.order_identifier, "order_id", [row]),
        patient=survivors(connection, [order.patient_id]).get(order.patient_id),
        procedures=procedures,
        steps=_of(connection, codec.SCHEDULED_STEP, table.scheduled_step, "procedure_id", procedure_rows),
        links=links,
        studies=_of(connection, codec.STUDY, table.study, "id", study_rows),
        holds=tuple(holds[hold] for hold in sorted(holds)),
        events=events,
        notices=notices_of_orders(connection, [row]),
        messages=message_heads(connection, list(dict.fromkeys([order.cause_id, *causes]))),
        reports=reports,
    )


def study_file(connection: Connection, study_uid: str) -> StudyFile | None:
    """Return a study by Study Instance UID; None when there is none."""
    found = connection.execute(_study, {"study_uid": study_uid}).first()
    if found is None:
        return None
    study = codec.STUDY.record(found)
    links = _of(connection, codec.LINK, table.link, "study_id", [study.id])
    procedures = _of(
        connection, codec.REQUESTED_PROCEDURE, table.requested_procedure, "id", {link.procedure_id for link in links}
    )
    holds = _of(connection, codec.HOLD, table.hold, "study_id", [study.id])
    order_rows = {procedure.order_id for procedure in procedures}
    order_rows |= {hold.order_id for hold in holds if hold.order_id is not None}
    orders = _of(connection, codec.IMAGING_ORDER, table.imaging_order, "id", order_rows)
    patient_rows = {order.patient_id for order in orders}
    if study.patient_id is not None:
        patient_rows.add(study.patient_id)
    patients = survivors(connection, patient_rows)
    notices = notices_of_orders(connection, list(order_rows))
    return StudyFile(
        study=study,
        patient=patients.get(study.patient_id) if study.patient_id is not None else None,
        series=_of(connection, codec.SERIES, table.series, "study_id", [study.id]),
        links=links,
        procedures=procedures,
        orders=orders,
        order_patients=patients,
        holds=holds,
        events=_events(connection, order_rows=[], study_rows=[study.id], report_rows=[]),
        notices=tuple(notice for notice in notices if notice.study_id == study.id),
    )


def events_caused_by(connection: Connection, kind: str, row: RowId) -> tuple[Event, ...]:
    """Return what a message, an instance or a person made happen, the oldest first."""
    of = table.event.c
    statement = codec.EVENT.select.where(of.cause_id == row, of.cause_kind == kind).order_by(of.id).limit(_EVENTS)
    return tuple(codec.EVENT.record(each) for each in connection.execute(statement))


def orders_by_row(connection: Connection, rows: Iterable[RowId]) -> dict[RowId, ImagingOrder]:
    """Return the orders of these rows that exist."""
    return {order.id: order for order in _of(connection, codec.IMAGING_ORDER, table.imaging_order, "id", set(rows))}


def studies_by_row(connection: Connection, rows: Iterable[RowId]) -> dict[RowId, Study]:
    """Return the studies of these rows that exist."""
    return {study.id: study for study in _of(connection, codec.STUDY, table.study, "id", set(rows))}


def hold_record(connection: Connection, row: RowId) -> Hold | None:
    """Return a hold by row."""
    found = _of(connection, codec.HOLD, table.hold, "id", [row])
    return found[0] if found else None


def _standing(links: Sequence[Link]) -> tuple[Link, ...]:
    return tuple(link for link in links if link.undone_at is None)


def _of(
    connection: Connection, of: codec.Codec[codec.R], among: Any, column: str, rows: Iterable[RowId]
) -> tuple[codec.R, ...]:
    grouped = records_by(connection, of, among, column, list(rows))
    found = [record for records in grouped.values() for record in records]
    return tuple(sorted(found, key=lambda record: record.id))  # type: ignore[attr-defined]  # every record has an id


def _events(
    connection: Connection, *, order_rows: list[RowId], study_rows: list[RowId], report_rows: list[RowId]
) -> tuple[Event, ...]:
    """Return the events about these orders, and those about these studies and reports that name no other order."""
    of = table.event.c
    wanted = ((of.order_id, order_rows), (of.study_id, study_rows), (of.report_id, report_rows))
    about = [column.in_(rows) for column, rows in wanted if rows]
    statement = codec.EVENT.select.where(or_(*about)).order_by(of.id).limit(_EVENTS)
    found = [codec.EVENT.record(row) for row in connection.execute(statement)]
    return tuple(event for event in found if not order_rows or event.order_id is None or event.order_id in order_rows)
