"""How the running engine is: a port that `app` fills and that pages, health and metrics read.

Everything here is read from memory and costs nothing; what waits in the outbox is asked of the database instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerStatus:
    """A port of ours as it stands now."""

    name: str
    """Name in isthmus.yaml."""
    kind: str
    """mllp, dicom or http."""
    host: str
    port: int
    """The port that is bound; 0 when it is not."""
    connections: int = 0
    detail: str = ""
    """What a peer must be told, such as our AE title."""

    @property
    def is_bound(self) -> bool:
        """Whether peers can reach it."""
        return self.port > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """A system that we send to, and how sending went since the start."""

    name: str
    """Name in isthmus.yaml."""
    kind: str
    address: str
    """`host:port`."""
    delivered: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was counted since the start, and figures of this moment."""

    messages: Mapping[str, int] = field(default_factory=dict)
    """By outcome: applied, held, filtered, refused, dead, duplicate."""
    instances: Mapping[str, int] = field(default_factory=dict)
    """By outcome: stored, duplicate, collision."""
    worklist_queries: int = 0
    worklist_answered: int = 0
    writer_backlog: int = 0
    writer_batches: int = 0
    writer_units: int = 0
    associations: int = 0
    mllp_connections: int = 0
    loop_lag_s: float = 0.0
    """How late the event loop woke last [s]."""
    disk_free_bytes: int | None = None
    """None when the object store has no such bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of being ready. `detail` says why not, by code or number, never by value of a message."""

    name: str
    is_ok: bool
    detail: str = ""


class Status(Protocol):
    """The running engine, as seen from outside."""

    def listeners(self) -> Sequence[ListenerStatus]:
        """Return every listener, in the order of isthmus.yaml."""
        ...

    def destinations(self) -> Sequence[DestinationStatus]:
        """Return every destination, in the order of isthmus.yaml."""
        ...

    def counts(self) -> Counts:
        """Return the counters and the figures of this moment."""
        ...

    async def checks(self) -> Sequence[Check]:
        """Return the conditions of being ready: database writable, disk above its floor, every listener bound.

        Source: spec/reliability.md section 10 (health).
        """
        ...
