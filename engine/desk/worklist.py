"""Answers a modality that asks for its worklist: narrows by index, matches by the standard, sends prepared answers.

Source: DICOM PS3.4 annex K; spec/worklist.md sections 4 and 5.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from engine.config.settings import Worklist as WorklistRules
from engine.config.site import Site
from engine.core.clock import Clock
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.dicom.worklist import Request
from engine.records.record import Event
from engine.store import worklist
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer

_REMEMBERED = 65_536
_FINDINGS_PER_TURN = 64
"""Answers made before the event loop gets a turn."""

log = structlog.get_logger()


class Caller(Protocol):
    """Who asks."""

    @property
    def calling_ae(self) -> str:
        """AE title of the modality."""
        ...


class Worklist:
    """The worklist as one engine serves it."""

    def __init__(
        self, *, site: Callable[[], Site], reader: Reader, writer: Writer, clock: Clock, limits: Limits
    ) -> None:
        self._site = site
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._limits = limits
        self._shown: OrderedDict[tuple[RowId, str], None] = OrderedDict()
        self.queries = 0
        self.answered = 0

    async def answers(self, identifier: bytes, transfer_syntax: str, peer: Caller) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (pending status, encoded identifier) for every matching step, by start, then accession number.

        Raises:
            PeerError: DCM-110, DCM-120, DCM-121, DCM-123: the identifier cannot be answered.
        """
        self.queries += 1
        request = Request.parse(identifier, transfer_syntax, self._limits)
        settings = self._site().settings
        wanted = narrowing(request, self._clock.now(), settings.site.timezone, settings.worklist)
        found = await self._reader.run(lambda connection: worklist.find(connection, wanted))
        also = {"PatientID": (wanted.patient_id,)} if wanted.patient_id else None  # a former one, of a merged record
        shown: list[RowId] = []
        charsets = (settings.worklist.charset,)
        for seen, (step_id, attributes) in enumerate(found, 1):
            if request.matches(attributes, also):
                shown.append(step_id)
                yield request.answer(attributes, transfer_syntax, charsets)
                if settings.worklist.max_results and len(shown) >= settings.worklist.max_results:
                    log.warning("worklist.cut", limit=settings.worklist.max_results)
                    break
            if seen % _FINDINGS_PER_TURN == 0:
                await asyncio.sleep(0)
        self.answered += len(shown)
        self._note(shown, peer.calling_ae)

    def _note(self, steps: list[RowId], calling_ae: str) -> None:
        """Put on the order's timeline that a modality saw a step for the first time."""
        fresh = [step for step in steps if (step, calling_ae) not in self._shown]
        for step in fresh:
            self._shown[(step, calling_ae)] = None
        while len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
        if fresh:
            self._writer.submit(lambda unit: _note_listings(unit, fresh, calling_ae)).add_done_callback(_noted)


def _noted(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("worklist.not_noted", error=type(error).__name__)


def _note_listings(unit: Unit, steps: list[RowId], calling_ae: str) -> None:
    for step_id in steps:
        if worklist.note_listing(unit, step_id, calling_ae):
            order_id = worklist.order_of(unit, step_id)
            event = Event(
                id=unit.new_id(),
                name="step.listed",
                at=unit.now,
                order_id=order_id,
                step_id=step_id,
                detail=f"shown to {calling_ae}",
                cause_kind="worklist",
                cause_id=step_id,
            )
            unit.insert([event])


def narrowing(request: Request, now: datetime, timezone: str, rules: WorklistRules) -> worklist.Narrowing:
    """Return what an index can do for a query; an open question without a date gets the site's window around today."""
    date_from, date_to = request.start_date
    if not request.has_date_key and not request.is_specific:
        today = now.astimezone(ZoneInfo(timezone)).date()
        date_from = (today - timedelta(days=rules.days_back)).strftime("%Y%m%d")
        date_to = (today + timedelta(days=rules.days_ahead)).strftime("%Y%m%d")
    return worklist.Narrowing(
        patient_id=request.patient_id,
        accession_number=request.accession_number,
        rp_id=request.rp_id,
        study_uids=request.study_uids,
        sps_id=request.sps_id,
        modality=request.modality,
        date_from=date_from,
        date_to=date_to,
        any_state=request.wants_status,
    )
