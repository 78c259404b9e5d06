"""The writer: what waits shares a commit, a bad unit spoils nobody, a full disk answers nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, event, func, select

from engine.core.clock import SystemClock
from engine.core.errors import InvariantError, PeerError
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.records.record import Patient
from engine.store import table
from engine.store.codec import PATIENT, from_micros, to_micros
from engine.store.database import alembic_config, migrate, open_engine, sqlite_url
from engine.store.errors import DiskFull, NotDurable
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer

NOW = datetime(2026, 11, 21, 8, 30, 15, 123456, tzinfo=UTC)


@dataclass
class Store:
    engine: Engine
    writer: Writer
    reader: Reader

    async def patients(self) -> int:
        def count(connection: object) -> int:
            return connection.execute(select(func.count()).select_from(table.patient)).scalar()  # type: ignore[attr-defined, no-any-return]

        return await self.reader.run(count)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer = Writer(engine, SystemClock(), Limits())
    writer.start()
    yield Store(engine, writer, Reader(engine))
    await writer.stop()
    engine.dispose()


def patient(unit: Unit, name: str = "TEST^ALPHA") -> RowId:
    row = unit.new_id()
    unit.insert([Patient(id=row, name=name, updated_at=NOW, cause_id=row)])
    return row


async def test_units_that_wait_together_share_one_commit(store: Store) -> None:
    gate, started = threading.Event(), threading.Event()
    blocked = store.writer.submit(lambda _unit: (started.set(), gate.wait(10)))
    await asyncio.to_thread(started.wait, 10)
    waiting = [store.writer.submit(patient) for _ in range(50)]
    gate.set()
    await asyncio.gather(blocked, *waiting)

    assert store.writer.batches == 2
    assert await store.patients() == 50


async def test_a_refused_unit_is_undone_and_the_ones_beside_it_stay(store: Store) -> None:
    def refuse(unit: Unit) -> None:
        patient(unit)
        raise PeerError("not this one")

    gate = threading.Event()
    blocked = store.writer.submit(lambda _unit: gate.wait(10))
    first, bad, last = store.writer.submit(patient), store.writer.submit(refuse), store.writer.submit(patient)
    gate.set()
    await blocked
    with pytest.raises(PeerError):
        await bad

    assert await first < await last
    assert await store.patients() == 2


async def test_a_unit_that_fails_may_leave_something_else_behind(store: Store) -> None:
    def refuse(unit: Unit) -> str:
        patient(unit)
        raise PeerError("not this one")

    answer = await store.writer.submit(refuse, lambda unit, error: f"{patient(unit)} kept: {error.text}")

    assert answer.endswith("kept: not this one")
    assert await store.patients() == 1


async def test_a_bug_in_a_unit_is_reported_as_ours_and_the_writer_lives(store: Store) -> None:
    with pytest.raises(InvariantError, match="ZeroDivisionError"):
        await store.writer.submit(lambda _unit: 1 / 0)

    await store.writer.submit(patient)
    assert await store.patients() == 1


async def test_a_rule_of_the_database_is_not_a_storage_failure(store: Store) -> None:
    row = await store.writer.submit(patient)

    with pytest.raises(InvariantError):
        await store.writer.submit(
            lambda unit: unit.insert([Patient(id=row, name="TEST^BETA", updated_at=NOW, cause_id=row)])
        )
    assert store.writer.failure is None


async def test_a_full_disk_keeps_nothing_answers_nobody_and_mends_itself(store: Store) -> None:
    def limit(pages: int) -> None:
        def work(unit: Unit) -> None:
            unit.connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        return work  # type: ignore[return-value]

    await store.writer.submit(limit(1))  # type: ignore[arg-type]  # SQLite raises it to what is used already

    def fill(unit: Unit) -> None:
        for _ in range(2000):
            patient(unit, "TEST^ALPHA" * 20)

    called = []

    def committed(unit: Unit) -> None:
        fill(unit)
        unit.after_commit(lambda: called.append("told"))

    with pytest.raises(DiskFull):
        await store.writer.submit(committed, lambda _unit, _error: None)
    assert store.writer.failure is not None
    assert called == []
    assert await store.patients() == 0

    await store.writer.submit(limit(1_000_000))  # type: ignore[arg-type]
    await store.writer.submit(fill)
    assert store.writer.failure is None
    assert await store.patients() == 2000


async def test_what_asks_for_it_is_told_after_the_commit_in_order(store: Store) -> None:
    told: list[str] = []

    def work(unit: Unit) -> None:
        unit.after_commit(lambda: told.append("first"))
        unit.after_commit(lambda: told.append("second"))

    await store.writer.submit(work)
    await asyncio.sleep(0)

    assert told == ["first", "second"]


async def test_row_ids_never_repeat_even_after_undone_units_and_a_restart(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    taken: list[int] = []

    def take(unit: Unit) -> None:
        taken.extend(unit.new_id() for _ in range(700))

    def take_and_fail(unit: Unit) -> None:
        for _ in range(700):
            unit.new_id()
        raise PeerError("no")

    for _ in range(3):
        engine = open_engine(url)
        writer = Writer(engine, SystemClock(), Limits())
        writer.start()
        await writer.submit(take)
        with pytest.raises(PeerError):
            await writer.submit(take_and_fail)
        await writer.submit(take)
        await writer.stop()
        engine.dispose()

    assert taken == sorted(set(taken))


async def test_work_after_the_stop_is_refused(store: Store) -> None:
    await store.writer.stop()

    with pytest.raises(Exception, match="STO-102"):
        await store.writer.submit(patient)


def test_a_database_that_does_not_sync_is_refused(tmp_path: Path) -> None:
    engine = open_engine("sqlite://")  # in memory: journal_mode=WAL does not hold

    with pytest.raises(NotDurable):
        engine.connect()


def test_every_connection_is_durable(tmp_path: Path) -> None:
    engine = open_engine(sqlite_url(tmp_path / "x.db"))

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    migrate(url)

    command.check(alembic_config(url))


def test_a_record_survives_the_way_through_its_row() -> None:
    kept = Patient(id=RowId(7), name="TEST^ÄLPHA=山田^太郎", identity_unknown=True, updated_at=NOW, cause_id=RowId(3))

    row = PATIENT.row(kept)

    assert PATIENT.record([row[name] for name in PATIENT.names]) == kept
    assert from_micros(to_micros(NOW)) == NOW


async def test_statements_never_carry_values_into_an_error(store: Store) -> None:
    seen: list[str] = []

    @event.listens_for(store.engine, "handle_error")
    def note(context: object) -> None:
        seen.append(str(context.sqlalchemy_exception))  # type: ignore[attr-defined]

    def work(unit: Unit) -> None:
        unit.connection.execute(table.patient.insert(), {"id": None, "name": "TEST^SECRET"})

    with pytest.raises(InvariantError) as raised:
        await store.writer.submit(work)
    assert "SECRET" not in str(raised.value)
    assert not any("SECRET" in text for text in seen)
