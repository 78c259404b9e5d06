"""Delivers what waits for one destination: woken, not polled; in order within a key, keys beside each other.

Source: spec/reliability.md section 3 for answers, causes and waits.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from engine.config.route import Retry
from engine.core.clock import Clock
from engine.core.errors import EngineError, PeerError
from engine.hl7.acknowledgement import Ack
from engine.records.record import Event
from engine.records.state import DeliveryState
from engine.store import outbox
from engine.store.outbox import Waiting
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer

_TOGETHER = 64
"""How many lanes are looked at in one pass."""
_TEMPORARY = frozenset({206, 207})
"""Codes of table 0357 that say "try again": record locked, internal error."""
_JITTER = 0.2

log = structlog.get_logger()


class Sender(Protocol):
    """The way to a destination."""

    async def send(self, body: bytes, control_id: str) -> Ack:
        """Send a message and return its answer.

        Raises:
            TransientError: no answer, or no connection.
        """
        ...


class Lanes:
    """The lanes of one destination."""

    def __init__(
        self, *, destination: str, sender: Sender, writer: Writer, reader: Reader, clock: Clock, retry: RetryOf
    ) -> None:
        self.destination = destination
        self._sender = sender
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._retry = retry
        self._woken = asyncio.Event()
        self.delivered = 0
        self.failed = 0

    def wake(self) -> None:
        """Say that there is something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._woken.clear()
            try:
                heads = await self._reader.run(lambda connection: outbox.heads(connection, self.destination, _TOGETHER))
                now = self._clock.now()
                due = [notice for notice in heads if notice.due_at <= now]
                if due:
                    await self._deliver(due)
                else:
                    await self._wait(min((notice.due_at for notice in heads), default=None))
            except EngineError as error:  # a storage failure: the engine says so elsewhere; go on when it is mended
                log.warning("lane.paused", destination=self.destination, code=error.code)
                await asyncio.sleep(1.0)

    async def _wait(self, until: datetime | None) -> None:
        left = None if until is None else max((until - self._clock.now()).total_seconds(), 0.0)
        try:
            async with asyncio.timeout(left):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _deliver(self, due: list[Waiting]) -> None:
        """Try every lane's head once; when the destination itself is out of reach, wait for it instead."""
        for notice in due:
            try:
                answer = await self._sender.send(notice.body, notice.control_id)
            except EngineError as error:
                retry_at = await self._failed(notice, error)
                if retry_at is not None:
                    await asyncio.sleep(max((retry_at - self._clock.now()).total_seconds(), 0.0))
                    return
            else:
                await self._answered(notice, answer)

    async def _failed(self, notice: Waiting, error: EngineError) -> datetime | None:
        self.failed += 1
        state, due_at = self._next(notice)
        if isinstance(error, PeerError):
            state = DeliveryState.DEAD
        await self._record(notice, state, due_at, error.code, error.kept_text, b"")
        return due_at if state is DeliveryState.RETRY else None

    async def _answered(self, notice: Waiting, answer: Ack) -> None:
        if answer.is_positive:
            self.delivered += 1
            now = self._clock.now()
            await self._record(notice, DeliveryState.DELIVERED, now, answer.code, answer.text, answer.raw)
            return
        self.failed += 1
        if any(code in _TEMPORARY for code in answer.problem_codes):
            state, due_at = self._next(notice)
        else:
            state, due_at = DeliveryState.DEAD, self._clock.now()
        await self._record(notice, state, due_at, answer.code, answer.text, answer.raw)

    def _next(self, notice: Waiting) -> tuple[DeliveryState, datetime]:
        now = self._clock.now()
        if notice.give_up_at is not None and now >= notice.give_up_at:
            return (DeliveryState.DEAD, now)
        wait_s = self._retry(notice.route, self.destination).wait_s(notice.attempts + 1)
        wait_s *= 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311  # spreads load, guards nothing
        return (DeliveryState.RETRY, now + timedelta(seconds=wait_s))

    async def _record(
        self, notice: Waiting, state: DeliveryState, due_at: datetime, code: str, text: str, answer: bytes
    ) -> None:
        def work(unit: Unit) -> None:
            outbox.record_attempt(unit, notice, state, due_at=due_at, answer_code=code, answer_text=text, answer=answer)
            if state is DeliveryState.DEAD:
                unit.insert([_refused(unit, notice, code)])

        await self._writer.submit(work)
        if state is DeliveryState.DEAD:
            log.warning("notice.dead_lettered", destination=self.destination, row=notice.id, code=code)
        elif state is DeliveryState.RETRY and notice.attempts == 0:
            log.warning("notice.delayed", destination=self.destination, row=notice.id, code=code)


def _refused(unit: Unit, notice: Waiting, code: str) -> Event:
    return Event(
        id=unit.new_id(),
        name="notice.dead_lettered",
        at=unit.now,
        detail=f"{notice.route}: {code}",
        order_id=outbox.order_of(unit, notice.id),
        cause_kind="delivery",
        cause_id=notice.id,
    )


class RetryOf(Protocol):
    """How long to wait between attempts, by route and destination."""

    def __call__(self, route: str, destination: str) -> Retry:
        """Return the retry policy of a route's destination."""
        ...
