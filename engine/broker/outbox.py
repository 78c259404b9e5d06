"""Events become notices: the routes on an event are mapped and their deliveries written, in the same commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from engine.broker.view import event_view
from engine.config.route import Route
from engine.config.site import Site
from engine.core.errors import EngineError, InvariantError
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.mapping.outgoing import Outgoing
from engine.records.record import Event
from engine.records.state import Danger
from engine.store import outbox
from engine.store.unit import Unit

Wake = Callable[[str], None]
"""Called on the event loop with a destination that has something to send."""


def tell(unit: Unit, events: Iterable[Event], site: Site, wake: Wake) -> None:
    """Write the notices that the site's routes make of events; their lanes wake after the commit.

    A mapping that fails never undoes what happened: the notice becomes an amber hold that names the route.
    """
    for event in events:
        routes = site.event_routes(event.name)
        if not routes:
            continue
        view = event_view(unit, event)
        for route in routes:
            try:
                _post(unit, event, view, route, site, wake)
            except EngineError as error:
                _hold(unit, event, route, error)


def _post(unit: Unit, event: Event, view: dict[str, Any], route: Route, site: Site, wake: Wake) -> None:
    context = site.context()
    if not route.matches(view, context):
        return
    if route.mapping is None:
        raise InvariantError(f"route {route.name} takes an event and has no mapping")
    for result in route.mapping.run(view, context):
        if not isinstance(result.fact, Outgoing):
            raise InvariantError(f"route {route.name} does not make a message")
        for destination in route.destinations:
            row = unit.new_id()
            control_id = control_id_of(row)
            give_up = destination.retry.give_up_after_s
            outbox.post(
                unit,
                row,
                outbox.Posted(
                    route=route.name,
                    kind=destination.kind,
                    destination=destination.name,
                    lane=f"{route.name}/{destination.order_key(view, context)}",
                    control_id=control_id,
                    body=result.fact.render(control_id=control_id, now=unit.now),
                    give_up_at=unit.now + timedelta(seconds=give_up) if give_up is not None else None,
                    event_id=event.id,
                    event_name=event.name,
                    order_id=event.order_id,
                    study_id=event.study_id,
                ),
            )
            unit.after_commit(lambda name=destination.name: wake(name))  # type: ignore[misc]  # the default binds the name now


def control_id_of(row: RowId) -> str:
    """Return the MSH-10 of a notice: the same on every retry, unique for ever."""
    return f"ISTHMUS{row:010d}"


def _hold(unit: Unit, event: Event, route: Route, error: EngineError) -> None:
    act = Act(now=unit.now, cause_kind="event", cause_id=event.id, new_id=unit.new_id)
    change = Change(act)
    change.hold(
        "notice_not_made",
        Danger.AMBER,
        f"route {route.name} could not make its notice: {error}",
        order_id=event.order_id,
        study_id=event.study_id,
        patient_id=event.patient_id,
    )
    unit.insert([*change.new.values(), *change.events])
