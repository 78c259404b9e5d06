"""A RIS that listens for notices: keeps what it got and answers as it is told to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from engine.hl7.message import Message


@dataclass
class Ris:
    """An MLLP server on a free port of loopback. `answers` are used up one by one, then everything is AA.

    An answer is an MSA-1 code; `drop` closes the connection instead; `silent` says nothing.
    """

    answers: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Codes of table 0357 that go with negative answers, used up one by one."""
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            await asyncio.gather(*self._tasks)

    def messages(self) -> list[Message]:
        return [Message.parse(body) for body in self.received]

    async def wait_for(self, count: int, within_s: float = 30.0) -> list[Message]:
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)
        return self.messages()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                frame = await reader.readuntil(b"\x1c\r")
                body = frame[frame.index(b"\x0b") + 1 : -2]
                async with self._news:
                    self.received.append(body)
                    self._news.notify_all()
                answer = self.answers.pop(0) if self.answers else "AA"
                if answer == "drop":
                    return
                if answer != "silent":
                    control_id = Message.parse(body).control_id
                    head = f"MSH|^~\\&|RIS|RAD|ISTHMUS|RAD|20261121||ACK|R{len(self.received)}|P|2.5.1"
                    text = f"{head}\rMSA|{answer}|{control_id}\r"
                    if answer not in ("AA", "CA") and self.errors:
                        text += f"ERR|||{self.errors.pop(0)}|E\r"
                    writer.write(b"\x0b" + text.encode() + b"\x1c\r")
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()
