"""The outbox: notices that wait for their receiver, written with the change they tell of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from engine.core.ids import RowId
from engine.records.state import DeliveryState
from engine.store import table
from engine.store.codec import from_micros, to_micros
from engine.store.unit import Unit

_OPEN = (DeliveryState.READY.value, DeliveryState.RETRY.value, DeliveryState.SENT.value)

_insert = insert(table.delivery)
_update = update(table.delivery).where(table.delivery.c.id == bindparam("row_id"))
_columns = (
    table.delivery.c.id,
    table.delivery.c.route,
    table.delivery.c.lane,
    table.delivery.c.control_id,
    table.delivery.c.body,
    table.delivery.c.attempts,
    table.delivery.c.due_at,
    table.delivery.c.created_at,
    table.delivery.c.give_up_at,
)
_heads = (
    select(*_columns)
    .where(
        table.delivery.c.id.in_(
            select(func.min(table.delivery.c.id))
            .where(table.delivery.c.destination == bindparam("destination"), table.delivery.c.state.in_(_OPEN))
            .group_by(table.delivery.c.lane)
        )
    )
    .order_by(table.delivery.c.due_at, table.delivery.c.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A notice at the head of its lane."""

    id: RowId
    route: str
    lane: str
    control_id: str
    body: bytes
    attempts: int
    due_at: datetime
    created_at: datetime
    give_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A notice to be written: to whom, in which lane, which bytes, and what it is about."""

    route: str
    kind: str
    destination: str
    lane: str
    control_id: str
    body: bytes
    give_up_at: datetime | None = None
    event_id: RowId | None = None
    event_name: str = ""
    order_id: RowId | None = None
    study_id: RowId | None = None


def post(unit: Unit, row: RowId, posted: Posted) -> None:
    """Write a notice; it is sent after the commit."""
    now = to_micros(unit.now)
    unit.connection.execute(
        _insert,
        {
            "id": row,
            "route": posted.route,
            "kind": posted.kind,
            "destination": posted.destination,
            "lane": posted.lane,
            "control_id": posted.control_id,
            "body": posted.body,
            "state": DeliveryState.READY.value,
            "created_at": now,
            "due_at": now,
            "give_up_at": to_micros(posted.give_up_at) if posted.give_up_at else None,
            "event_id": posted.event_id,
            "event_name": posted.event_name,
            "order_id": posted.order_id,
            "study_id": posted.study_id,
        },
    )


def heads(connection: Connection, destination: str, most: int) -> Sequence[Waiting]:
    """Return the oldest open notice of every lane of a destination, the first due first."""
    return [
        Waiting(
            id=row.id,
            route=row.route,
            lane=row.lane,
            control_id=row.control_id,
            body=row.body,
            attempts=row.attempts,
            due_at=from_micros(row.due_at),
            created_at=from_micros(row.created_at),
            give_up_at=from_micros(row.give_up_at) if row.give_up_at is not None else None,
        )
        for row in connection.execute(_heads, {"destination": destination, "most": most})
    ]


def record_attempt(
    unit: Unit,
    notice: Waiting,
    state: DeliveryState,
    *,
    due_at: datetime,
    answer_code: str,
    answer_text: str,
    answer: bytes = b"",
) -> None:
    """Keep what became of an attempt to deliver."""
    values = {
        "row_id": notice.id,
        "state": state.value,
        "attempts": notice.attempts + 1,
        "due_at": to_micros(due_at),
        "last_tried_at": to_micros(unit.now),
        "answer_code": answer_code,
        "answer_text": answer_text,
        "answer": answer,
    }
    if notice.attempts == 0:
        values["first_tried_at"] = to_micros(unit.now)
    unit.connection.execute(_update, values)


def order_of(unit: Unit, row: RowId) -> RowId | None:
    """Return the order that a notice is about, if any."""
    found = unit.connection.execute(select(table.delivery.c.order_id).where(table.delivery.c.id == row)).first()
    return found[0] if found else None
