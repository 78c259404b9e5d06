"""Messages out: written as their receiver wants them, or held with the reason; sent on byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.broker.outbox import tell
from engine.config.site import load_site
from engine.core.clock import SystemClock
from engine.core.limits import Limits
from engine.hl7.message import Message
from engine.linkage.change import Act, Change
from engine.records.exchange import Peer
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.unit import Unit
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")
ADT_TO_RIS = """
route: adt-to-ris
from: {mllp: his}
when: MSH-9.1 == 'ADT'
map: adt-copy
to: [{mllp: ris, order_by: PID-3.1}]
"""
STARTED = """
route: order-status-to-ris
from: {event: [order.started, order.cancelled]}
map: omg-o19-from-order
to: [{mllp: ris, order_by: patient.key}, {mllp: his2}]
"""
ADT = (
    "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121090000||ADT^A08|M1|P|2.3.1\rEVN|A08|20261121090000\r"
    "PID|1||P0001^^^HOSP^MR||TEST^{name}||19800229|F\rPV1|1|O\rZXX|\\Z1\\|kept||\r"
)


@dataclass
class Desk:
    intake: MessageIntake
    writer: Writer
    reader: Reader
    site: Any

    async def send(self, body: str) -> Message:
        reply = await self.intake.accept(body.encode(), PEER)
        return Message.parse(reply.frames[0])

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def happened(self, name: str) -> None:
        """Tell an event about the only order."""
        (kept,) = await self.rows(table.imaging_order)

        def work(unit: Unit) -> None:
            change = Change(Act(now=unit.now, cause_kind="person", cause_id=unit.new_id(), new_id=unit.new_id))
            change.event(name, patient_id=kept["patient_id"], order_id=kept["id"])
            unit.insert(change.events)
            tell(unit, change.events, self.site, lambda _name: None)

        await self.writer.submit(work)


@pytest.fixture
async def open_desk(tmp_path: Path) -> AsyncIterator[Callable[..., Desk]]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer, reader = Writer(engine, SystemClock(), Limits()), Reader(engine)
    writer.start()
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))

    def opened(ris: str, **routes: str) -> Desk:
        (tmp_path / "site" / "routes").mkdir(parents=True)
        for name, text in routes.items():
            (tmp_path / "site" / "routes" / f"{name.replace('_', '-')}.yaml").write_text(text)
        settings = f"destinations: {{mllp: {{ris: {{{ris}}}, his2: {{port: 2577}}}}}}\n"
        (tmp_path / "site" / "isthmus.yaml").write_text(settings)
        site = load_site(tmp_path / "site", environ={})
        intake = MessageIntake(site=lambda: site, writer=writer, blobs=blobs, wake=lambda _name: None, limits=Limits())
        return Desk(intake, writer, reader, site)

    yield opened
    await writer.stop()
    reader.close()
    engine.dispose()


async def test_each_receiver_gets_its_own_version_charset_and_names(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("version: '2.6', charset: 8859/1, application: PACS, facility: F1", order_status_to_ris=STARTED)
    await desk.send(order(name="TEST^ÄLPHA"))

    await desk.happened("order.started")

    ris, his2 = [Message.parse(row["body"]) for row in await desk.rows(table.delivery)]
    assert [ris.get(path) for path in ("MSH-5", "MSH-6", "MSH-12", "MSH-18", "ORC-5", "PID-5.2")] == [
        "PACS",
        "F1",
        "2.6",
        "8859/1",
        "IP",
        "ÄLPHA",
    ]
    assert b"\xc4LPHA" in ris.raw
    assert [his2.get(path) for path in ("MSH-5", "MSH-12", "MSH-18")] == ["RIS", "2.5.1", "UNICODE UTF-8"]


async def test_what_one_charset_cannot_carry_is_held_with_words_and_sent_to_the_others(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk("charset: 8859/1", order_status_to_ris=STARTED)
    await desk.send(order(name="TEST^ŁUKASZ"))

    await desk.happened("order.cancelled")

    (sent,) = await desk.rows(table.delivery)
    assert (sent["destination"], Message.parse(sent["body"]).get("ORC-5")) == ("his2", "CA")
    (hold,) = await desk.rows(table.hold)
    assert (hold["code"], hold["danger"]) == ("notice_not_made", "AMBER")
    assert hold["reason"] == (
        "route order-status-to-ris could not make its notice to ris: HL7-102: value cannot be written in 8859/1"
        " at PID^1^5"
    )


async def test_it_is_transliterated_where_the_site_says_so(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("charset: 8859/1, transliterate: true", order_status_to_ris=STARTED)
    await desk.send(order(name="TEST^ŁUKASZ"))

    await desk.happened("order.started")

    ris, _ = await desk.rows(table.delivery)
    assert Message.parse(ris["body"]).get("PID-5.2") == "LUKASZ"
    assert await desk.rows(table.hold) == []


async def test_a_registration_goes_on_byte_for_byte_under_our_name(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("facility: RAD2", adt_to_ris=ADT_TO_RIS)
    body = ADT.format(name="ALPHA")

    assert (await desk.send(body)).get("MSA-1") == "AA"

    (sent,) = await desk.rows(table.delivery)
    made = Message.parse(sent["body"])
    assert sent["body"].partition(b"\r")[2] == body.encode().partition(b"\r")[2]
    assert [made.get(path) for path in ("MSH-3", "MSH-4", "MSH-5", "MSH-6", "MSH-9.2", "MSH-12")] == [
        "ISTHMUS",
        "HOSP",
        "RIS",
        "RAD2",
        "A08",
        "2.3.1",
    ]
    assert made.control_id == sent["control_id"] != "M1"
    assert sent["lane"].endswith("/P0001")


async def test_what_cannot_be_sent_on_is_no_fault_of_the_sender(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("charset: 8859/1", adt_to_ris=ADT_TO_RIS)

    answer = await desk.send(ADT.format(name="ŁUKASZ"))

    assert (answer.get("MSA-1"), await desk.rows(table.delivery)) == ("AA", [])
    (kept,) = await desk.rows(table.message)
    assert kept["state"] == "held"
    assert "could not send to ris" in kept["text"]
    (hold,) = await desk.rows(table.hold)
    assert (hold["code"], hold["message_id"]) == ("notice_not_made", kept["id"])
    (patient,) = await desk.rows(table.patient)
    assert patient["name"] == "TEST^ŁUKASZ"
