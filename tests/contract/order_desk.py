"""An intake on a real database, with a site that a test may write and a clock that it may turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.config.site import load_site
from engine.core.limits import Limits
from engine.hl7.message import Message
from engine.records.exchange import Peer
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer

PEER = Peer("his", "127.0.0.1:1")
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"


class TurnedClock:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class OrderDesk:
    """Sends messages and reads tables."""

    intake: MessageIntake
    reader: Reader
    clock: TurnedClock

    async def send(self, body: str | bytes) -> Message:
        reply = await self.intake.accept(body.encode() if isinstance(body, str) else body, PEER)
        (answer,) = (Message.parse(frame) for frame in reply.frames)
        return answer

    async def send_sample(self, name: str) -> Message:
        return await self.send((SAMPLES / f"{name}.hl7").read_bytes())

    async def code(self, body: str | bytes) -> str:
        return (await self.send(body)).get("MSA-1") or ""

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def on_worklist(self) -> list[dict[str, Any]]:
        """Return what a modality would see of the visible steps."""

        def read(connection: Any) -> list[bytes]:
            item = table.worklist_item
            query = select(item.c.attributes).where(item.c.visible == 1).order_by(item.c.step_id)
            return [row[0] for row in connection.execute(query)]

        return [orjson.loads(attributes) for attributes in await self.reader.run(read)]

    def turn(self, **by: float) -> None:
        self.clock.time += timedelta(**by)


@asynccontextmanager
async def opened(folder: Path, **files: str) -> AsyncIterator[OrderDesk]:
    """Open a desk; `files` are routes of the site by file name, in place of the shipped ones."""
    site_folder = folder / "site"
    (site_folder / "routes").mkdir(parents=True)
    for name, text in files.items():
        (site_folder / "routes" / f"{name.replace('_', '-')}.yaml").write_text(text, encoding="utf-8")
    url = sqlite_url(folder / "x.db")
    migrate(url)
    engine = open_engine(url)
    clock = TurnedClock()
    writer, reader = Writer(engine, clock, Limits()), Reader(engine)
    writer.start()
    blobs = FolderStore(folder / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))
    site = load_site(site_folder, environ={})
    intake = MessageIntake(site=lambda: site, writer=writer, blobs=blobs, wake=lambda _name: None, limits=Limits())
    yield OrderDesk(intake, reader, clock)
    await writer.stop()
    reader.close()
    engine.dispose()
