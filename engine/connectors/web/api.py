"""The JSON API: one table of endpoints, from which the router and the OpenAPI document are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

from engine.config.site import Site
from engine.connectors.web import query
from engine.connectors.web.content import document_suffix, media_type, message_json, notice_json
from engine.core.ids import RowId
from engine.desk import view
from engine.desk.overview import Overview
from engine.desk.records import Records
from engine.records.state import Danger, DeliveryState, HoldState, MessageState, OrderState, StudyState
from engine.store.listing import OrderFilter, StudyFilter
from engine.store.traffic import MessageFilter, NoticeFilter

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StudyChoice(StrEnum):
    """States by which studies are listed: those of a study, and HELD."""

    RECEIVING = StudyState.RECEIVING.value
    COMPLETE_VERIFIED = StudyState.COMPLETE_VERIFIED.value
    COMPLETE_ASSUMED = StudyState.COMPLETE_ASSUMED.value
    INCOMPLETE = StudyState.INCOMPLETE.value
    REJECTED = StudyState.REJECTED.value
    DELETED = StudyState.DELETED.value
    HELD = view.HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the address; `schema` is its JSON Schema."""

    name: str
    text: str
    schema: Json
    in_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of the API. `answer` names the schema of what it gives; None gives bytes."""

    path: str
    summary: str
    handler: Handler
    answer: str | None
    parameters: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()

    @property
    def query_names(self) -> frozenset[str]:
        """The parameters behind the question mark."""
        return frozenset(each.name for each in self.parameters if not each.in_path)


def _text(name: str, text: str) -> Parameter:
    return Parameter(name=name, text=text, schema={"type": "string"})


def _choice(name: str, text: str, of: type[StrEnum]) -> Parameter:
    return Parameter(name=name, text=text, schema={"type": "string", "enum": [member.value for member in of]})


_ID = Parameter(name="id", text="Our own number.", schema={"type": "integer"}, in_path=True)
_ATTACHMENT = Parameter(
    name="attachment", text="Our own number of the document.", schema={"type": "integer"}, in_path=True
)
_PAGE = (
    Parameter(
        name="limit",
        text="How many at most; more than 1000 counts as 1000.",
        schema={"type": "integer", "minimum": 1, "default": 100},
    ),
    _text("after", "Go on after a page: the value of its `next`."),
)
_ISSUER = _text("issuer", "Key of the issuer of the accession number, where the number alone does not say it.")


def json_answer(content: Any, *, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")


def endpoints(records: Records, overview: Overview, site: Callable[[], Site]) -> tuple[Endpoint, ...]:
    """Return every endpoint under /api."""
    api = _Api(records, overview, site)
    return (
        Endpoint(
            path="/api/overview",
            summary="Listeners, lanes, counts and readiness at a glance.",
            handler=api.overview,
            answer="Overview",
        ),
        Endpoint(
            path="/api/orders",
            summary="Orders, the newest first.",
            handler=api.orders,
            answer="OrderList",
            parameters=(
                _text("patient_id", "An identifier of the patient, of any issuer."),
                _text("accession", "The accession number."),
                _text("number", "An accession, placer or filler number."),
                _choice("state", "State of the order.", OrderState),
                *_PAGE,
            ),
        ),
        Endpoint(
            path="/api/orders/{accession}",
            summary="One order: procedures, steps, studies with their link, holds, notices, events, messages.",
            handler=api.order,
            answer="Order",
            parameters=(
                Parameter(name="accession", text="Accession number.", schema={"type": "string"}, in_path=True),
                _ISSUER,
            ),
            refusals=(404, 409),
        ),
        Endpoint(
            path="/api/reports/{id}",
            summary="One report: text, versions, documents, numbers, links, holds.",
            handler=api.report,
            answer="Report",
            parameters=(_ID,),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/reports/{id}/attachments/{attachment}",
            summary="The bytes of a document inside a report, as they were received.",
            handler=api.attachment,
            answer=None,
            parameters=(_ID, _ATTACHMENT),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/studies",
            summary="Studies, the newest first. A page may hold fewer than `limit` and still have a `next`.",
            handler=api.studies,
            answer="StudyList",
            parameters=(
                _choice("state", "State of the study; HELD is one that a person must decide about.", StudyChoice),
                Parameter(name="linked", text="Whether an order is linked.", schema={"type": "boolean"}),
                _text("patient_id", "An identifier of the patient, or what the images say."),
                _text("accession", "The accession number that the images carry."),
                *_PAGE,
            ),
        ),
        Endpoint(
            path="/api/studies/{study_uid}",
            summary="One study: series, links, orders, holds, notices, events.",
            handler=api.study,
            answer="Study",
            parameters=(
                Parameter(name="study_uid", text="Study Instance UID.", schema={"type": "string"}, in_path=True),
            ),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/holds",
            summary="What a person must decide, or has decided, the newest first.",
            handler=api.holds,
            answer="HoldList",
            parameters=(
                _choice("state", "State of the hold.", HoldState),
                _choice("danger", "Danger class.", Danger),
                *_PAGE,
            ),
        ),
        Endpoint(
            path="/api/holds/{id}",
            summary="One hold.",
            handler=api.hold,
            answer="Hold",
            parameters=(_ID,),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/messages",
            summary="Received messages, the newest first.",
            handler=api.messages,
            answer="MessageList",
            parameters=(
                _text("control_id", "MSH-10."),
                _choice("state", "What became of it.", MessageState),
                Parameter(
                    name="since",
                    text="Received at or after; without an offset UTC.",
                    schema={"type": "string", "format": "date-time"},
                ),
                *_PAGE,
            ),
        ),
        Endpoint(
            path="/api/messages/{id}",
            summary="One received message: bytes, segments, outcome, answer, what it changed.",
            handler=api.message,
            answer="Message",
            parameters=(_ID,),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/messages/{id}/raw",
            summary="The bytes of a message as they were received.",
            handler=api.message_raw,
            answer=None,
            parameters=(_ID,),
            refusals=(404,),
        ),
        Endpoint(
            path="/api/notices",
            summary="Outgoing notices, the newest first.",
            handler=api.notices,
            answer="NoticeList",
            parameters=(
                _text("to", "Name of the destination."),
                _choice("state", "Where it stands.", DeliveryState),
                *_PAGE,
            ),
        ),
        Endpoint(
            path="/api/notices/{id}",
            summary="One outgoing notice: bytes, segments, answer.",
            handler=api.notice,
            answer="Notice",
            parameters=(_ID,),
            refusals=(404,),
        ),
    )


class _Api:
    def __init__(self, records: Records, overview: Overview, site: Callable[[], Site]) -> None:
        self._records = records
        self._overview = overview
        self._site = site

    async def overview(self, request: web.Request) -> web.Response:
        return json_answer(await self._overview.home())

    async def orders(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.orders(order_filter(request.query), query.cut(request.query)))

    async def order(self, request: web.Request) -> web.Response:
        found = await self._records.order(request.match_info["accession"], request.query.get("issuer"))
        return json_answer(view.order_view(found, self._records.timezone))

    async def report(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.report(row_of(request)))

    async def attachment(self, request: web.Request) -> web.Response:
        row = RowId(int(request.match_info["attachment"]))
        found, content = await self._records.attachment(row_of(request), row)
        name = f"report-{found.report_id}-{found.position}.{document_suffix(found.media_type)}"
        headers = {"Content-Type": found.media_type, "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=content, headers=headers)

    async def studies(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.studies(study_filter(request.query), query.cut(request.query)))

    async def study(self, request: web.Request) -> web.Response:
        return json_answer(view.study_view(await self._records.study(request.match_info["study_uid"])))

    async def holds(self, request: web.Request) -> web.Response:
        asked = request.query
        state, danger = query.choice(asked, "state", HoldState), query.choice(asked, "danger", Danger)
        return json_answer(await self._records.holds(state, danger, query.cut(asked)))

    async def hold(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.hold(row_of(request)))

    async def messages(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.messages(message_filter(request.query), query.cut(request.query)))

    async def message(self, request: web.Request) -> web.Response:
        found = await self._records.message(row_of(request))
        charset = charset_of(self._site(), found.head.listener)
        return json_answer(await asyncio.to_thread(message_json, found, charset))

    async def message_raw(self, request: web.Request) -> web.Response:
        found = await self._records.message(row_of(request))
        media, suffix = media_type(found.head.kind)
        name = f"message-{found.head.id}.{suffix}"
        headers = {"Content-Type": media, "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=found.body, headers=headers)

    async def notices(self, request: web.Request) -> web.Response:
        return json_answer(await self._records.notices(notice_filter(request.query), query.cut(request.query)))

    async def notice(self, request: web.Request) -> web.Response:
        return json_answer(notice_json(await self._records.notice(row_of(request))))


def row_of(request: web.Request) -> RowId:
    """Return the row number in the path."""
    return RowId(int(request.match_info["id"]))


def charset_of(site: Site, listener: str) -> str | None:
    """Return what a listener takes messages without MSH-18 to be written in; None when it is gone or does not say."""
    found = site.settings.listeners.mllp.get(listener)
    return found.default_charset if found is not None else None


def order_filter(asked: query.Query) -> OrderFilter:
    """Return what a list of orders is narrowed by.

    Raises:
        BadParameter: WEB-110.
    """
    return OrderFilter(
        patient_id=query.text(asked, "patient_id"),
        accession=query.text(asked, "accession"),
        number=query.text(asked, "number"),
        state=query.choice(asked, "state", OrderState),
    )


def study_filter(asked: query.Query) -> StudyFilter:
    """Return what a list of studies is narrowed by.

    Raises:
        BadParameter: WEB-110.
    """
    state = query.choice(asked, "state", StudyChoice)
    return StudyFilter(
        state=StudyState(state.value) if state is not None and state is not StudyChoice.HELD else None,
        held=None if state is None else state is StudyChoice.HELD,
        linked=query.flag(asked, "linked"),
        patient_id=query.text(asked, "patient_id"),
        accession=query.text(asked, "accession"),
    )


def message_filter(asked: query.Query) -> MessageFilter:
    """Return what the journal is narrowed by.

    Raises:
        BadParameter: WEB-110.
    """
    return MessageFilter(
        control_id=query.text(asked, "control_id"),
        state=query.choice(asked, "state", MessageState),
        since=query.moment(asked, "since"),
    )


def notice_filter(asked: query.Query) -> NoticeFilter:
    """Return what the outbox is narrowed by.

    Raises:
        BadParameter: WEB-110.
    """
    return NoticeFilter(destination=query.text(asked, "to"), state=query.choice(asked, "state", DeliveryState))
