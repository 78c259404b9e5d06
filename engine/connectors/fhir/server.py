"""The FHIR R4 routes of the HTTP server: one table of what is served makes the router and the CapabilityStatement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from aiohttp import web

from engine import __version__
from engine.broker.resource import ResourceIntake
from engine.config.site import Site
from engine.connectors.fhir.create import Creating
from engine.connectors.fhir.failure import PREFIX, tell_failures
from engine.connectors.fhir.read import Reading
from engine.connectors.fhir.wire import check_accept, resource_response
from engine.core.clock import Clock, SystemClock
from engine.core.limits import Limits
from engine.fhir.capability import SERVED, capability_statement
from engine.fhir.element import instant
from engine.store.reader import Reader

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_fhir(
    app: web.Application,
    *,
    site: Callable[[], Site],
    intake: ResourceIntake,
    reader: Reader,
    limits: Limits,
    clock: Clock | None = None,
    base_url: str | None = None,
) -> None:
    """Serve FHIR R4 under `/fhir` of `app`; call before `app` is frozen.

    Args:
        app: The HTTP server's application.
        site: Gives the site as it is loaded now.
        intake: Takes created resources.
        reader: Runs the queries of reads and searches.
        limits: `fhir_body_bytes`, `json_depth`.
        clock: Dates the CapabilityStatement; None takes the machine's.
        base_url: Address under which clients reach us, `/fhir` included, when a proxy stands in front;
            None takes it from each request.
    """

    def base(request: web.Request) -> str:
        return base_url.rstrip("/") if base_url else f"{request.scheme}://{request.host}{PREFIX}"

    fhir = web.Application(middlewares=[tell_failures])
    reading = Reading(site=site, reader=reader, base_url=base)
    creating = Creating(intake=intake, limits=limits, base_url=base)
    creators: dict[str, _Handler] = {"ServiceRequest": creating.service_request}
    for of in SERVED:
        read, search = partial(reading.read, of), partial(reading.search, of)
        if "search-type" in of.interactions:
            fhir.router.add_get(f"/{of.type}", search)
            fhir.router.add_post(f"/{of.type}/_search", search)
        if "create" in of.interactions:
            fhir.router.add_post(f"/{of.type}", creators[of.type])
        if "read" in of.interactions:
            fhir.router.add_get(f"/{of.type}/{{id}}", read)
        if "vread" in of.interactions:
            fhir.router.add_get(f"/{of.type}/{{id}}/_history/{{vid}}", read)
    started = instant((clock or SystemClock()).now())

    async def metadata(request: web.Request) -> web.Response:
        check_accept(request)
        name = site().settings.site.name
        return resource_response(
            capability_statement(name=name, software_version=__version__, date=started, base_url=base(request))
        )

    async def running(_app: web.Application) -> AsyncIterator[None]:
        intake.start()
        yield
        intake.close()

    fhir.router.add_get("/metadata", metadata)
    fhir.cleanup_ctx.append(running)
    app.add_subapp(PREFIX, fhir)
