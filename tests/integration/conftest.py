"""A whole engine on free ports, with a RIS that listens, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.app.data_folder import DataFolder
from engine.app.engine import Engine
from engine.config.site import load_site
from tests.peers.his import His
from tests.peers.ris import Ris


@dataclass
class Running:
    """An engine that runs, and how to ask it."""

    engine: Engine
    ris: Ris
    http: aiohttp.ClientSession

    @property
    def mllp_port(self) -> int:
        return self.engine.mllp["his"].port

    @property
    def dicom_port(self) -> int:
        return self.engine.dicom["archive"].port

    def his(self) -> His:
        return His(self.mllp_port)

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def settled(self, path: str, test: Any, within_s: float = 30.0) -> Any:
        """Ask until `test` holds of the answer; the engine tells nobody when it is idle."""
        async with asyncio.timeout(within_s):
            while True:
                async with self.http.get(path) as answer:
                    found = await answer.json()
                if answer.status == 200 and test(found):
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    ris = Ris()
    await ris.start()
    site = load_site(
        None,
        environ={
            "ISTHMUS_MLLP_PORT": "0",
            "ISTHMUS_DICOM_PORT": "0",
            "ISTHMUS_HTTP_PORT": "0",
            "ISTHMUS_RIS_PORT": str(ris.port),
            "ISTHMUS_QUIET_S": "0.3",
        },
    )
    engine = Engine(site, DataFolder(tmp_path / "data"))
    await engine.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{engine.http_port}") as http:
        yield Running(engine, ris, http)
    await engine.stop()
    await ris.stop()
