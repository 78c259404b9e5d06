"""Puts pages, JSON API, health and metrics into the engine's HTTP application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from engine.blobs.store import BlobStore
from engine.config.site import Site
from engine.connectors.web import query
from engine.connectors.web.api import Endpoint, endpoints, json_answer
from engine.connectors.web.guard import guard
from engine.connectors.web.health import Health
from engine.connectors.web.openapi import document
from engine.connectors.web.pages import PageHandlers
from engine.connectors.web.rendering import Pages
from engine.core.clock import Clock, SystemClock
from engine.desk.overview import Overview
from engine.desk.records import Records
from engine.desk.status import Status
from engine.store.reader import Reader

_PATTERNS: Final = {
    "{id}": r"{id:\d{1,18}}",
    "{attachment}": r"{attachment:\d{1,18}}",
    "{accession}": "{accession:.+}",
}
"""What may stand for a parameter of a path; an accession number may hold a slash."""


def add_web(
    app: web.Application,
    *,
    reader: Reader,
    blobs: BlobStore,
    site: Callable[[], Site],
    status: Status,
    clock: Clock | None = None,
) -> None:
    """Add every route of this connector to `app`; paths of other connectors are left alone.

    Args:
        app: The application of the HTTP listener, not yet started.
        reader: Where the records are read.
        blobs: Where message bodies are that are too large for the journal.
        site: The site as it is now; asked for every request, since a reload replaces it.
        status: The running engine.
        clock: What ages are measured by.
    """
    records = Records(reader=reader, blobs=blobs, site=site)
    overview = Overview(reader=reader, status=status, clock=clock or SystemClock())
    pages = PageHandlers(records, overview, site, Pages(site))
    health = Health(overview)
    api = endpoints(records, overview, site)
    described = document(api)

    async def openapi(request: web.Request) -> web.Response:
        return json_answer(described)

    app.middlewares.append(guard(pages.problem))
    app.add_routes(
        [
            *pages.routes(),
            *(web.get(_pattern(endpoint.path), _checked(endpoint)) for endpoint in api),
            web.get("/openapi.json", openapi),
            web.get("/health/live", health.live),
            web.get("/health/ready", health.ready),
            web.get("/metrics", health.metrics),
        ]
    )


def _pattern(path: str) -> str:
    for plain, pattern in _PATTERNS.items():
        path = path.replace(plain, pattern)
    return path


def _checked(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(request: web.Request) -> web.StreamResponse:
        query.only(request.query, endpoint.query_names)
        return await endpoint.handler(request)

    return handler
