"""Reads and searches: what the records say, as resources and searchset Bundles.

Source: FHIR R4 http.html sections 3.1.0.1 (read) and 3.1.0.9 (search), bundle.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
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
    check_accept,
    check_form,
    is_unchanged,
    json_response,
    preferences,
    resource_response,
    version_headers,
)
from engine.fhir.capability import Served
from engine.fhir.errors import refused
from engine.fhir.outcome import note, operation_outcome
from engine.store import resource
from engine.store.reader import Reader
from engine.store.resource import Loaded, Page


class Reading:
    """Answers reads and searches of the types that are served."""

    def __init__(self, *, site: Callable[[], Site], reader: Reader, base_url: Callable[[web.Request], str]) -> None:
        self._site = site
        self._reader = reader
        self._base_url = base_url

    async def read(self, of: Served, request: web.Request) -> web.Response:
        """Answer `GET /{type}/{id}` and `GET /{type}/{id}/_history/{vid}`, of which there is the present one.

        Raises:
            ResourceRefused: FHIR-120, there is none, or it is not shown.
        """
        check_accept(request)
        row = row_of(request.match_info["id"])
        found = None
        if row is not None:
            wanted = row
            found = await self._reader.run(lambda connection: resource.load(connection, of.type, wanted))
        if found is None:
            raise refused("FHIR-120", "no resource has this id")
        made = Representation(self._site()).of(found)
        version = made["meta"]["versionId"]
        if request.match_info.get("vid", version) != version:
            raise refused("FHIR-120", "of this resource only the present version is kept")
        headers = version_headers(version, datetime.fromisoformat(made["meta"]["lastUpdated"]))
        if is_unchanged(request, version):
            return web.Response(status=304, headers=headers)
        return json_response(orjson.dumps(made), headers=headers)

    async def search(self, of: Served, request: web.Request) -> web.Response:
        """Answer `GET /{type}?…` and `POST /{type}/_search`.

        Raises:
            ResourceRefused: FHIR-130, a parameter is not served and the client asked for `handling=strict`.
        """
        check_accept(request)
        pairs = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        if request.method == "POST":
            check_form(request)
            form = await read_body(request, FORM_BYTES)
            pairs += parse_qsl(form.decode("utf-8", errors="replace"), keep_blank_values=True)
        site, base_url = self._site(), self._base_url(request)
        search = search_of(of, pairs, site.issuers, base_url)
        _, is_strict = preferences(request)
        if search.ignored and is_strict:
            raise refused("FHIR-130", _not_supported(search))
        page, made = await self._reader.run(
            lambda connection: _rendered(
                *resource.load_page(connection, of.type, search.criteria, after=search.after, count=search.count), site
            )
        )
        return resource_response(_bundle(of, search, page, made, base_url))


def _rendered(page: Page, loaded: Sequence[Loaded], site: Site) -> tuple[Page, list[dict[str, Any]]]:
    representation = Representation(site)
    return page, [representation.of(one) for one in loaded]


def _not_supported(search: Search) -> str:
    return f"search parameter not supported: {', '.join(search.ignored)}"


def _bundle(of: Served, search: Search, page: Page, made: list[dict[str, Any]], base_url: str) -> dict[str, Any]:
    def link(relation: str, parameters: list[tuple[str, str]]) -> dict[str, str]:
        query = urlencode(parameters)
        return {"relation": relation, "url": f"{base_url}/{of.type}" + (f"?{query}" if query else "")}

    after = [(AFTER, str(search.after))] if search.after else []
    links = [link("self", [*search.honoured, *after])]
    if page.more:
        links.append(link("next", [*search.honoured, (AFTER, str(page.ids[-1]))]))
    entries: list[dict[str, Any]] = [
        {"fullUrl": f"{base_url}/{of.type}/{one['id']}", "resource": one, "search": {"mode": "match"}} for one in made
    ]
    if search.ignored:
        told = note(_not_supported(search), severity="warning", kind="not-supported")
        entries.append({"resource": operation_outcome([told]), "search": {"mode": "outcome"}})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": page.total, "link": links}
    if entries:
        bundle["entry"] = entries
    return bundle
