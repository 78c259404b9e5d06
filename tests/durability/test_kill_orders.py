"""kill -9 during a stream of orders: what got AA is there after the restart, exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.peers.his import His, order

pytestmark = pytest.mark.integration

SENDERS = 8


class Process:
    """`isthmus serve` in a process of its own, to be killed and started again on the same folder."""

    def __init__(self, folder: Path, free_port: Callable[[], int]) -> None:
        self.folder = folder
        self.mllp_port, self.http_port = free_port(), free_port()
        self.environment = os.environ | {
            "ISTHMUS_MLLP_PORT": str(self.mllp_port),
            "ISTHMUS_HTTP_PORT": str(self.http_port),
            "ISTHMUS_DICOM_PORT": str(free_port()),
            "ISTHMUS_RIS_PORT": str(free_port()),
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [str(Path(sys.executable).with_name("isthmus")), "serve", "--data", str(self.folder)]
        self.process = await asyncio.create_subprocess_exec(
            *command, env=self.environment, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(self._is_ready):
                assert self.process.returncode is None, "the engine ended"
                await asyncio.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            self.get("/health/ready")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
            return json.load(answer)

    async def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert await self.process.wait() == 0


def stream_order(accession: str) -> str:
    number = accession.removeprefix("ACC")
    return order(
        accession=accession, control_id=f"C{number}", patient_id=f"P{int(number) % 50:04d}",
        study_uid=f"1.2.826.0.1.3680043.8.498.5.{int(number)}",
    )  # fmt: skip


async def send_until_cut(port: int, numbers: list[int], answered: set[str], enough: asyncio.Event, goal: int) -> None:
    async with His(port) as his:
        for number in numbers:
            accession = f"ACC{number:07d}"
            try:
                answer = await his.send(stream_order(accession))
            except ConnectionError:
                return
            if not answer:
                return
            assert "MSA|AA|" in answer, answer
            answered.add(accession)
            if len(answered) >= goal:
                enough.set()


async def test_every_order_that_got_aa_is_there_exactly_once_after_kill_9(
    tmp_path: Path, free_port: Callable[[], int], long_run: bool
) -> None:
    chance = random.Random(20261121)
    rounds = 50 if long_run else 4
    process = Process(tmp_path, free_port)
    answered: set[str] = set()
    first = 1
    for _ in range(rounds):
        await process.start()
        enough = asyncio.Event()
        goal = len(answered) + chance.randint(20, 300)
        batches = [list(range(first + k, first + 4000, SENDERS)) for k in range(SENDERS)]
        first += 4000
        senders = [
            asyncio.create_task(send_until_cut(process.mllp_port, numbers, answered, enough, goal))
            for numbers in batches
        ]
        await enough.wait()
        await process.kill()
        await asyncio.gather(*senders)

    await process.start()
    found: list[str] = []
    after = ""
    while True:
        page = await asyncio.to_thread(process.get, f"/api/orders?limit=1000{after}")
        found += [each["accession_number"] for each in page["orders"]]
        if not page["next"]:
            break
        after = f"&after={page['next']}"
    assert answered <= set(found), f"{len(answered - set(found))} answered orders are gone"
    assert len(found) == len(set(found))
    messages = await asyncio.to_thread(process.get, "/api/messages?state=applied&limit=1000")
    assert messages["messages"]

    resent = max(answered)
    async with His(process.mllp_port) as his:
        assert await his.code(stream_order(resent)) == "AA"
    assert len((await asyncio.to_thread(process.get, f"/api/orders?accession={resent}"))["orders"]) == 1
    await process.stop()
