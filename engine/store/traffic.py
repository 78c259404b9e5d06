"""What came in and what went out, for reading: the journal and the outbox, listed and one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, select

from engine.core.ids import RowId
from engine.records.state import DeliveryState, MessageState
from engine.store import table
from engine.store.codec import from_micros, to_micros
from engine.store.paging import Cut, Page, cut_rows

_m = table.message.c
_d = table.delivery.c
_message_head: Select[Any] = select(
    _m.id,
    _m.received_at,
    _m.kind,
    _m.listener,
    _m.peer,
    _m.sender,
    _m.control_id,
    _m.message_type,
    _m.size_bytes,
    _m.state,
    _m.code,
    _m.text,
    _m.place,
    _m.routes,
    _m.revision,
)
_message_content = select(_m.body, _m.body_blob, _m.answer, _m.validation).where(_m.id == bindparam("id"))
_notice_head: Select[Any] = select(
    _d.id,
    _d.route,
    _d.kind,
    _d.destination,
    _d.control_id,
    _d.state,
    _d.attempts,
    _d.created_at,
    _d.due_at,
    _d.first_tried_at,
    _d.last_tried_at,
    _d.answer_code,
    _d.answer_text,
    _d.event_id,
    _d.order_id,
    _d.study_id,
    _d.event_name,
)
_notice_content = select(_d.body, _d.answer).where(_d.id == bindparam("id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHead:
    """A received message without its bytes."""

    id: RowId
    received_at: datetime
    kind: str
    listener: str
    peer: str
    sender: str
    control_id: str
    message_type: str
    size_bytes: int
    state: MessageState
    code: str
    text: str
    place: str
    routes: tuple[str, ...]
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """The bytes of a received message, or the blob that holds them, and our answer."""

    body: bytes | None
    body_blob: str
    answer: bytes
    validation: str = ""
    """What validation found, as JSON; "" for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """What the journal is narrowed by; None leaves open."""

    control_id: str | None = None
    state: MessageState | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeHead:
    """An outgoing notice without its bytes. `answer_code` is "" until somebody answered."""

    id: RowId
    route: str
    kind: str
    destination: str
    control_id: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    due_at: datetime
    first_tried_at: datetime | None
    last_tried_at: datetime | None
    answer_code: str
    answer_text: str
    event_id: RowId | None
    order_id: RowId | None
    study_id: RowId | None
    event_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFilter:
    """What the outbox is narrowed by; None leaves open."""

    destination: str | None = None
    state: DeliveryState | None = None


def messages(connection: Connection, wanted: MessageFilter, cut: Cut) -> Page[MessageHead]:
    """Return received messages, the newest first."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.control_id is not None:
        conditions.append(_m.control_id == wanted.control_id)
    if wanted.state is not None:
        conditions.append(_m.state == wanted.state.value)
    if wanted.since is not None:
        conditions.append(_m.received_at >= to_micros(wanted.since))
    rows, following = cut_rows(connection, _message_head, table.message, conditions, cut, moment=_m.received_at)
    return Page(rows=tuple(map(_message, rows)), next=following)


def message_heads(connection: Connection, rows: Sequence[RowId]) -> tuple[MessageHead, ...]:
    """Return the messages of these rows that exist, the oldest first."""
    if not rows:
        return ()
    return tuple(map(_message, connection.execute(_message_head.where(_m.id.in_(rows)).order_by(_m.id))))


def message_content(connection: Connection, row: RowId) -> MessageContent:
    """Return the bytes of a message that exists."""
    found = connection.execute(_message_content, {"id": row}).one()
    return MessageContent(
        body=found.body, body_blob=found.body_blob, answer=found.answer or b"", validation=found.validation
    )


def notices(connection: Connection, wanted: NoticeFilter, cut: Cut) -> Page[NoticeHead]:
    """Return outgoing notices, the newest first."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.destination is not None:
        conditions.append(_d.destination == wanted.destination)
    if wanted.state is not None:
        conditions.append(_d.state == wanted.state.value)
    moment = _d.created_at if wanted.state is not None and wanted.destination is None else None
    rows, following = cut_rows(connection, _notice_head, table.delivery, conditions, cut, moment=moment)
    return Page(rows=tuple(map(_notice, rows)), next=following)


def notices_of_orders(connection: Connection, orders: Sequence[RowId]) -> tuple[NoticeHead, ...]:
    """Return every notice about these orders, the oldest first."""
    statement = _notice_head.where(_d.order_id.in_(orders)).order_by(_d.id)
    return tuple(map(_notice, connection.execute(statement))) if orders else ()


def notices_of_events(connection: Connection, events: Sequence[RowId]) -> tuple[NoticeHead, ...]:
    """Return every notice that these events, or this forwarded message, called for."""
    statement = _notice_head.where(_d.event_id.in_(events)).order_by(_d.id)
    return tuple(map(_notice, connection.execute(statement))) if events else ()


def notice(connection: Connection, row: RowId) -> NoticeHead | None:
    """Return a notice by row."""
    found = connection.execute(_notice_head.where(_d.id == row)).first()
    return _notice(found) if found is not None else None


def notice_content(connection: Connection, row: RowId) -> tuple[bytes, bytes]:
    """Return what a notice that exists says and what was answered to it, b"" while nothing was."""
    body, answer = connection.execute(_notice_content, {"id": row}).one()
    return (body or b"", answer or b"")


def _message(row: Row[Any]) -> MessageHead:
    values = row._asdict()
    values["received_at"] = from_micros(values["received_at"])
    values["state"] = MessageState(values["state"])
    values["routes"] = tuple(values["routes"].split())
    return MessageHead(**values)


def _notice(row: Row[Any]) -> NoticeHead:
    values = row._asdict()
    for name in ("created_at", "due_at", "first_tried_at", "last_tried_at"):
        if values[name] is not None:
            values[name] = from_micros(values[name])
    values["state"] = DeliveryState(values["state"])
    return NoticeHead(**values)
