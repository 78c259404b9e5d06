"""The quiet timer: a study to which nothing came for a while is complete, and that is told.

Source: spec/workflow.md section 5, rule 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from engine.broker.apply import Desk, refresh_worklist, write_change
from engine.broker.apply_report import settle_reports
from engine.config.site import Site
from engine.core.clock import Clock
from engine.core.errors import EngineError
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.study import complete_study
from engine.records.record import Study
from engine.store import known
from engine.store.codec import to_micros
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer

log = structlog.get_logger()


class QuietTimer:
    """Waits for the study that is due first; one per engine. Its truth is `study.quiet_due_at`."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        writer: Writer,
        reader: Reader,
        clock: Clock,
        wake: Callable[[str], None],
    ) -> None:
        self._site = site
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._wake = wake
        self._armed = asyncio.Event()

    def arm(self) -> None:
        """Say that a study is receiving. Its due time only moves on, so a timer that runs need not be told."""
        self._armed.set()

    async def run(self) -> None:
        """Complete studies as they fall due, until cancelled."""
        while True:
            self._armed.clear()
            try:
                due = await self._reader.run(known.next_quiet)
                if due is None:
                    await self._armed.wait()
                else:
                    await self._sleep_until(due)
                    await self._writer.submit(self._complete)
            except EngineError as error:  # a storage failure: the engine says so elsewhere; go on when it is mended
                log.warning("quiet.paused", code=error.code)
                await asyncio.sleep(1.0)

    async def _sleep_until(self, due: datetime) -> None:
        """Sleep; a study armed meanwhile with a shorter quiet time wakes it."""
        left = (due - self._clock.now()).total_seconds()
        if left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await self._armed.wait()
        except TimeoutError:
            return

    def _complete(self, unit: Unit) -> None:
        desk = Desk(site=self._site(), wake=self._wake)
        for study in known.studies_due(unit, to_micros(unit.now)):
            _complete_one(unit, study, desk)


def _complete_one(unit: Unit, study: Study, desk: Desk) -> None:
    change = Change(Act(now=unit.now, cause_kind="timer", cause_id=study.id, new_id=unit.new_id))
    links = known.links_of_study(unit, study.id)
    procedures = [known.procedure(unit, link.procedure_id) for link in links]
    order_ids: list[RowId] = list(dict.fromkeys(each.order_id for each in procedures if each is not None))
    orders = [known.order(unit, row) for row in order_ids]
    complete_study(study, links, orders, known.holds_of_study(unit, study.id), change)
    write_change(unit, change, desk)
    refresh_worklist(unit, orders, desk)
    settle_reports(unit, orders, change.act, desk)
