"""Lists a page at a time, the newest first. Every list is cut by an index or by a bound on the rows that are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, or_, select

from engine.core.ids import RowId
from engine.store.codec import Codec, R

T = TypeVar("T")

COUNT_BOUND = 100_000
"""Counting stops here: a larger total is told as this."""
_WINDOW = 20_000
"""How many rows are looked at for one page of a list that no index can narrow."""
Conditions = Sequence[ColumnElement[bool]]


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


def records_page(
    connection: Connection,
    of: Codec[R],
    among: Table,
    narrow: Conditions,
    cut: Cut,
    further: Conditions = (),
    *,
    moment: ColumnElement[int] | None = None,
) -> Page[R]:
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
    narrow: Conditions,
    cut: Cut,
    further: Conditions = (),
    *,
    moment: ColumnElement[int] | None = None,
) -> tuple[Sequence[Row[Any]], RowId | None]:
    """Return the rows of a page, each with its id first, and the row to go on after; see `records_page`."""
    conditions = [*narrow, *_after(connection, among, cut.after, moment)]
    order = (among.c.id.desc(),) if moment is None else (moment.desc(), among.c.id.desc())
    floor: RowId | None = None
    if further:
        window = select(among.c.id).where(*conditions).order_by(among.c.id.desc()).limit(_WINDOW).subquery()
        tried, floor = connection.execute(select(func.count(), func.min(window.c.id))).one()
        if tried < _WINDOW:
            floor = None
        elif floor is not None:
            conditions.append(among.c.id >= floor)
        conditions.extend(further)
    found = connection.execute(statement.where(*conditions).order_by(*order).limit(cut.limit + 1)).fetchall()
    if len(found) > cut.limit:
        return (found[: cut.limit], RowId(found[cut.limit - 1][0]))
    return (found, floor)


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


def count(connection: Connection, among: Table, conditions: Conditions, bound: int = COUNT_BOUND) -> int:
    """Return how many rows meet the conditions, counted up to `bound`."""
    some = select(among.c.id).where(*conditions).limit(bound).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def records_by(
    connection: Connection,
    of: Codec[R],
    among: Table,
    column: str,
    rows: list[RowId],
    *conditions: ColumnElement[bool],
) -> defaultdict[RowId, list[R]]:
    """Return the records that name any of `rows` in `column`, by row."""
    grouped: defaultdict[RowId, list[R]] = defaultdict(list)
    if rows:
        statement = of.select.where(among.c[column].in_(rows), *conditions).order_by(among.c.id)
        for row in connection.execute(statement):
            record = of.record(row)
            grouped[getattr(record, column)].append(record)
    return grouped
