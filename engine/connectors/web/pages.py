"""The pages: the same answers as the JSON API, for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from engine.config.site import Site
from engine.connectors.web import query
from engine.connectors.web.api import (
    StudyChoice,
    charset_of,
    message_filter,
    notice_filter,
    order_filter,
    row_of,
    study_filter,
)
from engine.connectors.web.content import message_json, notice_json
from engine.connectors.web.rendering import Pages, order_path
from engine.desk import view
from engine.desk.overview import Overview
from engine.desk.records import Found, Records
from engine.desk.story import milestones_of, story_of
from engine.records.state import Danger, DeliveryState, HoldState, MessageState, OrderState

Json = dict[str, Any]
_PLACES: Final[Mapping[Found, str]] = {
    "order": "/orders/{}",
    "orders of patient": "/orders?patient_id={}",
    "orders by number": "/orders?number={}",
    "study": "/studies/{}",
    "studies of patient": "/studies?patient_id={}",
    "studies by accession": "/studies?accession={}",
    "messages": "/messages?control_id={}",
}


class PageHandlers:
    """One method for each page."""

    def __init__(self, records: Records, overview: Overview, site: Callable[[], Site], pages: Pages) -> None:
        self._records = records
        self._overview = overview
        self._site = site
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """Return where the pages are."""
        return [
            web.get("/", self.home),
            web.get("/orders", self.orders),
            web.get("/orders/{accession:.+}", self.order),
            web.get(r"/reports/{id:\d{1,18}}", self.report),
            web.get("/studies", self.studies),
            web.get("/studies/{study_uid}", self.study),
            web.get("/holds", self.holds),
            web.get("/messages", self.messages),
            web.get(r"/messages/{id:\d{1,18}}", self.message),
            web.get("/notices", self.notices),
            web.get(r"/notices/{id:\d{1,18}}", self.notice),
            web.get("/search", self.search),
            web.get("/static/isthmus.css", self.style),
            web.get("/static/isthmus.svg", self.icon),
            web.get("/favicon.ico", self.icon),
        ]

    async def home(self, request: web.Request) -> web.Response:
        """Show listeners, lanes, counts and what waits for a person."""
        return await self._pages.page("home.html", home=await self._overview.home())

    async def orders(self, request: web.Request) -> web.Response:
        """List orders."""
        found = await self._records.orders(order_filter(request.query), query.cut(request.query))
        return await self._list(request, "orders.html", found, states=[state.value for state in OrderState])

    async def order(self, request: web.Request) -> web.Response:
        """Show an order and its story."""
        found = await self._records.order(request.match_info["accession"], request.query.get("issuer"))
        return await self._pages.page(
            "order.html",
            order=view.order_view(found, self._records.timezone),
            story=story_of(found),
            milestones=milestones_of(found),
        )

    async def report(self, request: web.Request) -> web.Response:
        """Show a report."""
        return await self._pages.page("report.html", report=await self._records.report(row_of(request)))

    async def studies(self, request: web.Request) -> web.Response:
        """List studies."""
        found = await self._records.studies(study_filter(request.query), query.cut(request.query))
        return await self._list(request, "studies.html", found, states=[state.value for state in StudyChoice])

    async def study(self, request: web.Request) -> web.Response:
        """Show a study."""
        found = await self._records.study(request.match_info["study_uid"])
        return await self._pages.page("study.html", study=view.study_view(found))

    async def holds(self, request: web.Request) -> web.Response:
        """List what a person must decide; open ones unless told otherwise."""
        asked = request.query
        state = query.choice(asked, "state", HoldState) if "state" in asked else HoldState.OPEN
        danger = query.choice(asked, "danger", Danger)
        found = await self._records.holds(state, danger, query.cut(asked))
        return await self._list(
            request,
            "holds.html",
            found,
            state=state.value if state else "",
            states=[each.value for each in HoldState],
            dangers=[each.value for each in Danger],
        )

    async def messages(self, request: web.Request) -> web.Response:
        """List received messages."""
        found = await self._records.messages(message_filter(request.query), query.cut(request.query))
        return await self._list(request, "messages.html", found, states=[state.value for state in MessageState])

    async def message(self, request: web.Request) -> web.Response:
        """Show a received message."""
        found = await self._records.message(row_of(request))
        charset = charset_of(self._site(), found.head.listener)
        return await self._pages.page("message.html", message=await asyncio.to_thread(message_json, found, charset))

    async def notices(self, request: web.Request) -> web.Response:
        """List outgoing notices."""
        found = await self._records.notices(notice_filter(request.query), query.cut(request.query))
        return await self._list(request, "notices.html", found, states=[state.value for state in DeliveryState])

    async def notice(self, request: web.Request) -> web.Response:
        """Show an outgoing notice."""
        return await self._pages.page("notice.html", notice=notice_json(await self._records.notice(row_of(request))))

    async def search(self, request: web.Request) -> web.Response:
        """Go to what a number means."""
        text = query.text(request.query, "q")
        if text is None:
            return _see("/orders")
        found = await self._records.find(text)
        if found is None:
            return await self._pages.page("nothing.html", status=404, text=text)
        return _see(_PLACES[found].format(quote(text, safe="")))

    async def style(self, request: web.Request) -> web.Response:
        """Give the style sheet; its address carries a version."""
        headers = {"Cache-Control": "public, max-age=86400"}
        return web.Response(body=self._pages.style, content_type="text/css", charset="utf-8", headers=headers)

    async def icon(self, request: web.Request) -> web.Response:
        """Give the icon."""
        headers = {"Cache-Control": "public, max-age=86400"}
        return web.Response(body=self._pages.icon, content_type="image/svg+xml", headers=headers)

    async def problem(self, request: web.Request, problem: Json) -> web.Response:
        """Show why a request was refused."""
        choices = [
            {"issuer": choice["issuer"], "path": _choice_path(request, choice["issuer"])}
            for choice in problem.get("choices", [])
        ]
        return await self._pages.page("problem.html", status=problem["status"], problem=problem, choices=choices)

    async def _list(self, request: web.Request, template: str, found: Json, **values: Any) -> web.Response:
        asked = {name: value for name, value in request.query.items() if name != "after" and value}
        older = f"{request.path}?{urlencode({**asked, 'after': found['next']})}" if found["next"] else None
        newest = f"{request.path}?{urlencode(asked)}" if "after" in request.query else None
        return await self._pages.page(template, found=found, asked=asked, older=older, newest=newest, **values)


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _choice_path(request: web.Request, issuer: str) -> str:
    accession = request.match_info.get("accession", "")
    return order_path(accession, issuer) if issuer else f"{order_path(accession, None)}?issuer="
