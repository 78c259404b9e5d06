"""Sends a received message on: as its mapping remade it, with some fields changed, or as it came."""

from __future__ import annotations

from collections.abc import Sequence

from engine.broker.dispatch import About, Post, Wake
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError
from engine.core.ids import RowId
from engine.hl7.message import Message
from engine.mapping.copied import Copied
from engine.mapping.mapping import Source
from engine.mapping.outgoing import Outgoing
from engine.mapping.result import Result
from engine.store.unit import Unit


def forward(
    unit: Unit,
    cause: RowId,
    body: bytes,
    route: Route,
    results: Sequence[Result],
    site: Site,
    wake: Wake,
    *,
    source: Source | None = None,
) -> tuple[str, ...]:
    """Write the deliveries of a message route, nothing for a route without `to:`; return what could not be sent on.

    What one receiver cannot be sent becomes an amber hold that says why; it is no fault of the sender's.
    `source` is what the route read; None reads `body` as an HL7 message. Only that can be sent on as it came.
    """
    if not route.destinations:
        return ()
    message: Source = Message.parse(body) if source is None else source
    about = About(event_id=cause, event_name="message")
    post = Post(unit=unit, route=route, source=message, site=site, wake=wake, about=about)
    made = [result.fact for result in results if isinstance(result.fact, Outgoing | Copied)]
    failed = []
    for destination in route.destinations:
        try:
            if route.mapping is None and isinstance(message, Message):
                post.send_raw(body, message.control_id, destination)
            for one in made:
                post.send(one, destination)
        except EngineError as error:
            reason = f"route {route.name} could not send to {destination.name}: {error}"
            post.hold(reason, cause_kind="message")
            failed.append(reason)
    return tuple(failed)
