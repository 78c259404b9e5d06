"""The FHIR R4 routes of the HTTP server: one table of what is served makes the router and the CapabilityStatement."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from engine.broker.resource import ResourceIntake
from engine.config.site import Site
from engine.core.limits import Limits
from engine.store.reader import Reader

PREFIX = "/fhir"


def add_fhir(
    app: web.Application,
    *,
    site: Callable[[], Site],
    intake: ResourceIntake,
    reader: Reader,
    limits: Limits,
    base_url: str | None = None,
) -> None:
    """Serve FHIR R4 under `/fhir` of `app`; call before `app` is frozen.

    Args:
        app: The HTTP server's application.
        site: Gives the site as it is loaded now.
        intake: Takes created resources.
        reader: Runs the queries of reads and searches.
        limits: `fhir_body_bytes`, `json_depth`.
        base_url: Address under which clients reach us, `/fhir` included, when a proxy stands in front;
            None takes it from each request.
    """
