"""Delivery: same bytes until it is taken, in order within a key, by the answer's code, and nothing forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.broker.lane import Lanes
from engine.config.route import Retry
from engine.connectors.mllp.client import MllpClient
from engine.core.clock import SystemClock
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.store import outbox, table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer
from tests.peers.ris import Ris

FAST = Retry(first_s=0.01, max_s=0.05)


@dataclass
class Post:
    writer: Writer
    reader: Reader
    ris: Ris
    lanes: Lanes
    sender: MllpClient
    sent: int = 0
    ids: list[RowId] = field(default_factory=list)

    async def post(self, *, lane: str = "a", give_up_at: datetime | None = None) -> str:
        self.sent += 1
        control_id = f"N{self.sent}"
        body = f"MSH|^~\\&|I|R|RIS|R|20261121||OMG^O19|{control_id}|P|2.5.1\rPID|1||P1\r".encode()

        def work(unit: Unit) -> None:
            posted = outbox.Posted(
                route="r", kind="mllp", destination="ris", lane=lane, control_id=control_id, body=body,
                give_up_at=give_up_at,
            )  # fmt: skip
            outbox.post(unit, unit.new_id(), posted)
            unit.after_commit(self.lanes.wake)

        await self.writer.submit(work)
        return control_id

    async def rows(self) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            found = connection.execute(select(table.delivery).order_by(table.delivery.c.id))
            return [dict(row._mapping) for row in found]

        return await self.reader.run(read)

    async def until(self, test: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(20):
            while not test(rows := await self.rows()):
                await asyncio.sleep(0.01)
        return rows

    def control_ids(self) -> list[str]:
        return [message.control_id for message in self.ris.messages()]


Open = Callable[[], Awaitable[Post]]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    clock = SystemClock()
    writer, reader = Writer(engine, clock, Limits()), Reader(engine)
    writer.start()
    ris = Ris()
    await ris.start()
    sender = MllpClient("ris", "127.0.0.1", ris.port, Limits(mllp_ack_timeout_s=0.3))
    lanes = Lanes(
        destination="ris", sender=sender, writer=writer, reader=reader, clock=clock, retry=lambda _r, _d: FAST
    )
    task = asyncio.create_task(lanes.run())
    made = Post(writer, reader, ris, lanes, sender)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await sender.close()
    await made.ris.stop()
    await writer.stop()
    reader.close()
    engine.dispose()


async def test_a_notice_is_delivered_once_and_its_answer_kept(post: Post) -> None:
    await post.post()

    (row,) = await post.until(lambda rows: rows[0]["state"] == "delivered")
    assert (row["attempts"], row["answer_code"]) == (1, "AA")
    assert b"MSA|AA|N1" in row["answer"]
    assert post.control_ids() == ["N1"]


async def test_a_cut_connection_and_a_silent_peer_get_the_same_bytes_again(post: Post) -> None:
    post.ris.answers[:] = ["drop", "drop", "silent", "AA"]
    await post.post()

    await post.until(lambda rows: rows[0]["state"] == "delivered")
    assert len(set(post.ris.received)) == 1
    assert len(post.ris.received) >= 3


async def test_a_negative_answer_is_a_dead_letter_and_the_next_goes_on(post: Post) -> None:
    post.ris.answers[:] = ["AR", "AA"]
    await post.post()
    await post.post()

    first, second = await post.until(lambda rows: {row["state"] for row in rows} == {"dead", "delivered"})
    assert (first["state"], first["answer_code"], second["state"]) == ("dead", "AR", "delivered")


async def test_order_holds_within_a_key_and_no_key_waits_for_another(post: Post) -> None:
    post.ris.answers[:] = ["drop", "drop", "drop"]
    for i in range(30):
        await post.post(lane=f"key{i % 3}")

    await post.until(lambda rows: all(row["state"] == "delivered" for row in rows))
    last: dict[int, int] = {}
    for control_id in dict.fromkeys(post.control_ids()):
        number = int(control_id[1:])
        assert number > last.get(number % 3, 0)
        last[number % 3] = number


async def test_nobody_listening_waits_and_delivers_when_somebody_does(post: Post) -> None:
    await post.ris.stop()
    port = post.ris.port
    await post.post()
    await post.until(lambda rows: rows[0]["attempts"] >= 2)
    post.ris = Ris()
    await post.ris.start(port)

    (row,) = await post.until(lambda rows: rows[0]["state"] == "delivered")
    assert row["attempts"] >= 3


async def test_it_gives_up_when_the_route_says_so(post: Post) -> None:
    await post.ris.stop()
    await post.post(give_up_at=datetime.now(UTC) - timedelta(seconds=1))

    (row,) = await post.until(lambda rows: rows[0]["state"] == "dead")
    assert row["answer_code"].startswith("NET-")


async def test_a_temporary_refusal_is_tried_again(post: Post) -> None:
    post.ris.errors[:] = ["207"]
    post.ris.answers[:] = ["AE", "AA"]
    await post.post()

    (row,) = await post.until(lambda rows: rows[0]["state"] == "delivered")
    assert row["attempts"] == 2
