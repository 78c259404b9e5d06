"""The sender over real sockets on loopback, against a destination that behaves as the test says."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine.connectors.mllp.client import AckMatch, MllpClient
from engine.connectors.mllp.wire import framed
from engine.core.errors import TransientError
from engine.core.limits import DEFAULT_LIMITS, Limits

FAST = replace(DEFAULT_LIMITS, mllp_ack_timeout_s=0.1, mllp_connect_timeout_s=1.0)


def message(control_id: str) -> bytes:
    return f"MSH|^~\\&|ISTHMUS||RIS||20260102||OMG^O19^OMG_O19|{control_id}|P|2.5.1\r".encode()


def ack(control_id: str, code: str = "AA", rest: str = "") -> bytes:
    return f"MSH|^~\\&|RIS||ISTHMUS||20260102||ACK^O19^ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r{rest}".encode()


class Destination:
    """Plays one script a connection: what to write for each message; None cuts the connection."""

    def __init__(self, *scripts: list[bytes | None]) -> None:
        self.scripts = list(scripts)
        self.received: list[tuple[int, bytes]] = []
        self.connections = 0
        self.ended = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    def hang_up(self) -> None:
        assert self._writer is not None
        self._writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writer = writer
        script = self.scripts.pop(0) if self.scripts else []
        try:
            for reply in script:
                frame = await reader.readuntil(b"\x1c\r")
                self.received.append((number, frame[1:-2]))
                if reply is None:
                    break
                writer.write(reply)
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def connected(
    *scripts: list[bytes | None], limits: Limits = FAST
) -> AsyncIterator[tuple[MllpClient, Destination]]:
    destination = Destination(*scripts)
    server = await asyncio.start_server(destination.serve, "127.0.0.1", 0)
    client = MllpClient("ris", "127.0.0.1", server.sockets[0].getsockname()[1], limits)
    try:
        yield client, destination
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


async def test_messages_share_one_connection() -> None:
    async with connected([framed(ack("1")), framed(ack("2"))]) as (client, destination):
        first = await client.send(message("1"), "1")
        second = await client.send(message("2"), "2")

        assert (first.code, first.control_id, second.control_id) == ("AA", "1", "2")
        assert first.raw == ack("1")
        assert destination.received == [(1, message("1")), (1, message("2"))]


async def test_callers_take_turns() -> None:
    async with connected([framed(ack(str(n))) for n in range(5)]) as (client, destination):
        answers = await asyncio.gather(*(client.send(message(str(n)), str(n)) for n in range(5)))
        assert [answer.control_id for answer in answers] == ["0", "1", "2", "3", "4"]
        assert [number for number, _ in destination.received] == [1] * 5


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_negative_answer_is_an_answer(code: str) -> None:
    error = "ERR||PID^1^3|206^Application record locked^HL70357|E\r"
    async with connected([framed(ack("1", code, error))]) as (client, _):
        answer = await client.send(message("1"), "1")
        assert (answer.code, answer.is_positive, answer.problem_codes) == (code, False, (206,))


async def test_an_answer_for_another_message_is_discarded() -> None:
    async with connected([framed(ack("0")) + framed(ack("9", "AE")) + framed(ack("1"))]) as (client, _):
        assert (await client.send(message("1"), "1")).control_id == "1"


async def test_what_is_no_answer_is_discarded() -> None:
    noise = framed(b"hello") + framed(message("1")) + framed(b"\x06") + framed(b"")
    async with connected([noise + framed(ack("1"))]) as (client, _):
        assert (await client.send(message("1"), "1")).code == "AA"


async def test_a_rejection_without_control_id_is_meant_for_the_message_in_flight() -> None:
    async with connected([framed(ack("", "AR"))]) as (client, _):
        assert (await client.send(message("1"), "1")).code == "AR"


async def test_a_positive_answer_without_control_id_is_not() -> None:
    async with connected([framed(ack(""))]) as (client, _):
        with pytest.raises(TransientError, match="NET-111"):
            await client.send(message("1"), "1")


async def test_no_answer_closes_and_the_late_answer_is_never_taken() -> None:
    async with connected([b""], [framed(ack("1"))]) as (client, destination):
        with pytest.raises(TransientError, match=r"NET-111: no answer in 0\.1 s"):
            await client.send(message("1"), "1")
        await destination.ended.wait()

        assert (await client.send(message("1"), "1")).code == "AA"
        assert destination.received == [(1, message("1")), (2, message("1"))]


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        client = MllpClient("ris", "127.0.0.1", bound.getsockname()[1], FAST)
        with pytest.raises(TransientError, match="NET-112: no connection to the destination"):
            await client.send(message("1"), "1")


async def test_a_new_connection_cut_before_the_answer() -> None:
    async with connected([None], [framed(ack("1"))]) as (client, destination):
        with pytest.raises(TransientError, match="NET-114: connection cut before the answer"):
            await client.send(message("1"), "1")
        assert destination.connections == 1
        assert (await client.send(message("1"), "1")).code == "AA"


async def test_a_kept_connection_cut_on_the_next_write_is_replaced_once() -> None:
    async with connected([framed(ack("1")), None], [framed(ack("2"))]) as (client, destination):
        await client.send(message("1"), "1")
        assert (await client.send(message("2"), "2")).code == "AA"
        assert destination.received == [(1, message("1")), (1, message("2")), (2, message("2"))]


async def test_a_kept_connection_that_is_cut_twice_fails() -> None:
    async with connected([framed(ack("1")), None], [None]) as (client, destination):
        await client.send(message("1"), "1")
        with pytest.raises(TransientError, match="NET-114"):
            await client.send(message("2"), "2")
        assert destination.connections == 2


async def test_a_peer_that_leaves_while_idle_is_noticed() -> None:
    async with connected([framed(ack("1"))], [framed(ack("2"))]) as (client, destination):
        await client.send(message("1"), "1")
        line = client._line
        assert line is not None
        destination.hang_up()
        async with asyncio.timeout(5):
            while line.is_alive:
                await asyncio.sleep(0)
        assert (await client.send(message("2"), "2")).code == "AA"
        assert destination.received[-1] == (2, message("2"))


async def test_an_answer_nobody_waits_for_is_discarded() -> None:
    async with connected([framed(ack("1")) + framed(ack("1")), framed(ack("2"))]) as (client, _):
        await client.send(message("1"), "1")
        assert (await client.send(message("2"), "2")).control_id == "2"


async def test_a_stream_that_makes_no_sense_is_cut() -> None:
    async with connected([b"x" * 2000]) as (client, _):
        with pytest.raises(TransientError, match="NET-114"):
            await client.send(message("1"), "1")


async def test_a_cancelled_send_does_not_leave_its_answer_behind() -> None:
    async with connected([b""], [framed(ack("1"))], limits=DEFAULT_LIMITS) as (client, destination):
        sending = asyncio.create_task(client.send(message("1"), "1"))
        while not destination.received:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await client.send(message("1"), "1")).code == "AA"
        assert destination.connections == 2


LONG = "ISTHMUS-0123456789-0123456789"


@pytest.mark.parametrize("said", [LONG, LONG[:20], LONG[:25]])
async def test_an_answer_cut_off_after_twenty_characters_is_taken_where_that_is_set(said: str) -> None:
    async with connected([framed(ack(said))]) as (client, _):
        client._ack_match = "prefix"
        assert (await client.send(message(LONG), LONG)).code == "AA"


@pytest.mark.parametrize(("said", "match"), [(LONG[:20], "exact"), (LONG[:19], "prefix"), ("X" + LONG[1:20], "prefix")])
async def test_other_cut_off_answers_are_for_another_message(said: str, match: AckMatch) -> None:
    async with connected([framed(ack(said))]) as (client, _):
        client._ack_match = match
        with pytest.raises(TransientError, match="NET-111"):
            await client.send(message(LONG), LONG)


@pytest.mark.parametrize("echoed", ["A\\T\\1", "A&1"])
async def test_a_control_id_with_escapes_is_recognised(echoed: str) -> None:
    async with connected([framed(ack(echoed))]) as (client, _):
        assert (await client.send(message("A\\T\\1"), "A\\T\\1")).code == "AA"


async def test_an_idle_connection_is_probed() -> None:
    async with connected([framed(ack("1"))]) as (client, _):
        await client.send(message("1"), "1")
        assert client._line is not None
        assert client._line._transport is not None
        plain = client._line._transport.get_extra_info("socket")
        assert plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
