"""Sends a received message on: as its mapping remade it, or as it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from engine.config.route import Route
from engine.config.site import Site
from engine.core.ids import RowId
from engine.hl7.message import Message
from engine.mapping.mapping import Source
from engine.mapping.outgoing import Outgoing
from engine.mapping.result import Result
from engine.store import outbox
from engine.store.unit import Unit


def forward(
    unit: Unit,
    cause: RowId,
    body: bytes,
    route: Route,
    results: Sequence[Result],
    site: Site,
    wake: Callable[[str], None],
    *,
    source: Source | None = None,
) -> None:
    """Write the deliveries of a message route; nothing for a route without `to:`.

    `source` is what the route read; None reads `body` as an HL7 message. Only that can be sent on as it came.
    """
    if not route.destinations:
        return
    message: Source = Message.parse(body) if source is None else source
    context = site.context()
    made: list[Outgoing | None] = [result.fact for result in results if isinstance(result.fact, Outgoing)]
    for destination in route.destinations:
        for outgoing in made or [None]:
            row = unit.new_id()
            control_id = f"ISTHMUS{row:010d}"
            if outgoing is None and isinstance(message, Message):
                control_id = message.control_id
            give_up = destination.retry.give_up_after_s
            outbox.post(
                unit,
                row,
                outbox.Posted(
                    route=route.name,
                    kind=destination.kind,
                    destination=destination.name,
                    lane=f"{route.name}/{destination.order_key(message, context)}",
                    control_id=control_id,
                    body=outgoing.render(control_id=control_id, now=unit.now) if outgoing else body,
                    give_up_at=unit.now + timedelta(seconds=give_up) if give_up is not None else None,
                    event_id=cause,
                    event_name="message",
                ),
            )
        name = destination.name
        unit.after_commit(lambda name=name: wake(name))  # type: ignore[misc]  # the default binds the name now
