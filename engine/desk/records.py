"""Answers what people ask about orders, studies, holds, messages and notices; pages and JSON API ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson

from engine.blobs.store import BlobStore
from engine.config.site import Site
from engine.core.ids import BlobKey, RowId
from engine.desk import view
from engine.desk.errors import NotKept, SeveralOrders
from engine.desk.report import report_view
from engine.records.record import Hold
from engine.records.report import ReportAttachment
from engine.records.state import Danger, HoldState
from engine.store import listing, timeline, traffic
from engine.store.listing import OrderFilter, StudyFilter
from engine.store.paging import Cut
from engine.store.reader import Reader
from engine.store.report_file import report_file
from engine.store.timeline import OrderFile, StudyFile
from engine.store.traffic import MessageFilter, MessageHead, NoticeFilter, NoticeHead

Json = dict[str, Any]
Found = Literal[
    "order",
    "orders of patient",
    "orders by number",
    "study",
    "studies of patient",
    "studies by accession",
    "messages",
]
"""What a number that somebody looks for turned out to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFile:
    """A received message with its bytes, our answer, what it changed and the notices it was sent on as."""

    head: MessageHead
    body: bytes
    answer: bytes
    changed: list[Json]
    notices: list[Json]
    validation: list[Json]
    """What validation found: place, code, text, severity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFile:
    """An outgoing notice with its bytes and the answer to it."""

    head: NoticeHead
    body: bytes
    answer: bytes
    accession_number: str
    accession_issuer: str


class Records:
    """The records as people see them. Every answer is one consistent moment."""

    def __init__(self, *, reader: Reader, blobs: BlobStore, site: Callable[[], Site]) -> None:
        self._reader = reader
        self._blobs = blobs
        self._site = site

    @property
    def timezone(self) -> ZoneInfo:
        """The site's own time zone, in which steps are scheduled."""
        return ZoneInfo(self._site().settings.site.timezone)

    async def orders(self, wanted: OrderFilter, cut: Cut) -> Json:
        """Return a page of orders, the newest first."""

        def read(connection: Any) -> Json:
            page = listing.orders(connection, wanted, cut)
            told = [view.order_short(row) for row in page.rows]
            return {"orders": told, "total": page.total, "next": _next(page.next)}

        return await self._reader.run(read)

    async def order(self, accession: str, issuer: str | None = None) -> OrderFile:
        """Return the order under an accession number.

        Args:
            accession: The number.
            issuer: Key of its issuer; None when the number alone should say it.

        Raises:
            NotKept: WEB-111. SeveralOrders: WEB-120, only without `issuer`.
        """
        owners = await self._reader.run(lambda connection: timeline.accession_owners(connection, accession))
        if issuer is not None:
            owners = tuple((row, of) for row, of in owners if of == issuer)
        if len(owners) > 1:
            raise SeveralOrders(owners)
        if not owners:
            raise NotKept("order")
        return await self.order_by_row(owners[0][0])

    async def order_by_row(self, row: RowId) -> OrderFile:
        """Return an order by our own number.

        Raises:
            NotKept: WEB-111.
        """
        found = await self._reader.run(lambda connection: timeline.order_file(connection, row))
        if found is None:
            raise NotKept("order")
        return found

    async def report(self, row: RowId) -> Json:
        """Return a report with its text, versions and documents.

        Raises:
            NotKept: WEB-111.
        """
        found = await self._reader.run(lambda connection: report_file(connection, row))
        if found is None:
            raise NotKept("report")
        holds = [view.hold_view(each, {}) for each in found.holds]
        return {**report_view(found), "patient": view.patient_view(found.patient), "holds": holds}

    async def attachment(self, report_row: RowId, row: RowId) -> tuple[ReportAttachment, bytes]:
        """Return a document of a report with its bytes.

        Raises:
            NotKept: WEB-111. StorageError: STO-104, its bytes are damaged or missing.
        """
        found = await self._reader.run(lambda connection: report_file(connection, report_row))
        mine = next((each for each in found.attachments if each.id == row), None) if found else None
        if mine is None or not mine.blob:
            raise NotKept("document")
        return (mine, await asyncio.to_thread(self._blobs.read, mine.blob))

    async def studies(self, wanted: StudyFilter, cut: Cut) -> Json:
        """Return a page of studies, the newest first; one may hold fewer than asked for and still have a next."""

        def read(connection: Any) -> Json:
            page = listing.studies(connection, wanted, cut)
            return {"studies": [view.study_short(row) for row in page.rows], "next": _next(page.next)}

        return await self._reader.run(read)

    async def study(self, study_uid: str) -> StudyFile:
        """Return a study by its Study Instance UID.

        Raises:
            NotKept: WEB-111.
        """
        found = await self._reader.run(lambda connection: timeline.study_file(connection, study_uid))
        if found is None:
            raise NotKept("study")
        return found

    async def holds(self, state: HoldState | None, danger: Danger | None, cut: Cut) -> Json:
        """Return a page of holds, the newest first, each with the study and the order that it is about."""

        def read(connection: Any) -> Json:
            page = listing.holds(connection, state, danger, cut)
            return {"holds": _held(connection, page.rows), "total": page.total, "next": _next(page.next)}

        return await self._reader.run(read)

    async def hold(self, row: RowId) -> Json:
        """Return a hold.

        Raises:
            NotKept: WEB-111.
        """

        def read(connection: Any) -> Json | None:
            found = timeline.hold_record(connection, row)
            return _held(connection, [found])[0] if found is not None else None

        found = await self._reader.run(read)
        if found is None:
            raise NotKept("hold")
        return found

    async def messages(self, wanted: MessageFilter, cut: Cut) -> Json:
        """Return a page of received messages, the newest first."""

        def read(connection: Any) -> Json:
            page = traffic.messages(connection, wanted, cut)
            return {"messages": [view.message_short(row) for row in page.rows], "next": _next(page.next)}

        return await self._reader.run(read)

    async def message(self, row: RowId) -> MessageFile:
        """Return a received message with its bytes as they came.

        Raises:
            NotKept: WEB-111. StorageError: STO-104, its bytes are damaged or missing.
        """
        found = await self._reader.run(lambda connection: self._message(connection, row))
        if found is None:
            raise NotKept("message")
        return found

    def _message(self, connection: Any, row: RowId) -> MessageFile | None:
        heads = traffic.message_heads(connection, [row])
        if not heads:
            return None
        content = traffic.message_content(connection, row)
        body = content.body
        if body is None:
            body = self._blobs.read(BlobKey(content.body_blob)) if content.body_blob else b""
        events = timeline.events_caused_by(connection, "message", row)
        orders = timeline.orders_by_row(connection, {each.order_id for each in events if each.order_id is not None})
        notices = traffic.notices_of_events(connection, [row, *(event.id for event in events)])
        return MessageFile(
            head=heads[0],
            body=body,
            answer=content.answer,
            changed=view.changed_view(events, orders),
            notices=[view.notice_view(notice) for notice in notices],
            validation=orjson.loads(content.validation) if content.validation else [],
        )

    async def notices(self, wanted: NoticeFilter, cut: Cut) -> Json:
        """Return a page of outgoing notices, the newest first."""

        def read(connection: Any) -> Json:
            page = traffic.notices(connection, wanted, cut)
            return {"notices": [view.notice_view(row) for row in page.rows], "next": _next(page.next)}

        return await self._reader.run(read)

    async def notice(self, row: RowId) -> NoticeFile:
        """Return an outgoing notice with its bytes and the answer to it.

        Raises:
            NotKept: WEB-111.
        """

        def read(connection: Any) -> NoticeFile | None:
            head = traffic.notice(connection, row)
            if head is None:
                return None
            body, answer = traffic.notice_content(connection, row)
            orders = timeline.orders_by_row(connection, [head.order_id] if head.order_id is not None else [])
            order = next(iter(orders.values()), None)
            return NoticeFile(
                head=head,
                body=body,
                answer=answer,
                accession_number=order.accession_number if order else "",
                accession_issuer=order.accession_issuer if order else "",
            )

        found = await self._reader.run(read)
        if found is None:
            raise NotKept("notice")
        return found

    async def find(self, text: str) -> Found | None:
        """Return what a number is; None when nothing is known by it.

        Tried in order: accession number, patient ID, placer or filler number, Study Instance UID, then what images
        without an order say, then control id.
        """
        return await self._reader.run(lambda connection: _find(connection, text))


