"""The journal: every message as it came, what became of it, and what it was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, insert, select

from engine.core.ids import RowId
from engine.records.state import MessageState
from engine.store import table
from engine.store.codec import to_micros
from engine.store.statement import Statement
from engine.store.unit import Unit

_insert = Statement(insert(table.message).values({column.name: bindparam(column.name) for column in table.message.c}))
_duplicate = Statement(
    select(table.message.c.id, table.message.c.sha256, table.message.c.answer)
    .where(
        table.message.c.control_id == bindparam("control_id"),
        table.message.c.sender == bindparam("sender"),
        table.message.c.kind == bindparam("kind"),
        table.message.c.received_at >= bindparam("since"),
        table.message.c.state != MessageState.REFUSED.value,
    )
    .order_by(table.message.c.id.desc())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the journal. `body` are the bytes as received."""

    kind: str
    """mllp, fhir."""
    listener: str
    peer: str
    sender: str
    control_id: str
    message_type: str
    body: bytes | None
    body_blob: str = ""
    size_bytes: int
    sha256: str
    state: MessageState
    code: str = ""
    text: str = ""
    place: str = ""
    routes: tuple[str, ...] = ()
    revision: str = ""
    validation: str = ""
    """What validation found, as JSON; "" for nothing."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A message with the same sender and control id."""

    id: RowId
    same_bytes: bool
    answer: bytes


def write(unit: Unit, row: RowId, entry: Entry, received_at: datetime, answer: bytes | None) -> None:
    """Keep a message and what it was answered."""
    unit.run(
        _insert,
        {
            "id": row,
            "received_at": to_micros(received_at),
            "kind": entry.kind,
            "listener": entry.listener,
            "peer": entry.peer,
            "sender": entry.sender,
            "control_id": entry.control_id,
            "message_type": entry.message_type,
            "body": entry.body,
            "body_blob": entry.body_blob,
            "size_bytes": entry.size_bytes,
            "sha256": entry.sha256,
            "state": entry.state.value,
            "code": entry.code,
            "text": entry.text,
            "place": entry.place,
            "answer": answer,
            "routes": " ".join(entry.routes),
            "revision": entry.revision,
            "validation": entry.validation,
        },
    )


def earlier(unit: Unit, entry: Entry, window_s: float) -> Earlier | None:
    """Return the newest accepted message of the same sender and control id within `window_s` [s], if any."""
    since = to_micros(unit.now - timedelta(seconds=window_s))
    rows = unit.rows(
        _duplicate, {"control_id": entry.control_id, "sender": entry.sender, "kind": entry.kind, "since": since}
    )
    for row, sha256, answer in rows:
        if sha256 == entry.sha256:
            return Earlier(id=row, same_bytes=True, answer=answer or b"")
    if rows:
        return Earlier(id=rows[0][0], same_bytes=False, answer=b"")
    return None
