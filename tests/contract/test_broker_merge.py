"""Merges on a real database: what was the other patient's is the survivor's everywhere, and its old ID leads there."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.filereader import read_dataset
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.image import ImageIntake
from engine.broker.intake import MessageIntake
from engine.config.site import Site, load_site
from engine.core.clock import SystemClock
from engine.core.limits import Limits
from engine.desk.worklist import Worklist
from engine.dicom.encode import encode
from engine.dicom.scanner import EXPLICIT_LITTLE
from engine.hl7.message import Message
from engine.records.exchange import Peer, Sameness
from engine.records.fact import InstanceFact
from engine.store import listing, table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.listing import OrderFilter
from engine.store.paging import Cut
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")
UID = "1.2.826.0.1.3680043.8.498.1"
OTHER_UID = "1.2.826.0.1.3680043.8.498.2"
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
TRAUMA = {"patient_id": "T0007", "name": "TRAUMA^SEVEN", "birth_date": "", "sex": "M"}
IMAGE = InstanceFact(
    sop_uid=f"{UID}.1.1",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    series_uid=f"{UID}.1",
    study_uid=UID,
    transfer_syntax="1.2.840.10008.1.2.1",
    patient_id="T0007",
    patient_name="TRAUMA^SEVEN",
    sex="M",
    accession_number="ACC0001",
    modality="CT",
    blob="b1",
    size_bytes=1000,
    source_ae="CT1",
)


class Ct1:
    """A modality that asks."""

    calling_ae = "CT1"


@dataclass
class House:
    messages: MessageIntake
    images: ImageIntake
    steps: Worklist
    reader: Reader
    sites: list[Site]
    """The last one is in use."""

    async def send(self, body: str | bytes) -> Message:
        reply = await self.messages.accept(body.encode() if isinstance(body, str) else body, PEER)
        return Message.parse(reply.frames[0])

    async def code(self, body: str | bytes) -> str | None:
        return (await self.send(body)).get("MSA-1")

    async def merge(
        self,
        survivor: str,
        subsumed: str,
        *,
        event: str = "A40",
        name: str = "TEST^ALPHA",
        recorded: str = "20261121120000",
        control_id: str = "",
    ) -> Message:
        control_id = control_id or f"{survivor}{subsumed}{event}"
        return await self.send(
            f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|{recorded}||ADT^{event}|{control_id}|P|2.5\r"
            f"EVN|{event}|{recorded}\rPID|1||{survivor}^^^HOSP^MR||{name}||19800229|F\rMRG|{subsumed}^^^HOSP^MR\r"
        )

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def patient(self, value: str) -> dict[str, Any]:
        """Return the record that has an identifier."""
        (owner,) = [row["patient_id"] for row in await self.rows(table.patient_identifier) if row["value"] == value]
        return next(row for row in await self.rows(table.patient) if row["id"] == owner)

    async def holds(self) -> list[tuple[str, str]]:
        return [(hold["code"], hold["state"]) for hold in await self.rows(table.hold)]

    async def names(self) -> list[str]:
        return [event["name"] for event in await self.rows(table.event)]

    async def shown(self, patient_id: str) -> list[tuple[str, str, str]]:
        """Return (Patient ID, name, accession number) of the worklist answers for a Patient ID."""
        keys = {
            "PatientID": patient_id,
            "PatientName": "",
            "AccessionNumber": "",
            "ScheduledProcedureStepSequence": [{}],
        }
        found = []
        async for _, raw in self.steps.answers(encode(keys, EXPLICIT_LITTLE), EXPLICIT_LITTLE, Ct1()):
            answer = read_dataset(io.BytesIO(raw), False, True)
            found.append((str(answer.PatientID), str(answer.PatientName), str(answer.AccessionNumber)))
        return found

    async def orders_of(self, patient_id: str) -> list[str]:
        page = await self.reader.run(
            lambda connection: listing.orders(connection, OrderFilter(patient_id=patient_id), Cut(limit=10))
        )
        return [row.order.accession_number for row in page.rows]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    writer, reader = Writer(engine, SystemClock(), Limits()), Reader(engine)
    writer.start()
    sites = [load_site(None, environ={})]
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))

    def site() -> Site:
        return sites[-1]

    def nobody(_name: str) -> None:
        return None

    messages = MessageIntake(site=site, writer=writer, blobs=blobs, wake=nobody, limits=Limits())
    images = ImageIntake(site=site, writer=writer, wake=nobody, quiet=lambda: None, compare=lambda *_: Sameness.OTHER)
    steps = Worklist(site=site, reader=reader, writer=writer, clock=SystemClock(), limits=Limits())
    yield House(messages, images, steps, reader, sites)
    await writer.stop()
    reader.close()
    engine.dispose()


async def test_a_temporary_patient_becomes_the_real_one_everywhere(house: House) -> None:
    """Order, images, then A40: every view shows the survivor, the old ID still resolves."""
    assert await house.code((SAMPLES / "adt-a28-unknown.hl7").read_bytes()) == "AA"
    await house.send(order(**TRAUMA))
    await house.send(order(**TRAUMA, accession="ACC0002", control_id="M2", study_uid=OTHER_UID))
    await house.images.accept(IMAGE)

    assert await house.code((SAMPLES / "adt-a40.hl7").read_bytes()) == "AA"

    survivor, old = await house.patient("4711"), await house.patient("T0007")
    assert (old["state"], old["merged_into"], old["name"]) == ("MERGED", survivor["id"], "TRAUMA^SEVEN")
    assert survivor["name"] == "TEST^ALPHA"
    assert {row["patient_id"] for row in await house.rows(table.imaging_order)} == {survivor["id"]}
    assert {row["patient_id"] for row in await house.rows(table.study)} == {survivor["id"]}
    assert await house.orders_of("T0007") == await house.orders_of("4711") == ["ACC0002", "ACC0001"]
    assert await house.shown("T0007") == await house.shown("4711") == [("4711", "TEST^ALPHA", "ACC0002")]
    (edge,) = await house.rows(table.patient_merge)
    assert (edge["kind"], edge["survivor_id"], edge["subsumed_id"]) == ("record", survivor["id"], old["id"])
    assert '"imaging_order":[' in edge["moved"]
    assert '"study":[' in edge["moved"]
    assert {"patient.merged", "order.patient_changed", "study.patient_changed"} <= set(await house.names())
    assert await house.holds() == []


async def test_images_with_the_old_id_and_name_go_to_the_survivor(house: House) -> None:
    """The examination had begun under the old worklist entry when the merge came."""
    await house.send((SAMPLES / "adt-a28-unknown.hl7").read_bytes())
    await house.send(order(**TRAUMA))
    await house.send((SAMPLES / "adt-a40.hl7").read_bytes())

    await house.images.accept(IMAGE)

    (study,) = await house.rows(table.study)
    assert study["patient_id"] == (await house.patient("4711"))["id"]
    (link,) = await house.rows(table.link)
    assert "(A7)" in link["reason"]


async def test_images_with_the_old_id_and_somebody_elses_name_are_held(house: House) -> None:
    await house.send(order(**TRAUMA))
    await house.send((SAMPLES / "adt-a40.hl7").read_bytes())

    await house.images.accept(replace(IMAGE, patient_name="PROBE^GAMMA"))

    assert await house.holds() == [("patient_conflict", "open")]


async def test_late_messages_under_the_old_id_are_redirected_and_do_not_describe_the_survivor(house: House) -> None:
    await house.send(order(**TRAUMA))
    await house.send((SAMPLES / "adt-a40.hl7").read_bytes())

    assert await house.code(order(**TRAUMA, accession="ACC0002", control_id="M2", study_uid=OTHER_UID)) == "AA"
    late = (SAMPLES / "adt-a28-unknown.hl7").read_text().replace("|20261121030000", "|20261121130000")
    assert await house.code(late) == "AA"

    survivor = await house.patient("4711")
    assert (survivor["name"], survivor["sex"], survivor["identity_unknown"]) == ("TEST^ALPHA", "F", 0)
    assert sorted(await house.orders_of("4711")) == ["ACC0001", "ACC0002"]
    assert len(await house.rows(table.patient)) == 2


async def test_an_unknown_mrg_leaves_a_tombstone(house: House) -> None:
    answer = await house.merge("4711", "4799")

    assert (answer.get("MSA-1"), answer.get("ERR-4")) == ("AA", "W")
    assert (await house.patient("4799"))["merged_into"] == (await house.patient("4711"))["id"]
    assert await house.code(order(patient_id="4799", name="TEST^ALPHA")) == "AA"
    assert await house.orders_of("4711") == ["ACC0001"]


async def test_a_merge_sent_again_changes_nothing_and_says_so(house: House) -> None:
    await house.send(order(**TRAUMA))
    await house.send((SAMPLES / "adt-a40.hl7").read_bytes())
    before = [await house.rows(of) for of in (table.patient, table.patient_identifier, table.imaging_order)]

    answer = await house.merge("4711", "T0007", control_id="AGAIN")

    assert (answer.get("MSA-1"), answer.get("ERR-4")) == ("AA", "W")
    assert [await house.rows(of) for of in (table.patient, table.patient_identifier, table.imaging_order)] == before
    assert len(await house.rows(table.patient_merge)) == 1


async def test_the_reverse_of_an_earlier_merge_is_held(house: House) -> None:
    await house.send(order(patient_id="4712", name="TEST^ALPHA"))
    await house.merge("4711", "4712")

    assert (await house.merge("4712", "4711")).get("MSA-1") == "AA"

    assert await house.holds() == [("merge_reversed", "open")]
    assert (await house.rows(table.message))[-1]["state"] == "held"
    assert (await house.patient("4711"))["merged_into"] is None


async def test_a_chain_of_merges_leads_to_the_last(house: House) -> None:
    await house.send(order(patient_id="4711"))
    await house.merge("4712", "4711")
    await house.merge("4713", "4712")

    last = await house.patient("4713")
    assert {row["patient_id"] for row in await house.rows(table.imaging_order)} == {last["id"]}
    for value in ("4711", "4712", "4713"):
        assert await house.shown(value) == [("4713", "TEST^ALPHA", "ACC0001")]


async def test_a_ring_of_merges_is_refused(house: House) -> None:
    await house.merge("4712", "4711")
    await house.merge("4713", "4712")

    answer = await house.merge("4711", "4713")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2.1")) == ("AE", "205", "PID")


async def test_a_patient_is_not_merged_into_itself(house: House) -> None:
    answer = await house.merge("4711", "4711")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2.1")) == ("AE", "205", "MRG")
    assert await house.rows(table.patient) == []


async def test_two_pairs_are_applied_together(house: House) -> None:
    await house.send(order(patient_id="4713", name="TEST^ALPHA"))

    assert await house.code((SAMPLES / "adt-a40-two-pairs.hl7").read_bytes()) == "AA"

    assert [(edge["kind"]) for edge in await house.rows(table.patient_merge)] == ["record", "record"]
    assert (await house.patient("4714"))["merged_into"] == (await house.patient("4712"))["id"]
    assert await house.orders_of("4711") == ["ACC0001"]


@pytest.mark.parametrize(
    ("second", "code", "held"),
    [("4712^^^HOSP", "AE", []), ("UNKNOWN^^^HOSP", "AA", [("patient_id_missing", "open")])],
)
async def test_of_two_pairs_none_is_applied_when_one_cannot(
    house: House, second: str, code: str, held: list[tuple[str, str]]
) -> None:
    await house.send(order(patient_id="4713", name="TEST^ALPHA"))
    body = (SAMPLES / "adt-a40-two-pairs.hl7").read_bytes().decode().replace("MRG|4714", f"MRG|{second}")

    assert await house.code(body) == code

    assert (await house.patient("4713"))["state"] == "ACTIVE"
    assert await house.rows(table.patient_merge) == []
    assert await house.holds() == held


async def test_an_identifier_without_issuer_has_the_default_one(house: House, tmp_path: Path) -> None:
    (tmp_path / "isthmus.yaml").write_text("site: {default_issuer: HOSP}\n")
    house.sites.append(load_site(tmp_path, environ={}))
    await house.send(order(patient_id="4712"))

    await house.send("MSH|^~\\&|HIS|HOSP|||20261121||ADT^A40|1|P|2.3.1\rEVN|A40\rPID|1||4711||TEST^ALPHA\rMRG|4712\r")

    assert {row["issuer"] for row in await house.rows(table.patient_identifier)} == {"HOSP"}
    assert await house.orders_of("4711") == ["ACC0001"]


async def test_studies_of_both_under_one_accession_number_are_held(house: House) -> None:
    for row, patient_id in enumerate(("4711", "4712")):
        uid = f"1.2.3.{row}"
        await house.send(
            order(
                patient_id=patient_id, accession=f"ACC000{row}", study_uid=uid, control_id=f"M{row}", name="TEST^ALPHA"
            )
        )
        await house.images.accept(
            replace(
                IMAGE,
                sop_uid=f"{uid}.1",
                series_uid=f"{uid}.9",
                study_uid=uid,
                blob=f"b{row}",
                patient_id=patient_id,
                patient_name="TEST^ALPHA",
                sex="F",
                accession_number="",
            )
        )
        # the modality of this series typed the number by hand, the same for both
        await house.images.accept(
            replace(
                IMAGE,
                sop_uid=f"{uid}.2",
                series_uid=f"{uid}.9",
                study_uid=uid,
                blob=f"c{row}",
                patient_id=patient_id,
                patient_name="TEST^ALPHA",
                sex="F",
                accession_number="TYPED1",
            )
        )

    answer = await house.merge("4711", "4712")

    assert answer.get("MSA-1") == "AA"
    assert (await house.patient("4712"))["state"] == "MERGED"
    assert await house.holds() == [("accession_of_both_patients", "open")] * 2


async def test_a_study_held_between_both_patients_is_decided_by_their_merge(house: House) -> None:
    """The images name one of the two, the accession number is of an order of the other."""
    await house.send(order(patient_id="4711", study_uid=""))
    await house.send(order(patient_id="4712", accession="ACC0002", control_id="M2", study_uid=OTHER_UID))
    await house.images.accept(
        replace(IMAGE, patient_id="4712", patient_name="TEST^ALPHA", birth_date="19800229", sex="F")
    )
    assert await house.holds() == [("accession_of_another_patient", "open")]

    await house.merge("4711", "4712")

    assert await house.holds() == [("accession_of_another_patient", "resolved")]
    assert [link["rule"] for link in await house.rows(table.link)] == ["B3"]


async def test_a_renamed_identifier_leads_on_and_the_new_one_is_served(house: House) -> None:
    await house.send(order(patient_id="4711"))

    assert await house.code((SAMPLES / "adt-a47.hl7").read_bytes()) == "AA"

    assert await house.shown("4711") == await house.shown("4799") == [("4799", "TEST^ALPHA", "ACC0001")]
    assert await house.orders_of("4711") == ["ACC0001"]
    assert await house.code(order(control="XO", control_id="M2", patient_id="4711", modality="MR")) == "AA"
    assert [edge["kind"] for edge in await house.rows(table.patient_merge)] == ["identifier"]


async def test_an_identifier_is_not_renamed_to_that_of_another_patient(house: House) -> None:
    await house.send(order(patient_id="4711"))
    await house.send(order(patient_id="4799", accession="ACC0002", control_id="M2", study_uid=OTHER_UID))

    answer = await house.send((SAMPLES / "adt-a47.hl7").read_bytes())

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "205")
    assert await house.rows(table.patient_merge) == []


async def test_moving_identifiers_is_left_to_a_person(house: House) -> None:
    assert (await house.merge("4711", "4712", event="A43")).get("MSA-1") == "AA"
    assert await house.holds() == [("identifiers_moved", "open")]


async def test_a_merged_visit_takes_its_orders_along(house: House) -> None:
    body = order(patient_id="4711").replace("PV1|1|O|RAD", "PV1|1|O|RAD" + "|" * 16 + "VN1002^^^HOSP")
    assert await house.code(body) == "AA"

    assert await house.code((SAMPLES / "adt-a42.hl7").read_bytes()) == "AA"

    assert [row["admission_id"] for row in await house.rows(table.imaging_order)] == ["VN1001"]
    late = body.replace("|M1|", "|M2|").replace("0001", "0003").replace(UID, OTHER_UID)
    assert await house.code(late) == "AA"
    assert [row["admission_id"] for row in await house.rows(table.imaging_order)] == ["VN1001", "VN1001"]


async def test_a_visit_moves_to_another_patient_with_its_orders(house: House) -> None:
    body = order(patient_id="4712", name="TEST^BETA").replace("PV1|1|O|RAD", "PV1|1|O|RAD" + "|" * 16 + "VN1002^^^HOSP")
    assert await house.code(body) == "AA"

    assert await house.code((SAMPLES / "adt-a45.hl7").read_bytes()) == "AA"

    assert await house.shown("4711") == [("4711", "TEST^ALPHA", "ACC0001")]
    assert await house.shown("4712") == []
    assert (await house.patient("4712"))["state"] == "ACTIVE"
    assert [edge["kind"] for edge in await house.rows(table.patient_merge)] == ["visit"]


async def test_a_visit_with_images_does_not_move_by_itself(house: House) -> None:
    body = order(patient_id="4712", name="TEST^BETA").replace("PV1|1|O|RAD", "PV1|1|O|RAD" + "|" * 16 + "VN1002^^^HOSP")
    await house.send(body)
    await house.images.accept(replace(IMAGE, patient_id="4712", patient_name="TEST^BETA", sex="F"))

    assert await house.code((SAMPLES / "adt-a45.hl7").read_bytes()) == "AA"

    assert await house.holds() == [("visit_has_images", "open")]
    assert (await house.rows(table.imaging_order))[0]["patient_id"] == (await house.patient("4712"))["id"]


async def test_a_merge_without_mrg_is_refused_at_its_place(house: House) -> None:
    answer = await house.send("MSH|^~\\&|HIS|HOSP|||20261121||ADT^A40|1|P|2.5\rPID|1||4711||TEST^ALPHA\r")

    assert [answer.get(each) for each in ("MSA-1", "ERR-3.1", "ERR-2.1", "ERR-2.3")] == ["AE", "101", "MRG", "1"]
