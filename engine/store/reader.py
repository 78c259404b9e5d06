"""Reads beside the writer: a few threads, each with a consistent snapshot per call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Reader:
    """Runs queries off the event loop."""

    def __init__(self, engine: Engine, *, threads: int = 3) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    async def run(self, query: Callable[[Connection], T]) -> T:
        """Return what `query` returns, called with a connection whose reads see one moment."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, query)

    def _call(self, query: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection, connection.begin():
            return query(connection)

    def close(self) -> None:
        """End the threads once their queries are done."""
        self._pool.shutdown()
