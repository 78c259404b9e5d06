"""Worker processes that validate messages: hl7apy's tables never run on the event loop.

They start with the first message that a route wants validated, and end with the engine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import structlog

from engine.core.errors import InvariantError
from engine.core.limits import Limits
from engine.hl7.acknowledgement import Problem
from engine.hl7.validation import validate_body
from engine.hl7.version_table import load_all

_WORKERS = 2

log = structlog.get_logger()


class ValidationPool:
    """The `StandardCheck` of a running engine."""

    def __init__(self, limits: Limits, workers: int = _WORKERS) -> None:
        self._limits = limits
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    async def __call__(self, body: bytes, default_charset: str | None) -> tuple[Problem, ...]:
        """Return the problems of a message.

        Raises:
            InvariantError: BUG-101, a worker died of it twice, or took longer than `limits.validation_s` [s].
        """
        for _ in range(2):
            pool = self._started()
            try:
                async with asyncio.timeout(self._limits.validation_s):
                    return await asyncio.get_running_loop().run_in_executor(pool, validate_body, body, default_charset)
            except BrokenProcessPool:
                log.error("validation.worker_died")
                self._drop(pool)
            except TimeoutError as cause:
                raise InvariantError("validation took too long") from cause
        raise InvariantError("validation ended without an answer")

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # A fork would copy the threads of the engine, locks held and all.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_prepare)
        return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)

    async def close(self) -> None:
        """End the workers; harmless when none was started."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)


def _prepare() -> None:
    """Make a fresh worker ready: tables loaded, deaf to the terminal, gone when the engine is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.join,), name="parent", daemon=True).start()
    load_all()


def _end_after(wait: Callable[[], None]) -> None:
    """End the process when the engine ended without a word."""
    wait()
    os._exit(0)
