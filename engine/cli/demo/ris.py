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
                writer.write(_taken(notice.control_id, f"R{len(self.notices)}"))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()


def _taken(control_id: str, own_id: str) -> bytes:
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    return f"\x0bMSH|^~\\&|RIS|RAD|ISTHMUS|RAD|{now}||ACK|{own_id}|P|2.5.1\rMSA|AA|{control_id}\r\x1c\r".encode()


def _notice(message: Message) -> Notice:
    facts = {(segment.field(3) or "").split("^")[0]: segment.field(5) or "" for segment in message.named("OBX")}
    return Notice(
        control_id=message.control_id,
        accession_number=message.get("OBR-18") or "",
        patient_id=message.get("PID-3.1") or "",
        patient_name="^".join(filter(None, (message.get("PID-5.1"), message.get("PID-5.2")))),
        description=message.get("OBR-4.2") or "",
        study_uid=facts.get("113014", ""),
        series=facts.get("SERIES", ""),
        instances=facts.get("INSTANCES", ""),
    )
