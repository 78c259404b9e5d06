"""A unit of work: what one message, image or timer changes, all or nothing.

It runs in the writer thread, so it sees a consistent world without locks, and shares its transaction and its one
fsync with the units that waited beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, Row, Table, insert, select, update

from engine.core.ids import RowId
from engine.records.record import Record
from engine.store import table
from engine.store.codec import CODECS

_BLOCK = 1_000
"""How many row ids are reserved at once; a crash wastes at most that many."""


class Numbers:
    """Row ids from one counter in the database, reserved in blocks."""

    def __init__(self) -> None:
        self._next = 0
        self._end = 0
        self._reserved_since_mark = False

    def take(self, connection: Connection) -> RowId:
        """Return the next row id; larger than every one before."""
        if self._next >= self._end:
            self._reserve(connection)
        taken = self._next
        self._next += 1
        return RowId(taken)

    def mark(self) -> None:
        """Remember this moment, for `undo`."""
        self._reserved_since_mark = False

    def undo(self) -> None:
        """Forget a block that was reserved since the mark, because its savepoint was rolled back."""
        if self._reserved_since_mark:
            self.forget()

    def forget(self) -> None:
        """Drop the reserved block, because the transaction that reserved it was rolled back."""
        self._next = self._end = 0

    def _reserve(self, connection: Connection) -> None:
        row = connection.execute(select(table.number.c.next).where(table.number.c.name == "row")).first()
        if row is None:
            start = 1
            connection.execute(insert(table.number), {"name": "row", "next": start + _BLOCK})
        else:
            start = row[0]
            connection.execute(update(table.number).where(table.number.c.name == "row"), {"next": start + _BLOCK})
        self._next, self._end = start, start + _BLOCK
        self._reserved_since_mark = True


class Unit:
    """What a piece of work may do: read the world, write records, ask to be told after the commit."""

    def __init__(self, connection: Connection, numbers: Numbers, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._numbers = numbers
        self.committed: list[Callable[[], None]] = []
        """Called on the event loop once the transaction is durable, in order."""

    def new_id(self) -> RowId:
        """Return a fresh row id."""
        return self._numbers.take(self.connection)

    def insert(self, records: Iterable[Record]) -> None:
        """Write new records; consecutive ones of a class go in one statement."""
        waiting: dict[type[Any], list[dict[str, Any]]] = {}
        for kept in records:
            waiting.setdefault(type(kept), []).append(CODECS[type(kept)].row(kept))
        for cls, rows in waiting.items():
            self.connection.execute(CODECS[cls].insert, rows)

    def update(self, records: Iterable[Record]) -> None:
        """Write changed records whole."""
        for kept in records:
            codec = CODECS[type(kept)]
            row = codec.row(kept)
            row["row_id"] = row.pop("id")
            self.connection.execute(codec.update, row)

    def insert_row(self, into: Table, values: Mapping[str, Any]) -> None:
        """Write one row of a table that is not a record (journal, outbox, worklist)."""
        self.connection.execute(insert(into), dict(values))

    def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        return self.connection.execute(statement, values).fetchall()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Ask for `call` on the event loop once what was written is durable."""
        self.committed.append(call)
