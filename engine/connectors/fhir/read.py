"""Reads and searches: what the records say, as resources and searchset Bundles.

Source: FHIR R4 http.html sections 3.1.0.1 (read) and 3.1.0.9 (search), bundle.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from aiohttp import web

from engine.broker.representation import Representation
from engine.broker.search import AFTER, Search, search_of
from engine.broker.subject import row_of
from engine.config.site import Site
from engine.connectors.fhir.limits import FORM_BYTES, read_body
from engine.connectors.fhir.wire import (
    CONTENT_TYPE,
    check_accept,
    check_form,
    is_unchanged,
    preferences,
    resource_response,
)
from engine.core.clock import Clock
from engine.fhir.capability import Served
from engine.fhir.element import instant
from engine.fhir.errors import Issue, refused
from engine.fhir.outcome import note, operation_outcome
from engine.store import resource
from engine.store.reader import Reader


class Reading:
    """Answers reads and searches of the types that are served."""

    def __init__(self, *, site: Callable[[], Site], reader: Reader, base_url: Callable[[web.Request], str]) -> None:
        self._site = site
        self._reader = reader
        self._base_url = base_url

    async def read(self, request: web.Request, of: Served) -> web.Response:
        """Answer `GET /{type}/{id}` and `GET /{type}/{id}/_history/{vid}`, of which there is the present one.

        Raises:
            ResourceRefused: FHIR-120, there is none, or it is not shown.
        """
        check_accept(request)
        row = row_of(request.match_info["id"])
        site = self._site()
        found = None
        if row is not None:
            wanted = row
            found = await self._reader.run(lambda connection: resource.load(connection, of.type, wanted))
        if found is None:
            raise refused("FHIR-120", "no resource has this id")
        made = Representation(site).of(found)
        version = made["meta"]["versionId"]
        if request.match_info.get("vid", version) != version:
            raise refused("FHIR-120", "of this resource only the present version is kept")
        headers = {"ETag": f'W/"{version}"', "Last-Modified": _http_date(made)}
        if is_unchanged(request, version):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=orjson.dumps(made), headers=headers, content_type=CONTENT_TYPE, charset="utf-8"
        )

    async def search(self, request: web.Request, of: Served) -> web.Response:
        """Answer `GET /{type}?…` and `POST /{type}/_search`.

        Raises:
            ResourceRefused: FHIR-130, a parameter is not served and the client asked for `handling=strict`.
        """
        check_accept(request)
        pairs = parse_qsl(request.query_string, keep_blank_values=True)
        if request.method == "POST":
            check_form(request)
            form = (await read_body(request, FORM_BYTES)).decode("utf-8", errors="replace")
            pairs += parse_qsl(form, keep_blank_values=True)
        site, base_url = self._site(), self._base_url(request)
        search = search_of(of, pairs, site.issuers, base_url)
        _, is_strict = preferences(request)
        if search.ignored and is_strict:
            raise refused("FHIR-130", _not_supported(search.ignored))
        page, made = await self._reader.run(
            lambda connection: _rendered(
                resource.load_page(connection, of.type, search.criteria, after=search.after, count=search.count), site
            )
        )
        return resource_response(_bundle(of.type, search, page, made, base_url, instant(self._now())))

    def _now(self) -> Any:
        raise NotImplementedError


