"""A whole engine whose route validates: over the wire, in worker processes, on the pages."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import aiohttp

from engine.app.validation_pool import ValidationPool
from engine.core.limits import Limits
from engine.hl7.message import Message
from tests.peers.his import His, order
from tests.peers.running import running_engine

ROUTE = (
    "route: orders-from-his\nfrom: {mllp: his}\nwhen: MSH-9.1 in ['ORM', 'OMI', 'OMG']\n"
    "map: order-from-hl7\napply: order\nvalidate: warn\n"
)


async def test_what_is_wrong_is_told_kept_and_shown(tmp_path: Path) -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    body = order().replace("|P|2.3.1", "|P|2.5.1").replace("\rPV1|", "\rPD1||||||||||||X\rPV1|")

    async with running_engine(tmp_path, routes={"orders-from-his": ROUTE}) as engine:
        async with His(engine.mllp["his"].port) as his:
            answer = Message.parse((await his.send(body)).encode())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{engine.http_port}") as http:
            async with http.get("/api/messages") as listed:
                row = (await listed.json())["messages"][0]["id"]
            async with http.get(f"/api/messages/{row}") as told:
                message = await told.json()
            async with http.get(f"/messages/{row}") as page:
                text = await page.text()

    assert [answer.get(path) for path in ("MSA-1", "ERR-2", "ERR-4")] == ["AA", "PD1^1^12^1", "W"]
    assert message["validation"] == [
        {"place": "PD1^1^12^1", "code": "HL7-113", "text": "PD1-12 is not in table 0136", "severity": "W"}
    ]
    assert "PD1-12 is not in table 0136" in text
    assert {process.pid for process in multiprocessing.active_children()} <= before


async def test_a_worker_that_dies_is_replaced() -> None:
    pool = ValidationPool(Limits(), workers=1)
    assert await pool(b"hello", None)
    for process in multiprocessing.active_children():
        if process.name.startswith("SpawnProcess") and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)

    (problem,) = await pool(b"hello", None)

    assert problem.code == "HL7-101"
    await pool.close()


async def test_the_loop_goes_on_while_a_message_is_validated() -> None:
    pool = ValidationPool(Limits(), workers=1)
    await pool(b"hello", None)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await pool((order() + "OBX|1|ST|A||x\r" * 2_000).encode(), None)
    counting.cancel()
    await pool.close()

    assert turns > 10