def _next(row: RowId | None) -> str | None:
    return str(row) if row is not None else None


def _held(connection: Any, holds: tuple[Hold, ...] | list[Hold]) -> list[Json]:
    studies = timeline.studies_by_row(connection, {hold.study_id for hold in holds if hold.study_id is not None})
    orders = timeline.orders_by_row(connection, {hold.order_id for hold in holds if hold.order_id is not None})
    uids = {row: study.study_uid for row, study in studies.items()}
    told = []
    for hold in holds:
        order = orders.get(hold.order_id) if hold.order_id is not None else None
        told.append(
            {
                **view.hold_view(hold, uids),
                "accession_number": order.accession_number if order else None,
                "accession_issuer": order.accession_issuer if order else None,
            }
        )
    return told


def _find(connection: Any, text: str) -> Found | None:
    one = Cut(limit=1)
    if timeline.accession_owners(connection, text):
        return "order"
    if listing.orders(connection, OrderFilter(patient_id=text), one).rows:
        return "orders of patient"
    if listing.orders(connection, OrderFilter(number=text), one).rows:
        return "orders by number"
    if timeline.study_file(connection, text) is not None:
        return "study"
    if listing.studies(connection, StudyFilter(patient_id=text), one).rows:
        return "studies of patient"
    if listing.studies(connection, StudyFilter(accession=text), one).rows:
        return "studies by accession"
    if traffic.messages(connection, MessageFilter(control_id=text), one).rows:
        return "messages"
    return None
