"""A disk under its floor: nothing positive leaves, over any protocol, and health says why."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Dcmtk
from tests.integration.test_engine_morning import image, run
from tests.peers.his import His, order
from tests.peers.running import rows, running_engine

pytestmark = pytest.mark.integration


async def test_a_full_disk_answers_nobody_as_if_it_had_kept_something(tmp_path: Path, dcmtk: Dcmtk) -> None:
    limits = {"disk_floor_bytes": 900_000_000_000_000}
    async with (
        running_engine(tmp_path, limits=limits) as engine,
        aiohttp.ClientSession(f"http://127.0.0.1:{engine.http_port}") as http,
    ):
        async with His(engine.mllp["his"].port) as his:
            assert await his.send(order()) == ""
        resource = {"resourceType": "ServiceRequest", "status": "active", "intent": "order"}
        async with http.post("/fhir/ServiceRequest", json=resource) as answer:
            assert answer.status == 503
        async with http.get("/health/ready") as answer:
            assert answer.status == 503
            assert "STO-101" in await answer.text()
        port = str(engine.dicom["archive"].port)
        _, output = await run(dcmtk.storescu, "-v", "-aec", "ISTHMUS", "127.0.0.1", port, str(image(tmp_path)))
        assert "Refused: OutOfResources" in output

        assert await rows(engine, "imaging_order") == []
        assert await rows(engine, "message") == []
        assert await rows(engine, "instance") == []
