"""A whole engine with settings of the test's own, on free ports of loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.app.data_folder import DataFolder
from engine.app.engine import Engine
from engine.config.site import load_site
from engine.store import table

FORWARD = """\
route: forward
from:  {mllp: his}
when:  MSH-9.1 == 'ADT'
to:
  - mllp: ris
    retry: {first: 50ms, max: 100ms}
"""
"""Sends every ADT on to the RIS as it came."""


@asynccontextmanager
async def running_engine(
    folder: Path,
    *,
    listener: Mapping[str, Any] | None = None,
    destination: Mapping[str, Any] | None = None,
    forward: bool = False,
    limits: Mapping[str, Any] | None = None,
    routes: Mapping[str, str] | None = None,
    mappings: Mapping[str, str] | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine whose MLLP listener `his` and destination `ris` are set as given."""
    site = folder / "site"
    files = {"routes": {**(routes or {}), **({"forward": FORWARD} if forward else {})}, "mappings": mappings or {}}
    for kind, texts in files.items():
        (site / kind).mkdir(parents=True)
        for name, text in texts.items():
            (site / kind / f"{name}.yaml").write_text(text)
    settings = {
        "listeners": {
            "mllp": {"his": {"port": 0, **(listener or {})}},
            "dicom": {"archive": {"port": 0}},
            "http": {"port": 0},
        },
        "destinations": {"mllp": {"ris": {"port": 1, **(destination or {})}}},
        "limits": dict(limits or {}),
    }
    (site / "isthmus.yaml").write_text(json.dumps(settings, indent=1))
    engine = Engine(load_site(site, environ={}), DataFolder(folder / "data"))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def journal(engine: Engine) -> list[dict[str, Any]]:
    """Return the journal's rows in order."""
    return await rows(engine, "message")


async def deliveries(engine: Engine) -> list[dict[str, Any]]:
    """Return the outbox's rows in order."""
    return await rows(engine, "delivery")


async def rows(engine: Engine, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table in order."""
    found_in = table.metadata.tables[name]

    def read(connection: Any) -> list[dict[str, Any]]:
        found = connection.execute(found_in.select().order_by(found_in.c.id))
        return [dict(row._mapping) for row in found]

    return await engine.reader.run(read)
