"""A route: what is taken, when, how it is mapped, what it does to the records and who is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.config.sender import USUAL_WAYS, WaysOfSenders
from engine.core.ids import PeerName, RouteName
from engine.hl7.message import Message
from engine.hl7.profile import Profile
from engine.mapping.context import Context
from engine.mapping.mapping import Mapping, Source

Kind = Literal["mllp", "fhir", "event"]
Validate = Literal["off", "warn", "strict"]
Apply = Literal["order", "patient", "merge", "report", "appointment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to try: waits double from `first_s` to `max_s` [s]; after `give_up_after_s` it is a dead letter."""

    first_s: float = 1.0
    max_s: float = 60.0
    give_up_after_s: float | None = None
    """None never gives up."""

    def wait_s(self, attempt: int) -> float:
        """Return the wait [s] after the failed attempt of that number, counted from 1."""
        return min(self.first_s * 2.0 ** min(attempt - 1, 32), self.max_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One entry of `to:`."""

    kind: Literal["mllp"]
    name: PeerName
    """A name under `destinations:` of isthmus.yaml."""
    retry: Retry = Retry()
    order_by: Callable[[Source, Context], str] | None = None
    """Gives the key within which order is kept; None keeps one order for the whole route."""

    def order_key(self, source: Source, context: Context) -> str:
        """Return the key of the lane that this source's notice waits in; "" when nothing tells them apart."""
        return self.order_by(source, context) if self.order_by else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What stands in one file under routes/."""

    name: RouteName
    file: str
    line: int
    kind: Kind
    listener: str
    """Name of the MLLP listener, FHIR resource type, or name of the event."""
    also: tuple[str, ...] = ()
    """Names of further events that it takes."""
    mapping: Mapping | None = None
    """None sends what came in on as it is."""
    apply: Apply | None = None
    destinations: tuple[Destination, ...] = ()
    when: Callable[[Source, Context], bool] | None = None
    types: frozenset[str] = frozenset()
    """Message types (MSH-9.1) that `when:` names; empty when it names none."""
    only: frozenset[str] | None = None
    """Message types without which `when:` cannot hold; None when it may hold for any."""

    validate: Validate = "off"
    """What is done about problems of a message: nothing is looked for, they are kept and told, or they refuse it."""
    profile: Profile | None = None
    """What is looked for besides the standard."""
    ways: WaysOfSenders = USUAL_WAYS
    """How the senders of orders and appointments mean what they say, and how they are answered."""

    def matches(self, source: Source, context: Context) -> bool:
        """Whether `when:` holds; a route without one takes everything."""
        if self.only is not None and isinstance(source, Message) and source.type not in self.only:
            return False
        return self.when is None or self.when(source, context)
