"""Figures for the home page and the metrics: counted by index, and only up to a bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from engine.records.state import DeliveryState, HoldState, MessageState, OrderState
from engine.store import table
from engine.store.codec import from_micros, to_micros
from engine.store.paging import count

BOUND = 10_000
"""Counting stops here: a larger figure is told as this."""
_OPEN = (DeliveryState.READY, DeliveryState.RETRY, DeliveryState.SENT)
_TRIED = (DeliveryState.SENT, DeliveryState.RETRY, DeliveryState.DELIVERED, DeliveryState.DEAD)
_d = table.delivery.c


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFigures:
    """The outbox of one destination: what waits, since when, and the newest answer."""

    waiting: int
    oldest_at: datetime | None
    dead: int
    answered_at: datetime | None
    answer_code: str


def lane_figures(connection: Connection, destination: str) -> LaneFigures:
    """Return how the outbox of a destination stands."""
    of = table.delivery
    first = [moment for state in _OPEN if (moment := _edge(connection, destination, state)) is not None]
    newest = [answer for state in _TRIED if (answer := _newest(connection, destination, state)) is not None]
    last = max(newest, default=None)
    return LaneFigures(
        waiting=sum(count(connection, of, [*_in(destination, state)], BOUND) for state in _OPEN),
        oldest_at=from_micros(min(first)) if first else None,
        dead=count(connection, of, [*_in(destination, DeliveryState.DEAD)], BOUND),
        answered_at=from_micros(last[0]) if last is not None else None,
        answer_code=last[1] if last is not None else "",
    )


def _in(destination: str, state: DeliveryState) -> tuple[ColumnElement[bool], ...]:
    return (_d.destination == destination, _d.state == state.value)


def _edge(connection: Connection, destination: str, state: DeliveryState) -> int | None:
    statement = select(_d.created_at).where(*_in(destination, state)).order_by(_d.id).limit(1)
    found: int | None = connection.execute(statement).scalar()
    return found


def _newest(connection: Connection, destination: str, state: DeliveryState) -> tuple[int, str] | None:
    statement = select(_d.last_tried_at, _d.answer_code).where(*_in(destination, state)).order_by(_d.id.desc()).limit(1)
    found = connection.execute(statement).first()
    return (found[0], found[1]) if found is not None and found[0] is not None else None


def orders_by_state(connection: Connection) -> dict[str, int]:
    """Return how many orders are in each state, each up to `BOUND`; states without any are left out."""
    of = table.imaging_order
    counted = {state.value: count(connection, of, [of.c.state == state.value], BOUND) for state in OrderState}
    return {state: number for state, number in counted.items() if number}


def open_holds(connection: Connection) -> dict[str, int]:
    """Return how many open holds there are of each danger class, counted among the newest `BOUND`."""
    of = table.hold.c
    some = select(of.danger).where(of.state == HoldState.OPEN.value).limit(BOUND).subquery()
    counted = connection.execute(select(some.c.danger, func.count()).group_by(some.c.danger))
    return {row[0]: row[1] for row in counted}


def messages_since(connection: Connection, moment: datetime) -> dict[str, int]:
    """Return how many messages of each state were received since then, each up to `BOUND`."""
    of = table.message
    return {
        state.value: count(connection, of, [of.c.state == state.value, of.c.received_at >= to_micros(moment)], BOUND)
        for state in MessageState
    }
