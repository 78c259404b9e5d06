"""Puts one message into the outbox of one destination, written as that receiver wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engine.config.route import Destination, Route
from engine.config.site import Site
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.mapping.copied import Copied
from engine.mapping.mapping import Source
from engine.mapping.outgoing import Outgoing
from engine.records.state import Danger
from engine.store import outbox
from engine.store.unit import Unit

Wake = Callable[[str], None]
"""Called on the event loop with a destination that has something to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a notice tells of."""

    event_id: RowId
    event_name: str
    order_id: RowId | None = None
    study_id: RowId | None = None
    patient_id: RowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A way from a route to its outbox, for one event or one message."""

    unit: Unit
    route: Route
    source: Source
    site: Site
    wake: Wake
    about: About

    def send(self, made: Outgoing | Copied, destination: Destination) -> None:
        """Write a notice; its lane wakes after the commit.

        Raises:
            UnencodableText: HL7-102, the receiver's character set cannot carry a value.
            MappingFault: `order_by:` gives no single value.
        """
        row = self.unit.new_id()
        ours = control_id_of(row)
        body = made.render(
            control_id=ours, now=self.unit.now, dialect=self.site.settings.destinations.mllp[destination.name].dialect
        )
        self._post(row, body, made.control_id(ours) if isinstance(made, Copied) else ours, destination)

    def send_raw(self, body: bytes, control_id: str, destination: Destination) -> None:
        """Write what came in as it came, under its own control id.

        Raises:
            MappingFault: `order_by:` gives no single value.
        """
        self._post(self.unit.new_id(), body, control_id, destination)

    def _post(self, row: RowId, body: bytes, control_id: str, destination: Destination) -> None:
        unit, about = self.unit, self.about
        give_up = destination.retry.give_up_after_s
        outbox.post(
            unit,
            row,
            outbox.Posted(
                route=self.route.name,
                kind=destination.kind,
                destination=destination.name,
                lane=f"{self.route.name}/{destination.order_key(self.source, self.site.context())}",
                control_id=control_id,
                body=body,
                give_up_at=unit.now + timedelta(seconds=give_up) if give_up is not None else None,
                event_id=about.event_id,
                event_name=about.event_name,
                order_id=about.order_id,
                study_id=about.study_id,
            ),
        )
        wake, name = self.wake, destination.name
        unit.after_commit(lambda: wake(name))

    def hold(self, reason: str, *, cause_kind: str) -> None:
        """Ask a person to look after a notice that could not be made: what it tells of stays as it is."""
        unit, about = self.unit, self.about
        change = Change(Act(now=unit.now, cause_kind=cause_kind, cause_id=about.event_id, new_id=unit.new_id))
        change.hold(
            "notice_not_made",
            Danger.AMBER,
            reason,
            order_id=about.order_id,
            study_id=about.study_id,
            patient_id=about.patient_id,
        )
        unit.insert([*change.new.values(), *change.events])


def control_id_of(row: RowId) -> str:
    """Return the MSH-10 of a notice: the same on every retry, unique for ever."""
    return f"ISTHMUS{row:010d}"
