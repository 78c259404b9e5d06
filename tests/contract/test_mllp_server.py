"""The listener over real sockets on loopback, with an intake that lives in the test."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine.connectors.mllp.connection import Connection
from engine.connectors.mllp.server import MllpServer, Peer, Reply
from engine.connectors.mllp.wire import EndBlock, framed
from engine.core.errors import PeerError, StorageError
from engine.core.limits import DEFAULT_LIMITS, Limits

MESSAGE = b"MSH|^~\\&|HIS\r"


class Desk:
    """An intake that keeps what it got; the test decides when and how it is answered."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.bodies: list[bytes] = []
        self.refused: list[tuple[str, bytes]] = []
        self.peers: list[Peer] = []
        self.due: list[asyncio.Future[Reply]] = []
        self._arrived = asyncio.Condition()
        self._notes: set[asyncio.Task[None]] = set()

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        self.bodies.append(body)
        self.peers.append(peer)
        return self._answer(b"ACK of " + body)

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        self.refused.append((error.code, body))
        return self._answer(error.code.encode())

    def _answer(self, answer: bytes) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.due.append(future)
        if self.at_once:
            future.set_result(Reply((answer,)))
        note = asyncio.get_running_loop().create_task(self._note())
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)
        return future

    async def _note(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()

    async def arrived(self, count: int) -> None:
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.due) >= count)


