"""The engine at a glance: who listens, what waits for whom, what was taken, what a person must decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engine.core.clock import Clock
from engine.desk.moment import iso
from engine.desk.status import Check, Counts, DestinationStatus, Status
from engine.store import figure
from engine.store.figure import LaneFigures
from engine.store.reader import Reader

Json = dict[str, Any]
_LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A destination with its outbox. `oldest_s` is how long the oldest notice has waited [s], 0 with none."""

    destination: DestinationStatus
    figures: LaneFigures
    oldest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the metrics tell, read in one moment."""

    counts: Counts
    lanes: tuple[Lane, ...]
    holds: dict[str, int]


class Overview:
    """Reads the engine's own memory and a few counts by index."""

    def __init__(self, *, reader: Reader, status: Status, clock: Clock) -> None:
        self._reader = reader
        self._status = status
        self._clock = clock

    async def figures(self) -> Figures:
        """Return the figures for the metrics."""
        destinations = self._status.destinations()

        def read(connection: Any) -> tuple[list[LaneFigures], dict[str, int]]:
            lanes = [figure.lane_figures(connection, destination.name) for destination in destinations]
            return (lanes, figure.open_holds(connection))

        lanes, holds = await self._reader.run(read)
        now = self._clock.now()
        return Figures(
            counts=self._status.counts(),
            lanes=tuple(
                Lane(
                    destination=destination,
                    figures=lane,
                    oldest_s=max((now - lane.oldest_at).total_seconds(), 0.0) if lane.oldest_at else 0.0,
                )
                for destination, lane in zip(destinations, lanes, strict=True)
            ),
            holds=holds,
        )

    async def checks(self) -> tuple[Check, ...]:
        """Return the conditions of being ready."""
        return tuple(await self._status.checks())

    async def home(self) -> Json:
        """Return everything that the home page shows. Counts of a state end at `count_bound`."""
        figures = await self.figures()
        since = self._clock.now() - _LATELY
        orders, messages = await self._reader.run(
            lambda connection: (figure.orders_by_state(connection), figure.messages_since(connection, since))
        )
        checks = await self.checks()
        counts = figures.counts
        return {
            "ready": all(check.is_ok for check in checks),
            "checks": [{"name": each.name, "ok": each.is_ok, "detail": each.detail} for each in checks],
            "listeners": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "address": f"{each.host}:{each.port}",
                    "bound": each.is_bound,
                    "connections": each.connections,
                    "detail": each.detail,
                }
                for each in self._status.listeners()
            ],
            "lanes": [_lane(lane) for lane in figures.lanes],
            "orders": orders,
            "messages": {"since": iso(since), "by_state": messages},
            "holds": figures.holds,
            "counts": {
                "messages": dict(counts.messages),
                "instances": dict(counts.instances),
                "worklist_queries": counts.worklist_queries,
                "worklist_answered": counts.worklist_answered,
                "writer_backlog": counts.writer_backlog,
                "associations": counts.associations,
                "mllp_connections": counts.mllp_connections,
                "loop_lag_s": round(counts.loop_lag_s, 6),
                "disk_free_bytes": counts.disk_free_bytes,
            },
            "count_bound": figure.BOUND,
        }


def _lane(of: Lane) -> Json:
    return {
        "name": of.destination.name,
        "kind": of.destination.kind,
        "address": of.destination.address,
        "waiting": of.figures.waiting,
        "oldest_at": iso(of.figures.oldest_at),
        "oldest_s": round(of.oldest_s, 1),
        "dead": of.figures.dead,
        "delivered": of.destination.delivered,
        "failed": of.destination.failed,
        "last_answer": of.figures.answer_code or None,
        "last_answer_at": iso(of.figures.answered_at),
    }
