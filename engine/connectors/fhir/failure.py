"""Every failure under `/fhir` becomes an OperationOutcome, those of the HTTP server itself too."""

from __future__ import annotations

import traceback

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from engine.connectors.fhir.wire import refusal
from engine.core.errors import EngineError, StorageError
from engine.core.outcomes import outcome_of
from engine.fhir.capability import served
from engine.fhir.errors import Issue
from engine.fhir.outcome import issues_of

log = structlog.get_logger()

PREFIX = "/fhir"
_RETRY_AFTER_S = 5
_NOT_FOUND, _NOT_ALLOWED, _TOO_LARGE = 404, 405, 413


@web.middleware
async def tell_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a handler, or the router, raised."""
    try:
        return await handler(request)
    except EngineError as error:
        level = outcome_of(error.code).level
        log.log({"error": 40, "warning": 30}.get(level, 20), "fhir.refused", code=error.code)
        headers = {"Retry-After": str(_RETRY_AFTER_S)} if isinstance(error, StorageError) else None
        return refusal(issues_of(error), headers=headers)
    except web.HTTPException as raised:
        if raised.status < 400:
            raise
        allow = raised.headers.get("Allow")
        return refusal([_of_server(request, raised.status)], headers={"Allow": allow} if allow else None)
    except Exception as cause:  # noqa: BLE001  # the one worker of a request: the server's own page is not FHIR
        trace = "".join(traceback.format_tb(cause.__traceback__))  # without the text, which may quote a resource
        log.error("fhir.failed", error=type(cause).__name__, trace=trace)
        return refusal([Issue(code="BUG-101", text="unforeseen; the incident was logged", severity="fatal")])


def _of_server(request: web.Request, status: int) -> Issue:
    kind = request.path.removeprefix(PREFIX).strip("/").split("/", 1)[0]
    if status == _NOT_ALLOWED:
        return Issue(code="FHIR-107", text="this interaction is not offered here")
    if status == _NOT_FOUND and served(kind) is None:
        return Issue(code="FHIR-106", text="this resource type is not served here")
    if status == _NOT_FOUND:
        return Issue(code="FHIR-120", text="nothing is served at this address")
    if status == _TOO_LARGE:
        return Issue(code="FHIR-104", text="the body is too large")
    return Issue(code="FHIR-101", text="the request cannot be read")
