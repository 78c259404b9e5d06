"""The MLLP sender: one message in flight, an answer that is surely meant for it, one connection kept open.

Retry, back-off and what a negative answer means are the delivery policy's, not ours.
Source: spec/reliability.md section 3.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, Literal, cast

import structlog

from engine.connectors.mllp.door import prepare
from engine.connectors.mllp.errors import AnswerOverdue, ConnectionCut, PeerUnreachable
from engine.connectors.mllp.wire import Frame, Framer, framed
from engine.core.errors import PeerError
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.hl7.acknowledgement import Ack, read_ack
from engine.hl7.delimiter import DEFAULT_DELIMITERS

AckMatch = Literal["exact", "prefix"]
SHORTEST_PREFIX: Final = 20
"""Characters of MSA-2 that a peer keeps at least. Source: HL7 v2.3 chapter 2.24.2.2, MSA-2 is ST of 20."""

log = structlog.get_logger()


class _Line(asyncio.Protocol):
    """One connection to the destination and the answer that is waited for on it."""

    def __init__(self, name: str, limits: Limits, ack_match: AckMatch) -> None:
        self._name = name
        self._ack_match = ack_match
        self._framer = Framer(
            limit_bytes=limits.mllp_message_bytes, junk_bytes=limits.mllp_junk_bytes, end_block="lenient"
        )
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Ack] | None = None
        self._control_id = ""
        self.is_alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_alive = True
        plain = transport.get_extra_info("socket")
        if plain is not None:
            prepare(plain)

    def data_received(self, data: bytes) -> None:
        for event in self._framer.feed(data):
            if isinstance(event, Frame):
                self._take(event.body)
            else:
                log.warning("answer.discarded", peer=self._name, code=event.error.code, bytes=len(event.body))
                if event.close:
                    self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_alive = False
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionCut())

    def eof_received(self) -> bool:
        self.is_alive = False
        return False

    def _take(self, body: bytes) -> None:
        """Give the answer to whoever waits for it; anything else is discarded."""
        try:
            ack = read_ack(body)
        except PeerError as error:
            log.warning("answer.discarded", peer=self._name, code=error.code, bytes=len(body))
            return
        answer = self._answer
        # A peer that could not read our message cannot name it; only one is in flight, so it means that one.
        meant = self._names_ours(ack.control_id) or (not ack.control_id and not ack.is_positive)
        if answer is None or answer.done() or not meant:
            log.warning("answer.discarded", peer=self._name, code="NET-110", bytes=len(body))
            return
        answer.set_result(ack)

    def _names_ours(self, msa_2: str) -> bool:
        # MSA-2 comes without its escapes, our MSH-10 may have some.
        if msa_2 in (self._control_id, DEFAULT_DELIMITERS.unescape(self._control_id)):
            return True
        cut_off = self._ack_match == "prefix" and len(msa_2) >= SHORTEST_PREFIX
        return cut_off and self._control_id.startswith(msa_2)

    async def exchange(self, body: bytes, control_id: str) -> Ack:
        """Send one message and wait for its answer.

        Raises:
            ConnectionCut: NET-114.
        """
        if self._transport is None:
            raise ConnectionCut
        self._control_id = control_id
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(framed(body))
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        """Close at once; what was not sent is dropped."""
        self.is_alive = False
        if self._transport is not None:
            self._transport.abort()


class MllpClient:
    """Sends messages to one destination, one at a time.

    Args:
        name: Name of the destination in isthmus.yaml.
        host: Where it listens.
        port: Where it listens.
        limits: `mllp_connect_timeout_s`, `mllp_ack_timeout_s` and the bounds of an answer.
        ssl_context: Makes this MLLP inside TLS; asked before each connection, so that it may change.
        server_name: Name that the destination's certificate must have; None takes `host`.
        ack_match: `prefix` takes MSA-2 that the peer has cut off after 20 characters or more.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        limits: Limits = DEFAULT_LIMITS,
        ssl_context: Callable[[], ssl.SSLContext] | None = None,
        server_name: str | None = None,
        ack_match: AckMatch = "exact",
    ) -> None:
        self.name = name
        self._host = host
        self._port = port
        self._limits = limits
        self._ssl_context = ssl_context
        self._server_name = server_name
        self._ack_match: AckMatch = ack_match
        self._line: _Line | None = None
        self._turn = asyncio.Lock()

    async def send(self, body: bytes, control_id: str) -> Ack:
        """Send one message and return the answer to it, be it positive or negative.

        Args:
            body: The message; a repeat must be the same bytes.
            control_id: Its MSH-10, which MSA-2 of the answer must equal.

        A kept connection that turns out to be dead is replaced once, with the same bytes.

        Raises:
            AnswerOverdue: NET-111, no answer in `mllp_ack_timeout_s`; the connection is closed.
            PeerUnreachable: NET-112, no connection.
            ConnectionCut: NET-114, cut before the answer; the message may have arrived.
        """
        async with self._turn:
            kept = self._line
            if kept is not None and kept.is_alive:
                try:
                    return await self._exchange(kept, body, control_id)
                except ConnectionCut:
                    log.info("connection.replaced", peer=self.name, code=ConnectionCut.code)
            return await self._exchange(await self._connect(), body, control_id)

    async def close(self) -> None:
        """Close the connection; the next `send` opens a new one."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _connect(self) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.mllp_connect_timeout_s):
                _, line = await loop.create_connection(
                    lambda: _Line(self.name, self._limits, self._ack_match),
                    self._host,
                    self._port,
                    ssl=self._ssl_context() if self._ssl_context else None,
                    server_hostname=(self._server_name or self._host) if self._ssl_context else None,
                )
        except (OSError, TimeoutError) as cause:
            raise PeerUnreachable from cause
        self._line = line
        return line

    async def _exchange(self, line: _Line, body: bytes, control_id: str) -> Ack:
        """Use `line` once; it is kept only when the answer came."""
        timeout_s = self._limits.mllp_ack_timeout_s
        answered = False
        try:
            async with asyncio.timeout(timeout_s):
                ack = await line.exchange(body, control_id)
            answered = True
        except TimeoutError as cause:
            raise AnswerOverdue(timeout_s=timeout_s) from cause
        finally:
            if not answered:
                line.close()
                self._line = None
        return ack
