"""A unit of work: what one message, image or timer changes, all or nothing.

It runs in the writer thread, so it sees a consistent world without locks, and shares its transaction and its one
fsync with the units that waited beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine.core.ids import RowId
from engine.records.record import Record
from engine.store import table
from engine.store.codec import CODECS
from engine.store.statement import Statement

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
        self._dialect = connection.dialect
        self._cursor = connection.connection.cursor()
        self.committed: list[Callable[[], None]] = []
        """Called on the event loop once the transaction is durable, in order."""

    def savepoint(self) -> None:
        """Begin: what follows can be undone without the units beside this one."""
        self._cursor.execute("SAVEPOINT unit")

    def release(self) -> None:
        """End well."""
        self._cursor.execute("RELEASE unit")

    def undo(self) -> None:
        """End badly: nothing of this unit stays."""
        self._cursor.execute("ROLLBACK TO unit")
        self._cursor.execute("RELEASE unit")

    def new_id(self) -> RowId:
        """Return a fresh row id."""
        return self._numbers.take(self.connection)

    def insert(self, records: Iterable[Record]) -> None:
        """Write new records, in the order of their classes; those of a class go in one call."""
        waiting: dict[type[Any], list[dict[str, Any]]] = {}
        for kept in records:
            waiting.setdefault(type(kept), []).append(CODECS[type(kept)].row(kept))
        for cls, rows in waiting.items():
            self.run_many(CODECS[cls].insert, rows)

    def update(self, records: Iterable[Record]) -> None:
        """Write changed records whole."""
        for kept in records:
            codec = CODECS[type(kept)]
            row = codec.row(kept)
            row["row_id"] = row["id"]
            self.run(codec.update, row)

    def run(self, statement: Statement, values: Mapping[str, Any]) -> None:
        """Run a statement that returns nothing."""
        self._cursor.execute(statement.sql(self._dialect), statement.parameters(values))

    def run_many(self, statement: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each set of values."""
        if len(rows) == 1:
            self.run(statement, rows[0])
            return
        sql = statement.sql(self._dialect)
        self._cursor.executemany(sql, [statement.parameters(row) for row in rows])

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return all rows of a query as tuples."""
        self._cursor.execute(statement.sql(self._dialect), statement.parameters(values))
        found: Sequence[Any] = self._cursor.fetchall()
        return found

    def first(self, statement: Statement, values: Mapping[str, Any]) -> Any | None:
        """Return the first row of a query as a tuple, None when there is none."""
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def after_commit(self, call: Callable[[], None]) -> None:
        """Ask for `call` on the event loop once what was written is durable."""
        self.committed.append(call)
