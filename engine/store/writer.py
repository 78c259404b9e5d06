"""The one writer: a thread that takes all units waiting, gives each a savepoint, and commits them together.

Durability is cheap because the fsync is shared: the batch is what queued during the last commit, there is no timer.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from engine.core.clock import Clock
from engine.core.errors import EngineError, InvariantError, StorageError
from engine.core.limits import Limits
from engine.store.errors import DatabaseDown, DiskFull, SyncFailed
from engine.store.unit import Numbers, Unit

T = TypeVar("T")
Work = Callable[[Unit], T]
Otherwise = Callable[[Unit, EngineError], T]
_Result = tuple["asyncio.Future[Any]", Any, BaseException | None, list[Callable[[], None]]]

_Task = tuple[Work[Any], Otherwise[Any] | None, "asyncio.Future[Any]"]

log = structlog.get_logger()


class Writer:
    """Runs units of work; `submit` from the event loop that started it."""

    def __init__(self, engine: Engine, clock: Clock, limits: Limits) -> None:
        self._engine = engine
        self._database_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._clock = clock
        self._limits = limits
        self._waiting: deque[_Task] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._numbers = Numbers()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.failure: StorageError | None = None
        """Why writing is refused; None while healthy. A failed sync is final."""
        self.batches = 0
        self.units = 0

    def start(self) -> None:
        """Start the thread; call on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Finish what was submitted, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    @property
    def backlog(self) -> int:
        """How many units wait for the next commit."""
        return len(self._waiting)

    def submit(self, work: Work[T], otherwise: Otherwise[T] | None = None) -> asyncio.Future[T]:
        """Queue `work`; the future resolves with its result once that would survive a power cut.

        Args:
            work: What to do; runs in the writer thread.
            otherwise: What to do instead, in the same place of the batch, when `work` raised and was rolled back: a
                refused message is kept. Not called for a storage error.

        Raises (in the future):
            EngineError: what `work` raised; its savepoint is rolled back, the others are kept.
            StorageError: STO-101…103, the commit failed; nothing was kept.
        """
        if self._loop is None:
            raise InvariantError("the writer was not started")
        future: asyncio.Future[T] = self._loop.create_future()
        if self._stopping or isinstance(self.failure, SyncFailed):
            future.set_exception(self.failure or DatabaseDown("the engine is stopping"))
            return future
        with self._wake:
            self._waiting.append((work, otherwise, future))
            self._wake.notify()
        return future

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while True:
                batch = self._take()
                if not batch:
                    return
                results = self._write(connection, batch)
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(_resolve, results)

    def _take(self) -> list[_Task]:
        with self._wake:
            while not self._waiting and not self._stopping:
                self._wake.wait()
            count = min(len(self._waiting), self._limits.batch_units)
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, connection: Connection, batch: list[_Task]) -> list[_Result]:
        results: list[_Result] = []
        try:
            with connection.begin():
                results.extend(self._one(connection, task) for task in batch)
        except (DBAPIError, self._database_error) as cause:
            self._numbers.forget()
            failure = _storage_error(cause)
            self.failure = failure
            log.error("store.commit_failed", code=failure.code, units=len(batch))
            return [(future, None, failure, []) for _, _, future in batch]
        self.failure = None
        self.batches += 1
        self.units += len(batch)
        return results

    def _one(self, connection: Connection, task: _Task) -> _Result:
        work, otherwise, future = task
        result, error, committed = self._try(connection, work)
        if error is not None and otherwise is not None and not isinstance(error, StorageError):
            raised = error
            result, error, committed = self._try(connection, lambda unit: otherwise(unit, raised))
        return (future, result, error, committed)

    def _try(self, connection: Connection, work: Work[Any]) -> tuple[Any, EngineError | None, list[Callable[[], None]]]:
        unit = Unit(connection, self._numbers, self._clock.now())
        unit.savepoint()
        self._numbers.mark()
        try:
            result = work(unit)
        except EngineError as error:
            self._undo(unit)
            return (None, error, [])
        except (DBAPIError, self._database_error) as cause:
            if _is_about_storage(cause):
                raise
            return (None, self._bug(unit, cause), [])
        except Exception as cause:  # noqa: BLE001  # the one worker of this loop: a bad unit must not spoil the batch
            return (None, self._bug(unit, cause), [])
        unit.release()
        return (result, None, unit.committed)

    def _bug(self, unit: Unit, cause: Exception) -> InvariantError:
        self._undo(unit)
        trace = "".join(traceback.format_tb(cause.__traceback__))  # without the text, which may quote a message
        log.error("store.unit_failed", error=type(cause).__name__, trace=trace)
        bug = InvariantError(f"unforeseen {type(cause).__name__} in a unit of work")
        bug.__cause__ = cause
        return bug

    def _undo(self, unit: Unit) -> None:
        unit.undo()
        self._numbers.undo()


def _resolve(results: list[_Result]) -> None:
    for future, result, error, committed in results:
        if not future.done():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        for call in committed:
            call()


def _error_name(cause: Exception) -> str:
    """Return SQLite's name of an error, such as SQLITE_FULL; "" for other databases."""
    raised = cause.orig if isinstance(cause, DBAPIError) else cause
    return str(getattr(raised, "sqlite_errorname", ""))


def _is_about_storage(cause: Exception) -> bool:
    troubles = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_BUSY")
    return _error_name(cause).startswith(troubles)


def _storage_error(cause: Exception) -> StorageError:
    name = _error_name(cause)
    if name == "SQLITE_FULL":
        return DiskFull("no space left for the database")
    if name.startswith("SQLITE_IOERR"):
        return SyncFailed("the disk did not confirm a write of the database")
    return DatabaseDown("the database refused a write")
