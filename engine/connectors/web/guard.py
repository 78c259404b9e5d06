"""Stands around every page and endpoint: refusals in the reader's own form, headers that keep patient data private.

Paths of other connectors pass untouched.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from aiohttp import web

from engine.connectors.web.api import json_answer
from engine.connectors.web.errors import MethodNotTaken, NoSuchPlace
from engine.core.errors import EngineError, InvariantError
from engine.core.outcomes import outcome_of
from engine.desk.errors import SeveralOrders

Json = dict[str, Any]
RenderError = Callable[[web.Request, Json], Awaitable[web.Response]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OURS: Final = frozenset(
    {
        "",
        "api",
        "favicon.ico",
        "health",
        "holds",
        "messages",
        "metrics",
        "notices",
        "openapi.json",
        "orders",
        "reports",
        "search",
        "static",
        "studies",
    }
)
"""First segments of the paths that this connector answers."""
_MACHINES: Final = frozenset({"api", "health", "metrics", "openapi.json"})

SECURITY: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_TITLES: Final = {
    "WEB-110": "Parameter not understood",
    "WEB-111": "Not found",
    "WEB-120": "Several orders have this accession number",
    "WEB-121": "Method not allowed",
}
_CLASSES: Final = {"STO": "Storage is not available", "BUG": "Something went wrong here"}

log = structlog.get_logger()


def guard(render_error: RenderError) -> Any:
    """Return the middleware; `render_error` makes the page of a problem."""

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        first = request.path.split("/", 2)[1]
        if first not in OURS and (request.match_info.http_exception is None or _is_claimed(request.app, first)):
            return await handler(request)
        answer = await _answered(request, handler, first, render_error)
        for name, value in SECURITY.items():
            answer.headers.setdefault(name, value)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    return middleware


async def _answered(
    request: web.Request, handler: _Handler, first: str, render_error: RenderError
) -> web.StreamResponse:
    headers: dict[str, str] = {}
    try:
        return await handler(request)
    except EngineError as error:
        found: EngineError = error
    except web.HTTPMethodNotAllowed as refusal:
        found = MethodNotTaken()
        headers["Allow"] = ", ".join(sorted(refusal.allowed_methods))
    except web.HTTPNotFound:
        found = NoSuchPlace()
    except web.HTTPException:
        raise
    except Exception as cause:  # noqa: BLE001  # the one of this connector: a bug must not show its insides
        found = InvariantError(f"unforeseen {type(cause).__name__} in a request")
        found.__cause__ = cause
    problem = _problem(found)
    wants_json = first in _MACHINES
    answer = _json(problem) if wants_json else await render_error(request, problem)
    answer.headers.update(headers)
    return answer


def _json(problem: Json) -> web.Response:
    answer = json_answer(problem, status=problem["status"])
    answer.content_type = "application/problem+json"
    return answer


def _problem(error: EngineError) -> Json:
    """Return the problem details of an error. Source: RFC 9457."""
    outcome = outcome_of(error.code)
    status = outcome.http or 500
    title = _TITLES.get(error.code) or _CLASSES.get(error.code[:3], "Refused")
    problem: Json = {"type": "about:blank", "title": title, "status": status, "code": error.code, "detail": error.text}
    if error.where:
        problem["where"] = error.where
    if isinstance(error, SeveralOrders):
        problem["choices"] = [{"id": row, "issuer": issuer} for row, issuer in error.choices]
    if status >= 500:
        problem["incident"] = secrets.token_hex(6)
        problem["detail"] = f"incident {problem['incident']}; the log of the engine says more"
        cause = error.__cause__ or error
        trace = "".join(traceback.format_tb(cause.__traceback__))  # without the text, which may quote a record
        log.error(
            "web.request_failed",
            code=error.code,
            incident=problem["incident"],
            error=type(cause).__name__,
            trace=trace,
        )
    return problem


def _is_claimed(app: web.Application, first: str) -> bool:
    return any(resource.canonical.split("/", 2)[1] == first for resource in app.router.resources())
