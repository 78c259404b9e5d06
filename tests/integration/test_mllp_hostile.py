"""What hostile or broken senders may do to a listener without an honest one noticing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.app.engine import Engine
from engine.hl7.message import Message
from tests.peers.his import His, order
from tests.peers.running import journal, running_engine

pytestmark = pytest.mark.integration

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def lines(engine: Engine, count: int) -> AsyncIterator[list[Line]]:
    """Open connections that do nothing by themselves."""
    opened = [await asyncio.open_connection("127.0.0.1", engine.mllp["his"].port) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes on a connection that the engine closes."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_an_honest_sender_is_answered_beside_sixty_slow_ones(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, lines(engine, 60) as slow:
        body = b"\x0b" + order(control_id="SLOW").encode()
        async with His(engine.mllp["his"].port) as his:
            for turn in range(20):
                for _, writer in slow:
                    writer.write(body[turn : turn + 1])
                number = f"{turn:04}"
                honest = order(
                    control_id=f"H{number}",
                    accession=f"ACC{number}",
                    patient_id=f"P{number}",
                    study_uid=f"1.2.3.{turn}",
                )
                assert await his.code(honest) == "AA"

        assert engine.mllp["his"].connections >= 60
        assert len(await journal(engine)) == 20


async def test_slow_senders_are_hung_up_on(tmp_path: Path) -> None:
    limits = {"mllp_silence_in_frame_s": "200ms"}
    async with running_engine(tmp_path, limits=limits) as engine, lines(engine, 60) as slow:
        for _, writer in slow:
            writer.write(b"\x0bMSH|^~\\&|HIS")
        assert [await ended(reader) for reader, _ in slow] == [b""] * 60
        async with His(engine.mllp["his"].port) as his:
            assert await his.code(order()) == "AA"


async def test_a_full_listener_turns_the_next_one_away_and_serves_the_others(tmp_path: Path) -> None:
    limits = {"mllp_connections": 8}
    async with running_engine(tmp_path, limits=limits) as engine, His(engine.mllp["his"].port) as his:
        assert await his.code(order()) == "AA"
        async with lines(engine, 7), lines(engine, 5) as late:
            assert [await ended(reader) for reader, _ in late] == [b""] * 5
            assert await his.code(order()) == "AA"


async def test_an_oversize_frame_gets_ar_207_before_its_end_and_the_connection_ends(tmp_path: Path) -> None:
    async with running_engine(tmp_path, listener={"max_message": "64KiB"}) as engine:
        async with lines(engine, 1) as ((reader, writer),):
            writer.write(b"\x0b" + order().replace("|2.3.1", "|2.5").encode() + b"x" * 70_000)
            answer = Message.parse((await ended(reader)).strip(b"\x0b\x1c\r"))

        assert (answer.get("MSA-1"), answer.get("MSA-2"), answer.get("ERR-3.1")) == ("AR", "M1", "207")
        assert answer.get("ERR-8") == "message longer than 65536 bytes"
        (row,) = await journal(engine)
        assert (row["state"], row["code"]) == ("refused", "MLLP-102")


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100, b"\xff" * 100_000, b"\x16\x03\x01" * 1000],
    ids=["http", "noise", "tls"],
)
async def test_a_flood_of_junk_is_cut_off_without_a_word(tmp_path: Path, junk: bytes) -> None:
    async with running_engine(tmp_path) as engine:
        async with lines(engine, 40) as floods:
            for _, writer in floods:
                writer.write(junk)
            assert [await ended(reader) for reader, _ in floods] == [b""] * 40
        async with His(engine.mllp["his"].port) as his:
            assert await his.code(order()) == "AA"
        assert [row["state"] for row in await journal(engine)] == ["applied"]


async def test_start_blocks_without_end_are_bounded_too(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, lines(engine, 1) as ((reader, writer),):
        writer.write(b"\x0b" * 200_000 + order().encode() + b"\x1c\r")
        async with asyncio.timeout(30):
            assert b"MSA|AA|M1" in await reader.readuntil(b"\x1c\r")


async def test_a_flood_of_refused_messages_is_answered_one_by_one(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, His(engine.mllp["his"].port) as his:
        for _ in range(500):
            his.write("JUNK")
        codes = {Message.parse((await his.receive()).encode()).get("MSA-1") for _ in range(500)}

        assert codes == {"AR"}
        assert await his.code(order()) == "AA"
