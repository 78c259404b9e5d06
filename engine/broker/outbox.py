"""Events become notices: the routes on an event are mapped and their deliveries written, in the same commit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.broker.dispatch import About, Post, Wake
from engine.broker.view import event_view
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError, InvariantError
from engine.mapping.outgoing import Outgoing
from engine.records.record import Event
from engine.store.unit import Unit

__all__ = ["Wake", "tell"]


def tell(unit: Unit, events: Iterable[Event], site: Site, wake: Wake) -> None:
    """Write the notices that the site's routes make of events; their lanes wake after the commit.

    A mapping that fails, or a receiver whose character set cannot carry what it made, never undoes what happened: the
    notice becomes an amber hold that names the route.
    """
    for event in events:
        routes = site.event_routes(event.name)
        if not routes:
            continue
        view = event_view(unit, event)
        about = About(
            event_id=event.id,
            event_name=event.name,
            order_id=event.order_id,
            study_id=event.study_id,
            patient_id=event.patient_id,
        )
        for route in routes:
            post = Post(unit=unit, route=route, source=view, site=site, wake=wake, about=about)
            try:
                made = _made(view, route, site)
            except EngineError as error:
                post.hold(f"route {route.name} could not make its notice: {error}", cause_kind="event")
                continue
            for one in made:
                _send(post, one)


def _made(view: dict[str, Any], route: Route, site: Site) -> list[Outgoing]:
    context = site.context()
    if not route.matches(view, context):
        return []
    if route.mapping is None:
        raise InvariantError(f"route {route.name} takes an event and has no mapping")
    made = [result.fact for result in route.mapping.run(view, context)]
    if not all(isinstance(one, Outgoing) for one in made):
        raise InvariantError(f"route {route.name} does not make a message")
    return [one for one in made if isinstance(one, Outgoing)]


def _send(post: Post, made: Outgoing) -> None:
    for destination in post.route.destinations:
        try:
            post.send(made, destination)
        except EngineError as error:
            reason = f"route {post.route.name} could not make its notice to {destination.name}: {error}"
            post.hold(reason, cause_kind="event")
