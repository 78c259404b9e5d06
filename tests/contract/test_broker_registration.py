"""Registration on a real database: what each ADT does to the patient, the visit and the worklist."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.intake import MessageIntake
from engine.config.site import load_site
from engine.core.limits import Limits
from engine.hl7.message import Message
from engine.records.exchange import Peer
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
NOW = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
TODAY, TOMORROW = "20261121", "20261122"


class Afternoon:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@dataclass
class House:
    messages: MessageIntake
    reader: Reader

    async def send(self, body: str | bytes) -> Message:
        reply = await self.messages.accept(body.encode() if isinstance(body, str) else body, PEER)
        return Message.parse(reply.frames[0])

    async def sample(self, name: str) -> str | None:
        return (await self.send((SAMPLES / name).read_bytes())).get("MSA-1")

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of))]

        return await self.reader.run(read)

    async def one(self, of: Any) -> dict[str, Any]:
        (row,) = await self.rows(of)
        return row

    async def names(self) -> list[str]:
        return [event["name"] for event in await self.rows(table.event)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer, reader = Writer(engine, Afternoon(), Limits()), Reader(engine)
    writer.start()
    site = load_site(None, environ={})
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))
    yield House(
        MessageIntake(site=lambda: site, writer=writer, blobs=blobs, wake=lambda _name: None, limits=Limits()), reader
    )
    await writer.stop()
    reader.close()
    engine.dispose()


_control_ids = iter(range(1, 10_000))


def adt(
    event: str,
    *,
    recorded: str = "20260301080000",
    pid_3: str = "P0001^^^HOSP^MR",
    name: str = "TEST^ALPHA",
    pv1: str = "PV1|1|O|AMB1||||||||||||||||VN1^^^HOSP",
) -> str:
    head = f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|{recorded}||ADT^{event}|R{next(_control_ids)}|P|2.5"
    return f"{head}\rEVN|{event}|{recorded}\rPID|1||{pid_3}||{name}||19800229|F\r{pv1}\r"


def with_visit(body: str, number: str = "VN1") -> str:
    return body.replace("PV1|1|O|RAD", "PV1|1|O|RAD" + "|" * 16 + f"{number}^^^HOSP")


async def test_a_stay_from_announcement_to_discharge(house: House) -> None:
    seen = []
    for name in ("a05", "a01", "a06", "a02", "a03", "a13"):
        assert await house.sample(f"adt-{name}.hl7") == "AA"
        visit = await house.one(table.visit)
        seen.append((visit["state"], visit["class_code"], visit["location"], visit["discharged"]))

    assert seen == [
        ("PLANNED", "I", "", ""),
        ("ACTIVE", "I", "WARD1 ROOM2 BED3", ""),
        ("ACTIVE", "I", "WARD1", ""),
        ("ACTIVE", "I", "WARD1", ""),  # recorded before what came last
        ("DISCHARGED", "I", "WARD2 ROOM1 BED1", "20261121133000"),
        ("ACTIVE", "I", "WARD2 ROOM1 BED1", ""),
    ]
    assert (await house.one(table.patient))["state"] == "ACTIVE"


async def test_a_transfer_moves_the_patient_on_the_worklist(house: House) -> None:
    await house.send(adt("A01"))
    await house.send(with_visit(order()))

    await house.send(adt("A02", recorded="20260301090000", pv1="PV1|1|I|WARD9^^B2||||||||||||||||VN1^^^HOSP"))

    assert (await house.one(table.imaging_order))["patient_location"] == "WARD9 B2"
    assert b"WARD9 B2" in (await house.one(table.worklist_item))["attributes"]
    assert "visit.transferred" in await house.names()


async def test_a_cancelled_transfer_takes_the_patient_back(house: House) -> None:
    await house.send(adt("A01"))
    await house.send(adt("A02", recorded="20260301090000", pv1="PV1|1|I|WARD9||||||||||||||||VN1^^^HOSP"))

    await house.send(adt("A12", recorded="20260301091000", pv1="PV1|1|I|AMB1||||||||||||||||VN1^^^HOSP"))

    assert (await house.one(table.visit))["location"] == "AMB1"


async def test_a_cancelled_visit_leaves_the_patient(house: House) -> None:
    await house.send(adt("A01"))

    await house.send(adt("A11", recorded="20260301090000"))

    assert (await house.one(table.visit))["state"] == "CANCELLED"
    assert (await house.one(table.patient))["state"] == "ACTIVE"


@pytest.mark.parametrize(("event", "code"), [("A06", "I"), ("A07", "O")])
async def test_a_change_of_class_says_the_class_when_pv1_does_not(house: House, event: str, code: str) -> None:
    await house.send(adt("A01", pv1="PV1|1|E|AMB1||||||||||||||||VN1^^^HOSP"))

    await house.send(adt(event, recorded="20260301090000", pv1="PV1|1||AMB1||||||||||||||||VN1^^^HOSP"))

    assert (await house.one(table.visit))["class_code"] == code


@pytest.mark.parametrize("event", ["A28", "A31"])
async def test_what_is_said_of_the_person_leaves_the_visit_alone(house: House, event: str) -> None:
    await house.send(adt("A01"))
    before = await house.one(table.visit)

    await house.send(
        adt(event, recorded="20260301090000", name="TEST^MARRIED", pv1="PV1|1|I|WARD9||||||||||||||||VN1^^^HOSP")
    )

    assert await house.one(table.visit) == before
    assert (await house.one(table.patient))["name"] == "TEST^MARRIED"


@pytest.mark.parametrize("event", ["A04", "A10"])
async def test_a_patient_who_arrives_is_there_for_the_step_of_today(house: House, event: str) -> None:
    await house.send(order(start=f"{TODAY}093000"))

    await house.send(adt(event))

    assert (await house.one(table.scheduled_step))["state"] == "ARRIVED"
    item = await house.one(table.worklist_item)
    assert (item["visible"], b'"ScheduledProcedureStepStatus":"ARRIVED"' in item["attributes"]) == (1, True)
    assert "step.arrived" in await house.names()


async def test_an_arrival_that_is_cancelled_is_taken_back(house: House) -> None:
    await house.send(order(start=f"{TODAY}093000"))
    await house.send(adt("A04"))

    await house.send(adt("A11", recorded="20260301090000"))

    assert (await house.one(table.scheduled_step))["state"] == "SCHEDULED"


async def test_an_arrival_says_nothing_when_it_is_not_clear_for_what(house: House) -> None:
    await house.send(order(start=f"{TODAY}093000"))
    await house.send(order(start=f"{TODAY}110000", accession="ACC0002", control_id="M2", study_uid="1.2.3"))

    await house.send(adt("A04"))

    assert {row["state"] for row in await house.rows(table.scheduled_step)} == {"SCHEDULED"}


async def test_of_several_orders_the_one_of_the_visit_is_meant(house: House) -> None:
    await house.send(with_visit(order(start=f"{TODAY}093000")))
    await house.send(order(start=f"{TODAY}110000", accession="ACC0002", control_id="M2", study_uid="1.2.3"))

    await house.send(adt("A04"))

    assert [row["state"] for row in await house.rows(table.scheduled_step)] == ["ARRIVED", "SCHEDULED"]


async def test_who_arrives_today_is_not_there_for_tomorrow(house: House) -> None:
    await house.send(order(start=f"{TOMORROW}093000"))

    await house.send(adt("A04"))

    assert (await house.one(table.scheduled_step))["state"] == "SCHEDULED"


async def test_an_update_that_comes_late_does_not_undo_a_newer_one(house: House) -> None:
    await house.send(adt("A08", recorded="20260301080000", name="TEST^FIRST"))
    await house.send(adt("A08", recorded="20260301100000", name="TEST^THIRD"))

    answer = await house.send(adt("A08", recorded="20260301090000", name="TEST^SECOND"))

    assert (answer.get("MSA-1"), answer.get("ERR-4")) == ("AA", "W")
    assert (await house.one(table.patient))["name"] == "TEST^THIRD"
    kept = (await house.rows(table.message))[-1]
    assert (kept["state"], "recorded later" in kept["text"]) == ("applied", True)


async def test_an_update_of_the_same_second_is_not_late(house: House) -> None:
    await house.send(adt("A08", name="TEST^FIRST"))
    await house.send(adt("A08", name="TEST^SECOND"))

    assert (await house.one(table.patient))["name"] == "TEST^SECOND"


async def test_without_evn_the_time_of_the_message_counts(house: House) -> None:
    def bare(recorded: str, name: str) -> str:
        return "\r".join(
            line for line in adt("A08", recorded=recorded, name=name).split("\r") if not line.startswith("EVN")
        )

    await house.send(bare("20260301100000", "TEST^THIRD"))
    await house.send(bare("20260301090000", "TEST^SECOND"))

    assert (await house.one(table.patient))["name"] == "TEST^THIRD"


async def test_a_late_transfer_leaves_the_visit_where_it_is(house: House) -> None:
    await house.send(adt("A02", recorded="20260301100000", pv1="PV1|1|I|WARD3||||||||||||||||VN1^^^HOSP"))
    await house.send(adt("A02", recorded="20260301090000", pv1="PV1|1|I|WARD2||||||||||||||||VN1^^^HOSP"))

    assert (await house.one(table.visit))["location"] == "WARD3"


async def test_an_update_in_a_secondary_issuer_adds_and_drops_nothing(house: House) -> None:
    await house.send(adt("A08", pid_3="P0001^^^HOSP^MR~9-87^^^REGION^PI"))

    await house.send(adt("A08", recorded="20260301090000", pid_3="P0001^^^HOSP^MR~9-88^^^REGION^PI"))
    await house.send(adt("A08", recorded="20260301100000"))

    kept = {(row["value"], row["issuer"], row["is_primary"]) for row in await house.rows(table.patient_identifier)}
    assert kept == {("P0001", "HOSP", 1), ("9-87", "REGION", 0), ("9-88", "REGION", 0)}


@pytest.mark.parametrize(("pid_3", "name", "field"), [('""', "TEST^ALPHA", "3"), ("P0001^^^HOSP", '""', "5")])
async def test_neither_identifiers_nor_name_can_be_erased(house: House, pid_3: str, name: str, field: str) -> None:
    answer = await house.send(adt("A08", pid_3=pid_3, name=name))

    assert [answer.get(each) for each in ("MSA-1", "ERR-3.1", "ERR-2.1", "ERR-2.3")] == ["AE", "101", "PID", field]


async def test_an_unknown_identity_is_kept_with_what_is_unreliable(house: House) -> None:
    assert await house.sample("adt-a28-unknown.hl7") == "AA"

    patient = await house.one(table.patient)
    assert (patient["identity_unknown"], patient["identity_reliability"]) == (1, "UD~US")


async def test_the_same_registration_again_tells_nobody(house: House) -> None:
    await house.send(adt("A08"))
    before = await house.names()

    await house.send(adt("A08", recorded="20260301090000"))

    assert await house.names() == before


async def test_identifiers_of_two_patients_are_held(house: House) -> None:
    await house.send(adt("A04", pid_3="P0001^^^HOSP"))
    await house.send(adt("A04", pid_3="P0002^^^HOSP", pv1="PV1|1|O"))

    answer = await house.send(adt("A08", pid_3="P0001^^^HOSP~P0002^^^HOSP", name="TEST^BETA"))

    assert answer.get("MSA-1") == "AA"
    assert [hold["code"] for hold in await house.rows(table.hold)] == ["identifiers_of_several_patients"]
    assert {row["name"] for row in await house.rows(table.patient)} == {"TEST^ALPHA"}


async def test_a_patient_without_a_visit_number_arrives_too(house: House) -> None:
    await house.send(order(start=f"{TODAY}093000"))

    await house.send(adt("A04", pv1="PV1|1|O|AMB1"))

    assert (await house.one(table.scheduled_step))["state"] == "ARRIVED"
    assert await house.rows(table.visit) == []
