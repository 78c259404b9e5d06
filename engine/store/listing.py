"""Lists for reading, the newest first, a page at a time. Every list is cut by an index or by a bound on rows read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, exists, func, literal, or_, select

from engine.core.ids import RowId
from engine.linkage.identity import KnownPatient
from engine.records.record import Hold, ImagingOrder, Link, RequestedProcedure, Study
from engine.records.state import Danger, HoldState, OrderState, StudyState
from engine.store import codec, table
from engine.store.codec import to_micros
from engine.store.person import rows_with, survivors

T = TypeVar("T")

COUNT_BOUND = 100_000
"""Counting stops here: a larger total is told as this."""
_WINDOW = 20_000
"""How many rows are looked at for one page of a list that no index can narrow."""
_GRAVE = (Danger.RED.value, Danger.AMBER.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list; `next` is the row to go on after, None at the end."""

    rows: tuple[T, ...]
    next: RowId | None = None
    total: int | None = None
    """How many rows the whole list has, counted up to `COUNT_BOUND`; None where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which part of a list: at most `limit` rows, those after row `after`."""

    limit: int = 100
    after: RowId | None = None


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
    page = _page(connection, codec.IMAGING_ORDER, of, conditions, cut)
    found: tuple[ImagingOrder, ...] = page.rows
    patients = survivors(connection, {order.patient_id for order in found})
    procedures = _by(
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
    page = _page(connection, codec.STUDY, of, narrow, cut, further)
    return Page(rows=_study_rows(connection, page.rows), next=page.next)


def _study_rows(connection: Connection, found: Iterable[Study]) -> tuple[StudyRow, ...]:
    rows = [study.id for study in found]
    links = _by(connection, codec.LINK, table.link, "study_id", rows, table.link.c.undone_at.is_(None))
    holds = _by(
        connection, codec.HOLD, table.hold, "study_id", rows, table.hold.c.state == HoldState.OPEN.value
    )
    return tuple(
        StudyRow(study=study, links=tuple(links[study.id]), holds=tuple(holds[study.id])) for study in found
    )


def holds(connection: Connection, state: HoldState | None, danger: Danger | None, cut: Cut) -> Page[Hold]:
    """Return holds, the newest first."""
    of = table.hold
    conditions: list[ColumnElement[bool]] = []
    if state is not None:
        conditions.append(of.c.state == state.value)
    if danger is not None:
        conditions.append(of.c.danger == danger.value)
    page = _page(connection, codec.HOLD, of, conditions, cut, moment=of.c.raised_at)
    return Page(rows=page.rows, next=page.next, total=count(connection, of, conditions))


def _page(
    connection: Connection,
    of: codec.Codec[codec.R],
    among: Table,
    narrow: list[ColumnElement[bool]],
    cut: Cut,
    further: list[ColumnElement[bool]] | None = None,
    *,
    moment: ColumnElement[int] | None = None,
) -> Page[codec.R]:
    """Return a page of records.

    Args:
        connection: Where to read.
        of: The codec of the records.
        among: Their table.
        narrow: Conditions that an index serves.
        cut: Which part.
        further: Conditions that no index serves; only the next `_WINDOW` rows are tried.
        moment: The time column of an index that orders the list; without one, row ids order it.
    """
    rows, following = cut_rows(connection, of.select, among, narrow, cut, further, moment=moment)
    return Page(rows=tuple(of.record(row) for row in rows), next=following)


def cut_rows(
    connection: Connection,
    statement: Select[Any],
    among: Table,
    narrow: list[ColumnElement[bool]],
    cut: Cut,
    further: list[ColumnElement[bool]] | None = None,
    *,
    moment: ColumnElement[int] | None = None,
) -> tuple[list[Any], RowId | None]:
    """Return the rows of a page, each with its id first, and the row to go on after; arguments as for `_page`."""
    conditions = [*narrow, *_after(connection, among, cut.after, moment)]
    order = (among.c.id.desc(),) if moment is None else (moment.desc(), among.c.id.desc())
    floor: RowId | None = None
    if further:
        window = select(among.c.id).where(and_(True, *conditions)).order_by(among.c.id.desc()).limit(_WINDOW).subquery()  # noqa: FBT003  # SQL's true
        tried, floor = connection.execute(select(func.count(), func.min(window.c.id))).one()
        if tried < _WINDOW:
            floor = None
        elif floor is not None:
            conditions.append(among.c.id >= floor)
        conditions.extend(further)
    found = connection.execute(statement.where(*conditions).order_by(*order).limit(cut.limit + 1)).fetchall()
    if len(found) > cut.limit:
        return (list(found[: cut.limit]), RowId(found[cut.limit - 1][0]))
    return (list(found), floor)


def _after(
    connection: Connection, among: Table, after: RowId | None, moment: ColumnElement[int] | None
) -> list[ColumnElement[bool]]:
    if after is None:
        return []
    if moment is None:
        return [among.c.id < after]
    at = connection.execute(select(moment).where(among.c.id == after)).scalar()
    if at is None:
        return [among.c.id < after]
    return [moment <= at, or_(moment < at, among.c.id < after)]


def count(connection: Connection, among: Table, conditions: list[ColumnElement[bool]], bound: int = COUNT_BOUND) -> int:
    """Return how many rows meet the conditions, counted up to `bound`."""
    some = select(among.c.id).where(*conditions).limit(bound).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _by(
    connection: Connection,
    of: codec.Codec[codec.R],
    among: Table,
    column: str,
    rows: list[RowId],
    *conditions: ColumnElement[bool],
) -> defaultdict[RowId, list[codec.R]]:
    """Return the records that name any of `rows` in `column`, by row."""
    grouped: defaultdict[RowId, list[codec.R]] = defaultdict(list)
    if rows:
        statement = of.select.where(among.c[column].in_(rows), *conditions).order_by(among.c.id)
        for row in connection.execute(statement):
            record = of.record(row)
            grouped[getattr(record, column)].append(record)
    return grouped


def since(moment: datetime) -> int:
    """Return a time as the tables hold it."""
    return to_micros(moment)
