"""A RIS that listens: takes notices over MLLP, says AA, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.hl7.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one message to the RIS said."""

    control_id: str
    accession_number: str
    patient_id: str
    patient_name: str
    description: str
    study_uid: str
    series: str
    instances: str


@dataclass
class Ris:
    """An MLLP server on loopback; `on_notice` is called for each notice before it is answered."""

    on_notice: Callable[[Notice], None]
    notices: list[Notice] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, port: int = 0) -> None:
        """Listen; 0 takes a free port.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every line."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.gather(*self._tasks)

    async def heard_of(self, accession_numbers: Collection[str]) -> None:
        """Wait until there was a notice for each of these orders."""
        wanted = set(accession_numbers)
        async with self._news:
            await self._news.wait_for(lambda: wanted <= {notice.accession_number for notice in self.notices})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while True:
                frame = await reader.readuntil(b"\x1c\r")
                notice = _notice(Message.parse(frame[frame.index(b"\x0b") + 1 : -2]))
                self.on_notice(notice)
                async with self._news:
                    self.notices.append(notice)
                    self._news.notify_all()
                head = (
                    f"MSH|^~\\&|RIS|RAD|ISTHMUS|RAD|{datetime.now(UTC):%Y%m%d%H%M%S}||ACK|R{len(self.notices)}|P|2.5.1"
                )
                writer.write(f"\x0b{head}\rMSA|AA|{notice.control_id}\r\x1c\r".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()


def _notice(message: Message) -> Notice:
    facts = {segment.field(3).split("^")[0]: segment.field(5) or "" for segment in message.named("OBX")}
    return Notice(
        control_id=message.control_id,
        accession_number=message.get("OBR-18") or "",
        patient_id=message.get("PID-3.1") or "",
        patient_name=message.get("PID-5") or "",
        description=message.get("OBR-4.2") or "",
        study_uid=facts.get("113014", ""),
        series=facts.get("SERIES", ""),
        instances=facts.get("INSTANCES", ""),
    )
