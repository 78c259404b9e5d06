"""Creates: an order that comes as a ServiceRequest.

Source: FHIR R4 http.html section 3.1.0.8 (create, conditional create).
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from engine.broker.resource import Posted, ResourceIntake
from engine.connectors.fhir.limits import read_body
from engine.connectors.fhir.wire import (
    check_accept,
    check_content_type,
    json_response,
    preferences,
    version_headers,
)
from engine.core.limits import Limits
from engine.records.exchange import Peer

_LISTENER = "http"


class Creating:
    """Answers `POST /ServiceRequest`."""

    def __init__(self, *, intake: ResourceIntake, limits: Limits, base_url: Callable[[web.Request], str]) -> None:
        self._intake = intake
        self._limits = limits
        self._base_url = base_url

    async def service_request(self, request: web.Request) -> web.Response:
        """Hand the body to the broker; answered after the commit.

        Raises:
            ResourceRefused: FHIR-104, FHIR-108, FHIR-109: nothing was kept.
            StorageError: nothing was kept.
        """
        check_accept(request)
        check_content_type(request)
        base_url = self._base_url(request)
        preference, _ = preferences(request)
        answer = await self._intake.create_service_request(
            Posted(
                body=await read_body(request, self._limits.fhir_body_bytes),
                peer=Peer(listener=_LISTENER, address=request.remote or ""),
                base_url=base_url,
                preference=preference,
                if_none_exist=request.headers.get("If-None-Exist", ""),
            )
        )
        headers: dict[str, str] = {}
        if answer.id is not None:
            headers = version_headers(answer.version, answer.changed_at)
            headers["Location"] = f"{base_url}/ServiceRequest/{answer.id}/_history/{answer.version}"
        return json_response(answer.body, status=answer.status, headers=headers)
