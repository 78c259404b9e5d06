"""Says how the running engine is, to pages, health and metrics (the port of engine/desk/status.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.core.errors import StorageError
from engine.desk.status import Check, Counts, DestinationStatus, ListenerStatus
from engine.dicom.command import Operation
from engine.store.unit import Unit

if TYPE_CHECKING:
    from engine.app.engine import Engine


class EngineStatus:
    """Reads the figures of one engine; nothing here waits but `checks`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listeners(self) -> Sequence[ListenerStatus]:
        """Return every listener, in the order of isthmus.yaml."""
        engine = self._engine
        settings = engine.site.settings.listeners
        found = [
            ListenerStatus(
                name=name, kind="mllp", host=settings.mllp[name].host, port=server.port, connections=server.connections
            )
            for name, server in engine.mllp.items()
        ]
        found += [
            ListenerStatus(
                name=name,
                kind="dicom",
                host=settings.dicom[name].host,
                port=server.port,
                connections=server.associations,
                detail=f"AE title {settings.dicom[name].ae_title}",
            )
            for name, server in engine.dicom.items()
        ]
        return [*found, ListenerStatus(name="http", kind="http", host=settings.http.host, port=engine.http_port)]

    def destinations(self) -> Sequence[DestinationStatus]:
        """Return every destination, in the order of isthmus.yaml."""
        engine = self._engine
        return [
            DestinationStatus(
                name=name,
                kind="mllp",
                address=f"{settings.host}:{settings.port}",
                delivered=engine.lanes[name].delivered,
                failed=engine.lanes[name].failed,
            )
            for name, settings in engine.site.settings.destinations.mllp.items()
        ]

    def counts(self) -> Counts:
        """Return the counters and the figures of this moment."""
        engine = self._engine
        images = engine.images.counts
        refused = sum(server.refused_requests(Operation.C_STORE) for server in engine.dicom.values())
        return Counts(
            messages=Counter(engine.messages.counts) + Counter(engine.resources.counts),
            instances={
                "stored": images.stored,
                "duplicate": images.duplicate,
                "collision": images.collision,
                "refused": refused - images.collision,
            },
            worklist_queries=engine.worklist.queries,
            worklist_answered=engine.worklist.answered,
            writer_backlog=engine.writer.backlog,
            writer_batches=engine.writer.batches,
            writer_units=engine.writer.units,
            associations=sum(server.associations for server in engine.dicom.values()),
            mllp_connections=sum(server.connections for server in engine.mllp.values()),
            loop_lag_s=engine.loop_lag.last_s,
            disk_free_bytes=engine.blobs.free_bytes(),
        )

    async def checks(self) -> Sequence[Check]:
        """Return the conditions of being ready; the database is asked to commit, so a full disk shows."""
        engine = self._engine
        return [
            await self._database(),
            self._disk(),
            Check(name="listeners", is_ok=all(listener.is_bound for listener in self.listeners())),
            Check(name="workers", is_ok=engine.workers_alive, detail="" if engine.workers_alive else "a worker died"),
        ]

    async def _database(self) -> Check:
        try:
            await self._engine.writer.submit(_touch)
        except StorageError as error:
            return Check(name="database", is_ok=False, detail=error.code)
        return Check(name="database", is_ok=True)

    def _disk(self) -> Check:
        """The disk is above its floor, and no sync has failed."""
        try:
            self._engine.blobs.check_space()
        except StorageError as error:
            return Check(name="disk", is_ok=False, detail=error.code)
        return Check(name="disk", is_ok=True)


def _touch(unit: Unit) -> None:
    """Write nothing that stays, but let the commit prove that the database takes writes."""
    unit.new_id()