class Caller:
    """A sender that writes bytes as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(b"\x1c\r"))[1:-2]

    async def rest(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()


@asynccontextmanager
async def serving(
    desk: Desk,
    limits: Limits = DEFAULT_LIMITS,
    end_block: EndBlock = "strict",
    allow_from: tuple[str, ...] | None = None,
) -> AsyncIterator[tuple[MllpServer, Callable[[], Awaitable[Caller]]]]:
    server = MllpServer(
        name="his", host="127.0.0.1", port=0, intake=desk, limits=limits, end_block=end_block, allow_from=allow_from
    )
    await server.start()
    callers: list[Caller] = []

    async def call() -> Caller:
        callers.append(Caller(*await asyncio.open_connection("127.0.0.1", server.port, limit=2**26)))
        return callers[-1]

    try:
        yield server, call
    finally:
        for caller in callers:
            caller.writer.close()
        for future in desk.due:
            if not future.done():
                future.set_result(Reply())
        await server.stop()


async def test_a_frame_is_handed_on_and_answered() -> None:
    desk = Desk()
    async with serving(desk) as (server, call):
        caller = await call()
        caller.write(framed(MESSAGE))

        assert await caller.answer() == b"ACK of " + MESSAGE
        assert desk.bodies == [MESSAGE]
        host, port = caller.writer.get_extra_info("sockname")
        assert desk.peers == [Peer("his", f"{host}:{port}")]
        assert (server.received, server.connections) == (1, 1)


async def test_nothing_is_answered_before_the_future_is_done() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        await desk.arrived(1)

        assert not caller.reader._buffer  # type: ignore[attr-defined]
        desk.due[0].set_result(Reply((b"late",)))
        assert await caller.answer() == b"late"


async def test_answers_leave_in_the_order_of_the_frames() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(b"".join(framed(b"MSH|%d\r" % n) for n in range(3)))
        await desk.arrived(3)

        for n in (2, 1, 0):
            desk.due[n].set_result(Reply((b"%d" % n,)))

        assert [await caller.answer() for _ in range(3)] == [b"0", b"1", b"2"]


async def test_a_reply_may_hold_no_frame_or_several() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(b"MSH|1\r") + framed(b"MSH|2\r"))
        await desk.arrived(2)
        desk.due[0].set_result(Reply())
        desk.due[1].set_result(Reply((b"CA", b"AA")))

        assert [await caller.answer(), await caller.answer()] == [b"CA", b"AA"]


async def test_storage_failure_closes_without_a_word() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(b"MSH|1\r") + framed(b"MSH|2\r") + framed(b"MSH|3\r"))
        await desk.arrived(3)
        desk.due[0].set_result(Reply((b"first",)))
        desk.due[1].set_exception(StorageError("cannot write"))
        desk.due[2].set_result(Reply((b"third",)))

        assert await caller.rest() == framed(b"first")


async def test_an_unforeseen_failure_closes_that_connection_only() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller, other = await call(), await call()
        caller.write(framed(MESSAGE))
        await desk.arrived(1)
        desk.due[0].set_exception(KeyError("unforeseen"))

        assert await caller.rest() == b""
        desk.at_once = True
        other.write(framed(MESSAGE))
        assert await other.answer() == b"ACK of " + MESSAGE


async def test_an_intake_that_raises_closes_too() -> None:
    class Broken(Desk):
        def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
            raise StorageError("disk full")

    async with serving(Broken()) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        assert await caller.rest() == b""


async def test_a_reply_may_ask_to_close() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE) + framed(MESSAGE))
        await desk.arrived(2)
        desk.due[0].set_result(Reply((b"AR",), close=True))

        assert await caller.rest() == framed(b"AR")


@pytest.mark.parametrize("extra", [0, 300_000])
async def test_too_long_a_frame_is_answered_then_closed(extra: int) -> None:
    desk = Desk()
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_message_bytes=1000)) as (_, call):
        caller = await call()
        caller.write(b"\x0b" + b"x" * 1001 + b"y" * extra)

        assert await caller.rest() == framed(b"MLLP-102")
        assert desk.refused == [("MLLP-102", b"x" * 1000)]


async def test_a_stray_end_byte_is_answered_then_closed() -> None:
    desk = Desk()
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(b"\x0b" + MESSAGE + b"\x1crest")

        assert await caller.rest() == framed(b"MLLP-103")
        assert desk.refused == [("MLLP-103", MESSAGE)]


async def test_lenient_end_block() -> None:
    desk = Desk()
    async with serving(desk, end_block="lenient") as (_, call):
        caller = await call()
        caller.write(b"\x0b" + MESSAGE + b"\x1c\n")
        assert await caller.answer() == b"ACK of " + MESSAGE


async def test_an_empty_frame_is_answered_and_the_connection_stays() -> None:
    desk = Desk()
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(b"") + framed(MESSAGE))
        assert [await caller.answer(), await caller.answer()] == [b"MLLP-105", b"ACK of " + MESSAGE]


async def test_junk_closes_without_a_word_but_after_the_answers_that_are_due() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE) + b"x" * 1025)
        await desk.arrived(1)
        desk.due[0].set_result(Reply((b"AA",)))
        assert await caller.rest() == framed(b"AA")
        assert desk.refused == []


async def test_the_end_of_the_peers_side_does_not_lose_its_answer() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        caller.writer.write_eof()
        await desk.arrived(1)
        desk.due[0].set_result(Reply((b"AA",)))
        assert await caller.rest() == framed(b"AA")


async def test_a_silent_frame_is_dropped_without_a_word() -> None:
    desk = Desk()
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_silence_in_frame_s=0.05)) as (_, call):
        caller = await call()
        caller.write(b"\x0bMSH|half")
        assert await caller.rest() == b""
        assert desk.due == []


async def test_a_frame_that_trickles_is_dropped_too() -> None:
    desk = Desk()
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_frame_open_s=0.2)) as (_, call):
        caller = await call()
        caller.write(b"\x0bMSH|")
        async with asyncio.timeout(5):
            while not caller.reader.at_eof():
                caller.write(b"x")
                try:
                    async with asyncio.timeout(0.02):
                        assert await caller.reader.read() == b""
                except TimeoutError:
                    continue
        assert desk.due == []


async def test_frames_that_follow_each_other_closely_are_timed_one_by_one() -> None:
    desk = Desk()
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_frame_open_s=0.3)) as (_, call):
        caller = await call()
        caller.write(b"\x0bMSH|0")
        for n in range(1, 11):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.06):
                    await caller.reader.read()
            caller.write(b"\r\x1c\r\x0bMSH|%d" % n)
            assert await caller.answer() == b"ACK of MSH|%d\r" % (n - 1)


async def test_an_idle_connection_stays() -> None:
    desk = Desk()
    limits = replace(DEFAULT_LIMITS, mllp_silence_in_frame_s=0.05, mllp_frame_open_s=0.05)
    async with serving(desk, limits) as (_, call):
        caller = await call()
        caller.write(b"\x0bMSH|1")
        caller.write(b"\r\x1c\r")
        await caller.answer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await caller.reader.read()
        caller.write(framed(MESSAGE))
        assert await caller.answer() == b"ACK of " + MESSAGE


async def test_pipelined_frames_are_bounded_and_all_are_answered() -> None:
    desk = Desk(at_once=False)
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_pipelined_frames=4)) as (server, call):
        caller = await call()
        caller.write(b"".join(framed(b"MSH|%d\r" % n) for n in range(50)))
        await desk.arrived(4)
        assert len(desk.due) == 4

        for n in range(50):
            await desk.arrived(n + 1)
            assert sum(not f.done() for f in desk.due) <= 4
            desk.due[n].set_result(Reply((b"%d" % n,)))
            assert await caller.answer() == b"%d" % n
        assert server.received == 50


async def test_a_flood_of_empty_frames_is_bounded() -> None:
    desk = Desk()
    async with serving(desk, replace(DEFAULT_LIMITS, mllp_pipelined_frames=4)) as (_, call):
        caller = await call()
        caller.write(framed(b"") * 5000)
        for _ in range(5000):
            assert await caller.answer() == b"MLLP-105"


async def test_a_peer_that_does_not_read_its_answers_is_not_read_either() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (server, call):
        caller = await call()
        (connection,) = await connected(server, 1)
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        caller.write(framed(MESSAGE))
        await desk.arrived(1)
        desk.due[0].set_result(Reply((b"x" * 20_000_000,)))
        caller.write(framed(MESSAGE))
        await asyncio.sleep(0)

        assert connection.is_paused
        caller.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await caller.answer()) == 20_000_000


async def connected(server: MllpServer, count: int) -> list[Connection]:
    await until(lambda: server.connections >= count)
    return list(server._connections)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_connections_are_bounded_per_listener_and_address() -> None:
    for limits in (
        replace(DEFAULT_LIMITS, mllp_connections=1),
        replace(DEFAULT_LIMITS, mllp_connections_per_address=1),
    ):
        desk = Desk()
        async with serving(desk, limits) as (server, call):
            first = await call()
            first.write(framed(MESSAGE))
            await first.answer()
            second = await call()
            assert await second.rest() == b""
            first.writer.close()
            await first.writer.wait_closed()
            await until(lambda: server.connections == 0)
            third = await call()
            third.write(framed(MESSAGE))
            assert await third.answer() == b"ACK of " + MESSAGE


@pytest.mark.parametrize(("allowed", "taken"), [(("127.0.0.0/8",), True), (("10.1.2.3",), False), ((), False)])
async def test_only_listed_addresses_may_connect(allowed: tuple[str, ...], taken: bool) -> None:
    desk = Desk()
    async with serving(desk, allow_from=allowed) as (_, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        if taken:
            assert await caller.answer() == b"ACK of " + MESSAGE
        else:
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await caller.answer()
            assert desk.due == []


async def test_open_frames_together_are_bounded_and_all_get_through() -> None:
    desk = Desk()
    limits = replace(DEFAULT_LIMITS, mllp_open_frames_bytes=100_000)
    async with serving(desk, limits) as (server, call):
        callers = [await call() for _ in range(4)]
        connections = await connected(server, 4)
        for caller in callers:
            caller.write(b"\x0bMSH|" + b"x" * 60_000)
        await until(lambda: any(connection.is_paused for connection in connections))
        for caller in callers:
            caller.write(b"x" * 60_000 + b"\r\x1c\r")
        for caller in callers:
            assert len(await caller.answer()) == 120_000 + 12
        assert not any(connection.is_paused for connection in connections)
        assert server._open_bytes == 0


async def test_stop_finishes_the_answers_of_what_was_taken() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (server, call):
        caller, idle, half = await call(), await call(), await call()
        caller.write(framed(MESSAGE))
        half.write(b"\x0bMSH|half")
        await desk.arrived(1)
        await connected(server, 3)

        stopping = asyncio.create_task(server.stop())
        assert await idle.rest() == b""
        assert await half.rest() == b""
        half.writer.close()
        assert not stopping.done()
        desk.due[0].set_result(Reply((b"AA",)))

        assert await caller.rest() == framed(b"AA")
        caller.writer.close()
        await stopping
        assert server.connections == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_stop_does_not_wait_for_ever() -> None:
    desk = Desk(at_once=False)
    async with serving(desk, replace(DEFAULT_LIMITS, shutdown_s=0.05)) as (server, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        await desk.arrived(1)
        await server.stop()
        assert await caller.rest() == b""
        assert not desk.due[0].done()


async def test_a_peer_that_leaves_before_its_answer_harms_nobody() -> None:
    desk = Desk(at_once=False)
    async with serving(desk) as (server, call):
        caller = await call()
        caller.write(framed(MESSAGE))
        await desk.arrived(1)
        reset = struct.pack("ii", 1, 0)
        caller.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        caller.writer.close()
        await until(lambda: server.connections == 0)
        desk.due[0].set_exception(StorageError("too late to matter"))


async def test_sockets_have_no_delay_and_keep_alive() -> None:
    async with serving(Desk()) as (server, call):
        await call()
        (connection,) = await connected(server, 1)
        plain = connection._socket
        assert plain is not None
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_every_address_of_a_name_is_listened_on_at_one_port() -> None:
    server = MllpServer(name="his", host="localhost", port=0, intake=Desk())
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()
    await server.stop()


async def test_a_port_in_use_is_an_error_and_nothing_stays_bound() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = MllpServer(name="his", host="127.0.0.1", port=port, intake=Desk())
        with pytest.raises(OSError, match="in use"):
            await server.start()
    await server.start()
    assert server.port == port
    await server.stop()


async def test_a_message_without_frame_ends_where_nothing_comes_any_more() -> None:
    desk = Desk()
    limits = replace(DEFAULT_LIMITS, mllp_unframed_gap_s=0.05)
    server = MllpServer(name="his", host="127.0.0.1", port=0, intake=desk, limits=limits, allow_unframed=True)
    await server.start()
    caller = Caller(*await asyncio.open_connection("127.0.0.1", server.port))
    for body in (MESSAGE, b"MSH|2\r", MESSAGE):
        caller.write(body[:5])
        caller.write(body[5:])
        assert await caller.answer() == b"ACK of " + body
    caller.write(MESSAGE)
    caller.writer.write_eof()
    assert await caller.rest() == framed(b"ACK of " + MESSAGE)
    caller.writer.close()
    await server.stop()
