"""The MLLP listener: how it starts, what all its connections may hold together, and how it stops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection
from typing import Final

import structlog

from engine.connectors.mllp.connection import LINGER_S, Connection
from engine.connectors.mllp.door import BACKLOG, Door
from engine.connectors.mllp.intake import Intake, Peer, Reply
from engine.connectors.mllp.wire import EndBlock, Framer
from engine.core.limits import DEFAULT_LIMITS, Limits

__all__ = ["Intake", "MllpServer", "Peer", "Reply"]

TLS_HANDSHAKE_S: Final = 10.0

log = structlog.get_logger()


class MllpServer:
    """Listens on one port and hands every frame to the intake.

    Args:
        name: Name of the listener in isthmus.yaml.
        host: Address to bind.
        port: Port to bind; 0 takes a free one, see `port`.
        intake: Where frames go.
        limits: Bounds of this listener.
        end_block: `lenient` takes messages whose 1C is not followed by 0D.
        allow_unframed: Takes messages without start block.
        accept_eof_as_end: Takes a message that ends in CR when the stream ends before the end block.
        allow_from: Addresses or networks that may connect; None allows all.
        ssl_context: Makes this MLLP inside TLS.
    """

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int,
        intake: Intake,
        limits: Limits = DEFAULT_LIMITS,
        end_block: EndBlock = "strict",
        allow_unframed: bool = False,
        accept_eof_as_end: bool = False,
        allow_from: Collection[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.intake = intake
        self.received = 0
        """Frames taken since the start."""
        self._host = host
        self._port = port
        self._limits = limits
        self._end_block: EndBlock = end_block
        self._allow_unframed = allow_unframed
        self._accept_eof_as_end = accept_eof_as_end
        self._ssl_context = ssl_context
        self._door = Door(name, limits, allow_from, tls=ssl_context is not None)
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._weights: dict[Connection, int] = {}
        self._open_bytes = 0
        self._held: list[Connection] = []
        self._stopping = False
        self._emptied = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is bound."""
        if self._servers and self._servers[0].sockets:
            bound: int = self._servers[0].sockets[0].getsockname()[1]
            return bound
        return self._port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            OSError: The address cannot be bound.
        """
        self._stopping = False
        for entrance in await self._door.bind(self._host, self._port):
            server = await asyncio.get_running_loop().create_server(
                self._connection,
                sock=entrance,
                backlog=BACKLOG,
                ssl=self._ssl_context,
                ssl_handshake_timeout=TLS_HANDSHAKE_S if self._ssl_context else None,
                ssl_shutdown_timeout=LINGER_S if self._ssl_context else None,
            )
            self._servers.append(server)
        log.info("listener.started", listener=self.name, port=self.port)

    def _connection(self) -> Connection:
        framer = Framer(
            limit_bytes=self._limits.mllp_message_bytes,
            junk_bytes=self._limits.mllp_junk_bytes,
            end_block=self._end_block,
            allow_unframed=self._allow_unframed,
            accept_eof_as_end=self._accept_eof_as_end,
        )
        return Connection(self, limits=self._limits, framer=framer)

    async def stop(self) -> None:
        """Take nothing more, finish the answers of what was taken, close; after `limits.shutdown_s` hang up."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.finish()
        if self._connections:
            self._emptied.clear()
            try:
                async with asyncio.timeout(self._limits.shutdown_s):
                    await self._emptied.wait()
            except TimeoutError:
                log.warning("listener.stop_overdue", listener=self.name, count=len(self._connections))
                for connection in list(self._connections):
                    connection.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        log.info("listener.stopped", listener=self.name)

    # -- what connections ask

    def admit(self, connection: Connection, descriptor: int) -> bool:
        """Take on an established connection, unless the listener stops."""
        self._door.settle(descriptor)
        if self._stopping:
            log.warning("connection.refused", listener=self.name, code="SEC-101")
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """Count a connection out."""
        self._weigh(connection, 0)
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def weigh(self, connection: Connection) -> None:
        """Note how much of an unfinished frame a connection holds; above the bound the largest reader pauses."""
        size = connection.open_bytes
        if size or connection in self._weights:
            self._weigh(connection, size)

    def _weigh(self, connection: Connection, size: int) -> None:
        self._open_bytes += size - self._weights.pop(connection, 0)
        if size:
            self._weights[connection] = size
        if self._open_bytes > self._limits.mllp_open_frames_bytes:
            reading = [c for c in self._weights if not c.is_paused]
            if len(reading) > 1:
                largest = max(reading, key=self._weights.__getitem__)
                largest.pause_for_memory()
                self._held.append(largest)
            elif not reading and self._held:
                # One always goes on, so that it can finish and make room.
                self._held.sort(key=lambda c: self._weights.get(c, 0), reverse=True)
                self._held.pop().resume_after_memory()
        elif self._held:
            held, self._held = self._held, []
            for paused in held:
                paused.resume_after_memory()
