"""Headers and bodies: media types, preferences, versions, and resources as responses.

Source: FHIR R4 http.html; RFC 7231 section 5.3.2 (Accept), RFC 7232 (ETag), RFC 7240 (Prefer).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import orjson
from aiohttp import web

from engine.broker.resource import Preference
from engine.fhir.errors import Issue, refused
from engine.fhir.outcome import operation_outcome, status_of

CONTENT_TYPE = "application/fhir+json"
_JSON_TYPES = frozenset({CONTENT_TYPE, "application/json", "text/json"})
_JSON_FORMATS = _JSON_TYPES | {"json"}
_ANY = frozenset({"*/*", "application/*"})
_VERSIONS = frozenset({"4.0", "4.0.1"})
_FORM = "application/x-www-form-urlencoded"
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
_PREFERENCE = re.compile(r"(?:^|[,;\s])(return|handling)\s*=\s*\"?([A-Za-z]+)", re.IGNORECASE)


def check_accept(request: web.Request) -> None:
    """Refuse a client that wants no JSON; `_format` wins over `Accept`.

    Raises:
        ResourceRefused: FHIR-109.
    """
    stated = request.query.get("_format")
    if stated is not None:
        if stated.replace(" ", "+").split(";")[0].strip().lower() not in _JSON_FORMATS:
            raise refused("FHIR-109", "only JSON is spoken here", where="_format")
        return
    accept = ",".join(request.headers.getall("Accept", ()))
    if accept and not any(_is_acceptable(part) for part in accept.split(",")):
        raise refused("FHIR-109", "only JSON of FHIR 4.0 is spoken here", where="Accept")


def _is_acceptable(part: str) -> bool:
    kind, parameters = _media_type(part)
    if parameters.get("q") in ("0", "0.0", "0.00", "0.000"):
        return False
    return kind in _ANY or (kind in _JSON_TYPES and parameters.get("fhirversion", "4.0") in _VERSIONS)


def check_content_type(request: web.Request) -> None:
    """Refuse a body that is not declared as JSON of FHIR 4.0 in UTF-8.

    Raises:
        ResourceRefused: FHIR-108.
    """
    kind, parameters = _media_type(request.headers.get("Content-Type", ""))
    if (
        kind not in (CONTENT_TYPE, "application/json")
        or parameters.get("fhirversion", "4.0") not in _VERSIONS
        or parameters.get("charset", "utf-8") not in ("utf-8", "utf8")
    ):
        raise refused("FHIR-108", f"Content-Type must be {CONTENT_TYPE} of FHIR 4.0 in UTF-8", where="Content-Type")


def check_form(request: web.Request) -> None:
    """Refuse a search whose body is not a form.

    Raises:
        ResourceRefused: FHIR-108.
    """
    stated = request.headers.get("Content-Type")
    if stated is not None and _media_type(stated)[0] != _FORM:
        raise refused("FHIR-108", f"Content-Type of a search must be {_FORM}", where="Content-Type")


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    kind, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return (
        kind.strip().lower(),
        {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs},
    )


def preferences(request: web.Request) -> tuple[Preference, bool]:
    """Return what `Prefer` asks for: what to answer a create with, and whether unknown search parameters are errors."""
    found = {
        name.lower(): value.lower()
        for name, value in _PREFERENCE.findall(",".join(request.headers.getall("Prefer", ())))
    }
    wanted = {each.value.lower(): each for each in Preference}
    return wanted.get(found.get("return", ""), Preference.REPRESENTATION), found.get("handling") == "strict"


def is_unchanged(request: web.Request, version: str) -> bool:
    """Whether the client has this version already (If-None-Match)."""
    stated = request.headers.get("If-None-Match", "")
    return stated.strip() == "*" or version in _ETAG.findall(stated)


def version_headers(version: str, changed_at: datetime | None) -> dict[str, str]:
    """Return ETag and Last-Modified."""
    headers = {"ETag": f'W/"{version}"'}
    if changed_at is not None:
        headers["Last-Modified"] = format_datetime(changed_at, usegmt=True)
    return headers


def json_response(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return FHIR JSON."""
    return web.Response(body=body, status=status, headers=headers, content_type=CONTENT_TYPE, charset="utf-8")


def resource_response(resource: dict[str, Any], *, status: int = 200) -> web.Response:
    """Return a resource that has no version."""
    return json_response(orjson.dumps(resource), status=status)


def refusal(issues: Sequence[Issue], *, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an OperationOutcome with the status of its first finding."""
    return json_response(orjson.dumps(operation_outcome(issues)), status=status_of(issues), headers=headers)
