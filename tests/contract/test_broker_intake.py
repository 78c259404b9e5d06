"""Intake: what is answered, what is kept, what is applied, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.config.site import load_site
from engine.core.clock import SystemClock
from engine.core.errors import StorageError
from engine.core.limits import Limits
from engine.hl7.message import Message
from engine.records.exchange import Peer
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")


@dataclass
class Desk:
    intake: MessageIntake
    writer: Writer
    reader: Reader
    blobs: FolderStore

    async def send(self, body: str | bytes) -> list[Message]:
        reply = await self.intake.accept(body.encode() if isinstance(body, str) else body, PEER)
        return [Message.parse(frame) for frame in reply.frames]

    async def codes(self, body: str | bytes) -> list[str | None]:
        return [answer.get("MSA-1") for answer in await self.send(body)]

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer, reader = Writer(engine, SystemClock(), Limits()), Reader(engine)
    writer.start()
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))
    site = load_site(None, environ={})
    intake = MessageIntake(site=lambda: site, writer=writer, blobs=blobs, wake=lambda _name: None, limits=Limits())
    yield Desk(intake, writer, reader, blobs)
    await writer.stop()
    reader.close()
    engine.dispose()


async def test_an_order_is_applied_journalled_and_answered(desk: Desk) -> None:
    (answer,) = await desk.send(order())

    assert (answer.get("MSA-1"), answer.get("MSA-2")) == ("AA", "M1")
    (kept,) = await desk.rows(table.message)
    assert (kept["state"], kept["body"], kept["routes"]) == ("applied", order().encode(), "orders-from-his")
    assert kept["answer"] == answer.raw
    assert len(kept["revision"]) == 64
    (step,) = await desk.rows(table.scheduled_step)
    assert (step["modality"], step["station_aes"], step["start"]) == ("CT", "CT1", "20261121093000")


async def test_a_resend_gets_the_same_answer_and_does_nothing_twice(desk: Desk) -> None:
    (first,) = await desk.send(order())
    (second,) = await desk.send(order())

    assert first.raw == second.raw
    assert len(await desk.rows(table.message)) == 1
    assert [event["name"] for event in await desk.rows(table.event)][-1] == "message.duplicate_answered"


async def test_a_control_id_used_for_other_bytes_is_taken_and_flagged(desk: Desk) -> None:
    await desk.send(order())
    (answer,) = await desk.send(order(accession="ACC0002", study_uid="1.2.3.4"))

    assert answer.get("MSA-1") == "AA"
    assert "control id was used before" in (await desk.rows(table.message))[1]["text"]


async def test_a_refused_message_is_kept_with_code_and_place_and_changes_nothing(desk: Desk) -> None:
    assert await desk.codes(order(control="XO")) == ["AE"]

    (kept,) = await desk.rows(table.message)
    assert (kept["state"], kept["code"], kept["place"]) == ("refused", "HL7-120", "ORC^1^2")
    assert await desk.rows(table.patient) == []


async def test_a_message_after_a_refusal_with_the_same_control_id_is_read_anew(desk: Desk) -> None:
    await desk.send(order(control="XO"))
    await desk.send(order(control_id="M0"))

    assert await desk.codes(order(control="XO", modality="MR")) == ["AA"]


@pytest.mark.parametrize(
    ("msh_15", "msh_16", "good", "bad"),
    [
        ("", "", ["AA"], ["AE"]),
        ("AL", "NE", ["CA"], ["CA"]),
        ("NE", "NE", [], []),
        ("AL", "AL", ["CA", "AA"], ["CA", "AE"]),
        ("NE", "AL", ["AA"], ["AE"]),
        ("NE", "ER", [], ["AE"]),
        ("ER", "SU", ["AA"], []),
    ],
)
async def test_enhanced_mode_answers_what_was_asked_for(
    desk: Desk, msh_15: str, msh_16: str, good: list[str], bad: list[str]
) -> None:
    def asking(text: str) -> str:
        return text.replace("|P|2.3.1", f"|P|2.5.1|||{msh_15}|{msh_16}")

    assert await desk.codes(asking(order(control="XO", control_id="M0"))) == bad
    assert await desk.codes(asking(order())) == good


async def test_what_cannot_be_accepted_is_not_answered_twice(desk: Desk) -> None:
    body = order().replace("ORM^O01", "BAR^P01").replace("|P|2.3.1", "|P|2.5.1|||AL|AL")

    assert await desk.codes(body) == ["CR"]


async def test_an_acknowledgement_is_never_acknowledged(desk: Desk) -> None:
    assert await desk.send("MSH|^~\\&|RIS|R|I|R|20261121||ACK|X1|P|2.3.1\rMSA|AA|N1\r") == []

    (kept,) = await desk.rows(table.message)
    assert (kept["message_type"], kept["state"]) == ("ACK", "filtered")
    assert kept["text"] == "an acknowledgement is never acknowledged"


async def test_a_message_that_names_no_type_is_kept_without_one(desk: Desk) -> None:
    assert await desk.codes(order().replace("ORM^O01", "")) == ["AE"]

    (kept,) = await desk.rows(table.message)
    assert (kept["message_type"], kept["code"]) == ("", "HL7-103")


async def test_messages_of_a_batch_are_answered_one_by_one_and_one_bad_one_stops_none(desk: Desk) -> None:
    good, bad = order(), order(control_id="M2").replace("ORM^O01", "BAR^P01")
    last = order(control_id="M3", accession="ACC0003", study_uid="1.2.3")
    body = f"FHS|^~\\&|HIS\rBHS|^~\\&|HIS\r{good}{bad}{last}BTS|3\rFTS|1\r"

    answers = await desk.send(body)

    assert [(each.get("MSA-1"), each.get("MSA-2")) for each in answers] == [("AA", "M1"), ("AR", "M2"), ("AA", "M3")]


async def test_a_test_message_is_refused_where_only_production_is_taken(desk: Desk) -> None:
    (answer,) = await desk.send(order().replace("|P|2.3.1", "|T|2.5"))

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AR", "202")


async def test_a_large_body_is_kept_as_an_object_and_reads_back_whole(desk: Desk) -> None:
    body = order() + "NTE|1||" + "x" * 100_000 + "\r"

    assert await desk.codes(body) == ["AA"]

    (kept,) = await desk.rows(table.message)
    assert kept["body"] is None
    assert desk.blobs.read(kept["body_blob"]) == body.encode()


async def test_a_storage_failure_answers_nothing(desk: Desk) -> None:
    await desk.writer.stop()

    with pytest.raises(StorageError):
        await desk.intake.accept(order().encode(), PEER)


async def test_latin_1_survives(desk: Desk) -> None:
    body = order(name="TEST^ÄLPHA").replace("|P|2.3.1", "|P|2.3.1||||||8859/1").encode("latin_1")

    assert await desk.codes(body) == ["AA"]

    (patient,) = await desk.rows(table.patient)
    assert patient["name"] == "TEST^ÄLPHA"


async def test_two_orders_of_one_message_are_two_orders_of_one_patient(desk: Desk) -> None:
    head, tail = order(study_uid="").split("ORC|", 1)
    second = tail.replace("0001", "0002")

    assert await desk.codes(f"{head}ORC|{tail}ORC|{second}") == ["AA"]

    assert len(await desk.rows(table.imaging_order)) == 2
    assert len(await desk.rows(table.patient)) == 1


async def test_an_incomplete_order_is_accepted_held_and_released_by_a_change(desk: Desk) -> None:
    (answer,) = await desk.send(order(modality="", code="UNKNOWN1"))
    assert answer.get("MSA-1") == "AA"
    (kept,) = await desk.rows(table.message)
    assert kept["state"] == "held"
    assert [hold["code"] for hold in await desk.rows(table.hold)] == ["step_incomplete"]

    assert await desk.codes(order(control="XO", control_id="M2", modality="CT", code="UNKNOWN1")) == ["AA"]

    (step,) = await desk.rows(table.scheduled_step)
    assert (step["state"], step["missing"]) == ("SCHEDULED", "")
    assert [hold["state"] for hold in await desk.rows(table.hold)] == ["resolved"]


async def test_registration_moves_the_worklist_entry_to_the_new_name(desk: Desk) -> None:
    await desk.send(order())
    adt = (
        "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121090000||ADT^A08|M9|P|2.3.1\rEVN|A08|20261121090000\r"
        "PID|1||P0001^^^HOSP^MR||TEST^MARRIED||19800229|F\rPV1|1|O\r"
    )

    assert await desk.codes(adt) == ["AA"]

    def read(connection: Any) -> bytes:
        return connection.execute(select(table.worklist_item.c.attributes)).scalar()  # type: ignore[no-any-return]

    assert b"TEST^MARRIED" in await desk.reader.run(read)


async def test_concurrent_senders_of_one_new_patient_make_one_patient(desk: Desk) -> None:
    bodies = [order(control_id=f"M{i}", accession=f"ACC{i:04d}", study_uid=f"1.2.{i}") for i in range(20)]

    await asyncio.gather(*(desk.send(body) for body in bodies))

    assert len(await desk.rows(table.patient)) == 1
    assert len(await desk.rows(table.imaging_order)) == 20


@pytest.mark.parametrize(
    ("values", "lacks"),
    [
        ({"name": ""}, "patient name"),
        ({"patient_id": "P" * 65}, "patient ID"),
        ({"patient_id": "P\\E\\1"}, "patient ID"),
        ({"accession": "ACC\\E\\1"}, "accession number"),
    ],
)
async def test_what_a_modality_cannot_be_told_is_held_and_never_served(
    desk: Desk, values: dict[str, str], lacks: str
) -> None:
    assert await desk.codes(order(**values)) == ["AA"]

    (hold,) = await desk.rows(table.hold)
    assert hold["code"] == "step_incomplete"
    assert lacks in hold["reason"]
    assert (await desk.rows(table.scheduled_step))[0]["state"] == "HELD_INCOMPLETE"


async def test_a_name_that_registration_sends_later_releases_the_step(desk: Desk) -> None:
    await desk.send(order(name=""))
    adt = (
        "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121090000||ADT^A08|M9|P|2.3.1\rEVN|A08|20261121090000\r"
        "PID|1||P0001^^^HOSP^MR||TEST^ALPHA||19800229|F\rPV1|1|O\r"
    )

    assert await desk.codes(adt) == ["AA"]

    assert (await desk.rows(table.scheduled_step))[0]["state"] == "SCHEDULED"
    assert [hold["state"] for hold in await desk.rows(table.hold)] == ["resolved"]

    def visible(connection: Any) -> int:
        return connection.execute(select(table.worklist_item.c.visible)).scalar()  # type: ignore[no-any-return]

    assert await desk.reader.run(visible) == 1
