"""Validation of a route: what is refused, what is only told, what is kept, and that nobody is overtaken meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from engine.app.validation_pool import ValidationPool
from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.broker.validation import StandardCheck
from engine.config.site import load_site
from engine.core.clock import SystemClock
from engine.core.errors import InvariantError
from engine.core.limits import Limits
from engine.hl7.acknowledgement import Problem
from engine.hl7.message import Message
from engine.records.exchange import Peer
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")
ROUTE = """
route: orders-from-his
from:  {mllp: his}
when:  MSH-9.1 in ['ORM', 'OMI', 'OMG']
map:   order-from-hl7
apply: order
"""
PROFILE = """
profile: his-orders
standard: false
rules:
  PID-3.4: {required: true}
  OBR-18:  {max_length: 8}
  PV1-2:   {values: [I, O, E], severity: warning}
"""


@dataclass
class Desk:
    intake: MessageIntake
    reader: Reader

    async def send(self, body: str) -> Message:
        reply = await self.intake.accept(body.encode(), PEER)
        return Message.parse(reply.frames[0])

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def kept(self) -> list[dict[str, str]]:
        """What validation found, of the last message."""
        text = (await self.rows(table.message))[-1]["validation"]
        return orjson.loads(text) if text else []


@pytest.fixture(scope="module")
def pool() -> Iterator[ValidationPool]:
    pool = ValidationPool(Limits(), workers=1)
    yield pool
    asyncio.run(pool.close())


@pytest.fixture
async def open_desk(tmp_path: Path, pool: ValidationPool) -> AsyncIterator[Callable[..., Desk]]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer, reader = Writer(engine, SystemClock(), Limits()), Reader(engine)
    writer.start()
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))

    def opened(route: str, profile: str = PROFILE, check: StandardCheck = pool) -> Desk:
        routes = tmp_path / "site" / "routes"
        routes.mkdir(parents=True)
        (routes / "orders-from-his.yaml").write_text(ROUTE + route)
        (routes / "his.profile.yaml").write_text(profile)
        site = load_site(tmp_path / "site", environ={})
        intake = MessageIntake(
            site=lambda: site,
            writer=writer,
            blobs=blobs,
            wake=lambda _name: None,
            limits=Limits(),
            check_standard=check,
        )
        return Desk(intake, reader)

    yield opened
    await writer.stop()
    reader.close()
    engine.dispose()


def with_a_fault(control_id: str = "M1") -> str:
    """An order whose PD1-12 is not in its table, which no mapping reads."""
    body = order(control_id=control_id).replace("|P|2.3.1", "|P|2.5.1")
    return body.replace("\rPV1|", "\rPD1||||||||||||X\rPV1|")


async def test_strict_refuses_with_code_and_place_before_anything_is_applied(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: strict")

    answer = await desk.send(with_a_fault())

    assert (answer.get("MSA-1"), answer.get("ERR-2"), answer.get("ERR-3.1"), answer.get("ERR-4")) == (
        "AE",
        "PD1^1^12^1",
        "103",
        "E",
    )
    assert (answer.get("ERR-5.1"), answer.get("ERR-8")) == ("HL7-113", "PD1-12 is not in table 0136")
    (kept,) = await desk.rows(table.message)
    assert (kept["state"], kept["code"], kept["place"]) == ("refused", "HL7-113", "PD1^1^12^1")
    assert await desk.rows(table.imaging_order) == []
    assert [(each["place"], each["severity"]) for each in await desk.kept()] == [("PD1^1^12^1", "E")]


async def test_warn_applies_keeps_and_tells(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: warn")

    answer = await desk.send(with_a_fault())

    assert (answer.get("MSA-1"), answer.get("ERR-4"), answer.get("ERR-2")) == ("AA", "W", "PD1^1^12^1")
    assert len(await desk.rows(table.imaging_order)) == 1
    assert [(each["code"], each["severity"]) for each in await desk.kept()] == [("HL7-113", "W")]


async def test_a_valid_message_is_answered_as_ever(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: strict")

    answer = await desk.send(order())

    assert (answer.get("MSA-1"), answer.first("ERR"), await desk.kept()) == ("AA", None, [])


async def test_a_body_over_which_hl7apy_itself_raises_index_error_is_answered(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: warn")
    body = order().replace("MSH|^~\\&|", "MSH|^~\\&#|").replace("|P|2.3.1", "|P")

    answer = await desk.send(body)

    assert answer.get("MSA-1") == "AA"
    assert (await desk.kept())[0]["place"] == "MSH^1^12^1^1"


async def test_an_unknown_version_is_read_as_the_nearest_and_told(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: strict")

    assert (await desk.send(order(control_id="M1").replace("|P|2.3.1", "|P|2.x"))).get("MSA-1") == "AA"
    assert [each["code"] for each in await desk.kept()] == ["HL7-113"]
    assert (await desk.send(order(control_id="M2").replace("|P|2.3.1", "|P|2.3.2"))).get("MSA-1") == "AA"
    assert await desk.kept() == []


async def test_a_profile_alone_refuses_without_the_tables_of_the_standard(open_desk: Callable[..., Desk]) -> None:
    async def nobody(body: bytes, default_charset: str | None) -> tuple[Problem, ...]:
        raise AssertionError

    desk = open_desk("validate: strict\nprofile: his.profile.yaml", check=nobody)

    answer = await desk.send(
        order(accession="ACC00000001").replace("|P|2.3.1", "|P|2.5.1").replace("PV1|1|O", "PV1|1|Q")
    )

    assert [(err.field(2), err.field(4)) for err in answer.named("ERR")] == [("OBR^1^18^1", "E"), ("PV1^1^2^1", "W")]
    assert await desk.rows(table.imaging_order) == []


async def test_a_message_that_is_validated_is_not_overtaken_on_its_connection(open_desk: Callable[..., Desk]) -> None:
    go = asyncio.Event()

    async def slow(body: bytes, default_charset: str | None) -> tuple[Problem, ...]:
        await go.wait()
        return ()

    desk = open_desk("validate: warn", check=slow)
    adt = (
        "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121090000||ADT^A08|M2|P|2.3.1\rEVN|A08|20261121090000\r"
        "PID|1||P0001^^^HOSP^MR||TEST^MARRIED||19800229|F\rPV1|1|O\r"
    )
    first = desk.intake.accept(order(control_id="M1").encode(), PEER)
    second = desk.intake.accept(adt.encode(), PEER)
    other = await desk.intake.accept(adt.replace("P0001", "P0002").replace("|M2|", "|M3|").encode(), Peer("his", "b:2"))

    assert other.frames
    assert not second.done()
    go.set()
    await asyncio.gather(first, second)

    assert [row["control_id"] for row in await desk.rows(table.message)] == ["M3", "M1", "M2"]


async def test_batches_and_validated_messages_keep_their_order_too(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("validate: warn")
    bodies = [order(control_id=f"M{i}", accession=f"ACC{i:04d}", study_uid=f"1.2.{i}") for i in range(6)]
    batch = f"BHS|^~\\&|HIS\r{bodies[1]}{bodies[2]}BTS|2\r"

    sent = [desk.intake.accept(body.encode(), PEER) for body in (bodies[0], batch, bodies[3], bodies[4], bodies[5])]
    await asyncio.gather(*sent)

    assert [row["control_id"] for row in await desk.rows(table.message)] == [f"M{i}" for i in range(6)]


@pytest.mark.parametrize(("route", "code", "state"), [("strict", "AR", "dead"), ("warn", "AA", "applied")])
async def test_when_nothing_can_validate_strict_refuses_and_warn_says_so(
    open_desk: Callable[..., Desk], route: str, code: str, state: str
) -> None:
    async def broken(body: bytes, default_charset: str | None) -> tuple[Problem, ...]:
        raise InvariantError("validation ended without an answer")

    desk = open_desk(f"validate: {route}", check=broken)

    answer = await desk.send(order())

    assert answer.get("MSA-1") == code
    (kept,) = await desk.rows(table.message)
    assert kept["state"] == state
    assert "validat" in kept["text"]
