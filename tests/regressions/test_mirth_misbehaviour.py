"""Eleven things that a well-known engine does to its senders and receivers, and that this one must not do.

Each test names one, on a whole running engine over real sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.app.engine import Engine
from engine.config.site import SiteRejected, load_site
from engine.hl7.message import Message
from tests.peers.his import His, order
from tests.peers.ris import Ris
from tests.peers.running import deliveries, journal, running_engine

pytestmark = pytest.mark.integration


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with running_engine(tmp_path) as running:
        yield running


@pytest.fixture
async def his(engine: Engine) -> AsyncIterator[His]:
    async with His(engine.mllp["his"].port) as sender:
        yield sender


@pytest.fixture
async def ris() -> AsyncIterator[Ris]:
    receiver = Ris()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def forwarding(tmp_path: Path, ris: Ris) -> AsyncIterator[Engine]:
    """An engine that sends every ADT on to `ris`."""
    destination = {"port": ris.port, "ack_timeout": "5s"}
    async with running_engine(tmp_path, destination=destination, forward=True) as running:
        yield running


def answered(frame: str) -> tuple[str | None, str | None]:
    message = Message.parse(frame.encode())
    return message.get("MSA-1"), message.get("MSA-2")


def admission(number: int = 1) -> str:
    return (
        f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121||ADT^A01|A{number}|P|2.5\r"
        f"EVN|A01|20261121\rPID|1||P{number:04}^^^HOSP^MR||TEST^ALPHA||19800229|F\rPV1|1|O\r"
    )


def second(text: str) -> str:
    return text.replace("M1", "M2").replace("0001", "0002").replace("8.498.1", "8.498.2")


async def states(engine: Engine) -> list[tuple[str, str]]:
    return [(row["control_id"], row["state"]) for row in await journal(engine)]


async def settled(engine: Engine, *wanted: str) -> None:
    """Wait until the outbox stands as `wanted`; nobody is told when a lane has recorded an answer."""
    async with asyncio.timeout(20):
        while [row["state"] for row in await deliveries(engine)] != list(wanted):
            await asyncio.sleep(0.02)


async def test_garbage_gets_ar(engine: Engine, his: His) -> None:
    assert answered(await his.send("GARBAGE")) == ("AR", "")
    assert await his.code(order()) == "AA"
    assert await states(engine) == [("", "refused"), ("M1", "applied")]


async def test_a_batch_is_split(engine: Engine, his: His) -> None:
    body = f"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r{order()}{second(order())}BTS|2\rFTS|1\r"

    first, later = await his.send(body), await his.receive()

    assert [answered(first), answered(later)] == [("AA", "M1"), ("AA", "M2")]
    assert await states(engine) == [("M1", "applied"), ("M2", "applied")]


async def test_two_messages_in_a_frame_are_two(engine: Engine, his: His) -> None:
    first, later = await his.send(order() + second(order())), await his.receive()

    assert [answered(first), answered(later)] == [("AA", "M1"), ("AA", "M2")]
    assert await states(engine) == [("M1", "applied"), ("M2", "applied")]


async def test_a_missing_control_id_is_refused(engine: Engine, his: His) -> None:
    answer = Message.parse((await his.send(order(control_id="").replace("|2.3.1", "|2.5"))).encode())

    assert (answer.get("MSA-1"), answer.get("MSA-2")) == ("AE", "")
    assert (answer.get("ERR-2"), answer.get("ERR-2.3"), answer.get("ERR-3.1")) == ("MSH^1^10", "10", "101")
    assert [row["code"] for row in await journal(engine)] == ["HL7-103"]


async def test_latin_1_survives(tmp_path: Path, forwarding: Engine, ris: Ris) -> None:
    body = admission().replace("TEST^ALPHA", "TÉST^ÄLPHÄ").replace("|2.5\r", "|2.5||||||8859/1\r").encode("latin_1")

    async with His(forwarding.mllp["his"].port) as his:
        assert await his.code(body) == "AA"
    await ris.wait_for(1)

    assert ris.received == [body]
    assert (await journal(forwarding))[0]["body"] == body
    assert ris.messages()[0].get("PID-5.1") == "TÉST"


async def test_al_ne_gets_ca(engine: Engine, his: His) -> None:
    answer = await his.send(order().replace("|P|2.3.1", "|P|2.5.1|||AL|NE"))

    assert answered(answer) == ("CA", "M1")
    assert answered(await his.send(second(order()))) == ("AA", "M2")  # and nothing came in between
    assert await states(engine) == [("M1", "applied"), ("M2", "applied")]


async def test_ne_ne_gets_nothing(engine: Engine, his: His) -> None:
    his.write(order().replace("|P|2.3.1", "|P|2.5.1|||NE|NE"))

    assert answered(await his.send(second(order()))) == ("AA", "M2")
    assert await states(engine) == [("M1", "applied"), ("M2", "applied")]


async def test_a_repeat_is_not_applied_twice(forwarding: Engine, ris: Ris) -> None:
    async with His(forwarding.mllp["his"].port) as his:
        first, again = await his.send(admission()), await his.send(admission())
    await settled(forwarding, "delivered")

    assert first == again
    assert await states(forwarding) == [("A1", "applied")]
    assert len(ris.received) == 1


async def test_an_ae_from_a_receiver_follows_the_retry_table(forwarding: Engine, ris: Ris) -> None:
    """AE is final, the next message goes on; AE with 207 is tried again with the same bytes."""
    ris.answers, ris.errors = ["AE", "AA", "AE", "AR", "AA"], ["101", "207", "206"]
    async with His(forwarding.mllp["his"].port) as his:
        assert await his.code(admission(1)) == "AA"
        await settled(forwarding, "dead")
        assert await his.code(admission(2)) == "AA"
        await settled(forwarding, "dead", "delivered")
        assert await his.code(admission(3)) == "AA"
        await settled(forwarding, "dead", "delivered", "delivered")

    assert [message.control_id for message in ris.messages()] == ["A1", "A2", "A3", "A3", "A3"]
    assert len(set(ris.received[2:])) == 1


async def test_one_dropped_connection_does_not_stall_the_lane(forwarding: Engine, ris: Ris) -> None:
    ris.answers = ["AA", "drop", "drop"]
    async with His(forwarding.mllp["his"].port) as his:
        for number in range(1, 5):
            assert await his.code(admission(number)) == "AA"
    await settled(forwarding, *["delivered"] * 4)

    assert [message.control_id for message in ris.messages()] == ["A1", "A2", "A2", "A2", "A3", "A4"]


def test_an_unknown_destination_is_refused_at_load(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / "lost.yaml").write_text("route: lost\nfrom: {mllp: his}\nto: [{mllp: nowhere}]\n")

    with pytest.raises(SiteRejected, match=r"routes/lost\.yaml:3:\d+: error .*nowhere"):
        load_site(tmp_path, environ={})
