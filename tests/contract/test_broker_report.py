"""Reports on a real database: versions, documents, links, waiting, and what they mean for their orders."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.image import ImageIntake
from engine.broker.intake import MessageIntake
from engine.broker.quiet import QuietTimer
from engine.config.site import Site, load_site
from engine.core.clock import SystemClock
from engine.core.ids import BlobKey
from engine.core.limits import Limits
from engine.hl7.message import Message
from engine.records.exchange import Peer, Sameness
from engine.records.fact import InstanceFact
from engine.store import known, table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer
from tests.peers.his import order

PEER = Peer("his", "127.0.0.1:1")
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
STUDY = "1.2.826.0.1.3680043.8.498.1"
PDF = b"%PDF-1.4\ntrailer<<>>\n%%EOF\n"


class LaterClock(SystemClock):
    """A clock that a test moves on."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Desk:
    intake: MessageIntake
    images: ImageIntake
    quiet: QuietTimer
    clock: LaterClock
    writer: Writer
    reader: Reader
    blobs: FolderStore
    sites: list[Site]

    async def send(self, body: str | bytes) -> Message:
        raw = body.encode() if isinstance(body, str) else body
        reply = await self.intake.accept(raw, PEER)
        (frame,) = reply.frames
        return Message.parse(frame)

    async def code(self, body: str | bytes) -> str | None:
        return (await self.send(body)).get("MSA-1")

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)

    async def events(self, noun: str = "report") -> list[str]:
        return [each["name"] for each in await self.rows(table.event) if each["name"].startswith(f"{noun}.")]

    async def holds(self) -> list[tuple[str, str, str]]:
        return [(each["code"], each["danger"], each["state"]) for each in await self.rows(table.hold)]

    async def report(self) -> tuple[str, str]:
        """Return state and text of the only report."""
        (found,) = await self.rows(table.report)
        versions = {each["number"]: each for each in await self.rows(table.report_version)}
        return (found["state"], versions[found["version"]]["text"])

    async def state(self) -> str:
        (found,) = await self.rows(table.imaging_order)
        return str(found["state"])

    async def image(self, number: int = 1, series: int = 1, **said: str) -> None:
        fact = InstanceFact(
            sop_uid=f"{STUDY}.{series}.{number}",
            sop_class="1.2.840.10008.5.1.4.1.1.2",
            series_uid=f"{STUDY}.{series}",
            study_uid=STUDY,
            transfer_syntax="1.2.840.10008.1.2.1",
            patient_id="P0001",
            issuer="HOSP",
            patient_name="TEST^ALPHA",
            birth_date="19800229",
            sex="F",
            accession_number="ACC0001",
            modality="CT",
            blob=f"{series:032x}{number:032x}",
        )
        await self.images.accept(replace(fact, **said))  # type: ignore[arg-type]  # text fields only

    async def acquire(self) -> None:
        """Let the images of the order come, and its quiet timer fire."""
        await self.image()
        await self.rest()

    async def rest(self) -> None:
        self.clock.ahead += timedelta(minutes=10)
        await self.writer.submit(self.quiet._complete)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    clock = LaterClock()
    writer, reader = Writer(engine, clock, Limits()), Reader(engine)
    writer.start()
    blobs = FolderStore(tmp_path / "blobs", Limits(disk_floor_bytes=0, disk_floor_share=0.0))
    sites = [load_site(None, environ={})]

    def wake(_: str) -> None:
        """Nobody delivers here."""

    def arm() -> None:
        """The quiet timer is fired by hand."""

    intake = MessageIntake(site=lambda: sites[-1], writer=writer, blobs=blobs, wake=wake, limits=Limits())
    images = ImageIntake(site=lambda: sites[-1], writer=writer, wake=wake, quiet=arm, compare=lambda *_: Sameness.OTHER)
    quiet = QuietTimer(site=lambda: sites[-1], writer=writer, reader=reader, clock=clock, wake=wake)
    yield Desk(intake, images, quiet, clock, writer, reader, blobs, sites)
    await writer.stop()
    reader.close()
    engine.dispose()


_count = iter(range(1, 1_000_000))


def obr(status: str = "F", accession: str = "ACC0001", *, number: int = 1, issued: str = "", rp_id: str = "") -> str:
    tail = accession.removeprefix("ACC")
    return (
        f"OBR|{number}|PL{tail}^HIS|FL{tail}^RIS|CTABD^CT abdomen^L||||||||||||||{accession}|{rp_id}"
        f"|||{issued}||CT|{status}"
    )


def obx(text: str, status: str = "F", code: str = "&GDT", kind: str = "TX") -> str:
    return f"OBX|1|{kind}|{code}^CT abdomen||{text}||||||{status}"


def oru(*segments: str, patient_id: str = "P0001", name: str = "TEST^ALPHA", birth_date: str = "19800229") -> str:
    head = f"MSH|^~\\&|RIS|HOSP|ISTHMUS|RAD|20261121||ORU^R01^ORU_R01|R{next(_count)}|P|2.5.1"
    return "\r".join([head, f"PID|1||{patient_id}^^^HOSP^MR||{name}||{birth_date}|F", *segments]) + "\r"


def mdm(event: str, document: str, *segments: str, parent: str = "", status: str = "AU", available: str = "AV") -> str:
    head = f"MSH|^~\\&|RIS|HOSP|ISTHMUS|RAD|20261121||MDM^{event}|D{next(_count)}|P|2.5.1"
    pid = "PID|1||P0001^^^HOSP^MR||TEST^ALPHA||19800229|F"
    txa = f"TXA|1|DI|TX|||||||||{document}^RIS|{parent}^RIS|PL0001^HIS|FL0001^RIS||{status}||{available}"
    return "\r".join([head, f"EVN|{event}", pid, txa, *segments]) + "\r"


async def test_a_final_report_ends_its_order_and_both_know_why(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()

    assert await desk.code(oru(obr("F"), obx("NOTHING SEEN"))) == "AA"

    assert await desk.report() == ("FINAL", "Description\nNOTHING SEEN")
    assert await desk.state() == "COMPLETED"
    assert await desk.events() == ["report.received", "report.linked", "report.final"]
    (link,) = await desk.rows(table.report_link)
    assert (link["rule"], link["reason"][:31]) == ("R1", "the filler number is the order'")
    (message,) = [each for each in await desk.rows(table.message) if each["message_type"] == "ORU^R01"]
    assert (message["state"], message["routes"]) == ("applied", "reports-from-ris")


async def test_a_preliminary_report_then_the_final_one(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("P"), obx("MAYBE", "P")))
    assert await desk.state() == "REPORTED"

    await desk.send(oru(obr("F"), obx("CERTAINLY")))

    assert await desk.state() == "COMPLETED"
    assert await desk.report() == ("FINAL", "Description\nCERTAINLY")
    assert [each["text"] for each in await desk.rows(table.report_version)] == [
        "Description\nMAYBE",
        "Description\nCERTAINLY",
    ]


async def test_a_preliminary_report_after_the_final_one_is_kept_as_an_older_version(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("F"), obx("CERTAINLY")))

    answer = await desk.send(oru(obr("P"), obx("MAYBE", "P")))

    assert answer.get("MSA-1") == "AA"
    assert "kept as an older version" in answer.text
    assert await desk.report() == ("FINAL", "Description\nCERTAINLY")
    assert await desk.state() == "COMPLETED"
    assert ("report_out_of_order", "YELLOW", "open") in await desk.holds()
    assert [(each["number"], each["is_late"]) for each in await desk.rows(table.report_version)] == [(1, 0), (2, 1)]


async def test_the_same_report_again_makes_no_version(desk: Desk) -> None:
    await desk.send(order())
    pdf = obx(f"^AP^PDF^Base64^{base64.b64encode(PDF).decode()}", kind="ED")
    await desk.send(oru(obr("F"), obx("NOTHING SEEN"), pdf))

    answer = await desk.send(oru(obr("F"), obx("NOTHING SEEN"), pdf))

    assert "same content" in answer.text
    assert len(await desk.rows(table.report_version)) == 1


async def test_a_report_with_an_earlier_issue_time_never_replaces_a_later_one(desk: Desk) -> None:
    await desk.send(oru(obr("F", issued="20261121120000"), obx("SECOND")))

    await desk.send(oru(obr("F", issued="20261121110000"), obx("FIRST")))

    assert await desk.report() == ("FINAL", "Description\nSECOND")


async def test_a_correction_replaces_the_whole_result_set(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("F"), obx("A"), obx("B", code="&IMP")))

    await desk.send(oru(obr("C"), obx("C", "C")))

    assert await desk.report() == ("CORRECTED", "Description\nC")
    assert (await desk.events())[-1] == "report.corrected"
    assert await desk.state() == "COMPLETED"


async def test_rows_taken_back_leave_the_others_and_stay_in_history(desk: Desk) -> None:
    await desk.send(oru(obr("F"), obx("A"), obx("B", code="&IMP")))

    await desk.send(oru(obr("C"), obx("", "W", code="&IMP")))

    assert await desk.report() == ("CORRECTED", "Description\nA")
    first, second = await desk.rows(table.report_version)
    assert first["text"] == "Description\nA\n\nImpression\nB"
    assert '"withdrawn":[{' in second["content"]


async def test_a_report_whose_rows_are_all_taken_back_is_withdrawn_and_its_order_needs_a_person(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("F"), obx("A")))

    assert await desk.code(oru(obr("C"), obx("", "D"))) == "AA"

    assert (await desk.report())[0] == "WITHDRAWN"
    assert await desk.state() == "COMPLETED"
    assert ("report_withdrawn", "AMBER", "open") in await desk.holds()
    assert (await desk.events())[-1] == "report.withdrawn"


async def test_a_report_is_confirmed_without_its_text(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("P"), obx("A", "P")))

    await desk.send(oru(obr("U")))

    assert await desk.report() == ("FINAL", "Description\nA")
    assert await desk.state() == "COMPLETED"


@pytest.mark.parametrize(
    "body",
    [
        oru(obr("U")),
        oru(obr("F"), obx("", "W")),
        oru(obr("W"), obx("A")),
        mdm("T11", "DOC9"),
    ],
)
async def test_nothing_can_be_taken_back_or_confirmed_that_never_came(desk: Desk, body: str) -> None:
    answer = await desk.send(body)

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "204")
    assert await desk.rows(table.report) == []


async def test_an_addendum_stands_behind_the_report(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("F"), obx("A")))

    await desk.send(oru(obr("F"), obx("LATER", code="&ADT")))

    assert await desk.report() == ("ADDENDUM", "Description\nA\n\nAddendum\nLATER")
    assert (await desk.events())[-1] == "report.addended"


async def test_no_result_is_a_cancelled_report(desk: Desk) -> None:
    await desk.send(order())

    assert await desk.code(oru(obr("X"))) == "AA"

    assert (await desk.report())[0] == "CANCELLED"
    assert await desk.state() == "SCHEDULED"


@pytest.mark.parametrize("status", ["Y", "Z"])
async def test_no_order_or_no_patient_on_record_is_refused(desk: Desk, status: str) -> None:
    answer = await desk.send(oru(obr(status)))

    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2.3")) == ("AE", "103", "25")


async def test_one_text_about_two_accessions_is_one_report_of_both_orders(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(order(accession="ACC0002", control_id="M2", study_uid="1.2.3"))

    await desk.send(oru(obr("F"), obx("BOTH"), obr("F", "ACC0002", number=2)))

    assert await desk.report() == ("FINAL", "Description\nBOTH")
    assert len(await desk.rows(table.report_link)) == 2
    finals = [each for each in await desk.rows(table.event) if each["name"] == "report.final"]
    assert len({each["order_id"] for each in finals}) == 2


async def test_two_texts_about_two_accessions_are_two_reports(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(order(accession="ACC0002", control_id="M2", study_uid="1.2.3"))

    await desk.send(oru(obr("F"), obx("ONE"), obr("P", "ACC0002", number=2), obx("TWO", "P")))

    assert [each["state"] for each in await desk.rows(table.report)] == ["FINAL", "PRELIMINARY"]
    assert len(await desk.rows(table.report_link)) == 2


async def test_two_procedures_under_one_filler_number_keep_their_reports_apart(desk: Desk) -> None:
    await desk.send(oru(obr("F", rp_id="RP1"), obx("ONE")))
    await desk.send(oru(obr("F", rp_id="RP2"), obx("TWO")))
    await desk.send(oru(obr("C", rp_id="RP1"), obx("ONE AGAIN", "C")))

    assert [each["state"] for each in await desk.rows(table.report)] == ["CORRECTED", "FINAL"]


async def test_a_report_before_its_order_waits_and_is_told_when_the_order_comes(desk: Desk) -> None:
    answer = await desk.send(oru(obr("F"), obx("A")))
    assert answer.get("MSA-1") == "AA"
    assert await desk.events() == ["report.received", "report.orphaned"]
    assert await desk.holds() == [("report_orphaned", "YELLOW", "open")]

    await desk.send(order())

    assert await desk.events() == ["report.received", "report.orphaned", "report.linked", "report.final"]
    assert await desk.holds() == [("report_orphaned", "YELLOW", "resolved")]
    assert await desk.state() == "SCHEDULED"


async def test_a_report_before_the_images_counts_once_they_are_complete(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(oru(obr("F"), obx("A")))
    assert await desk.state() == "SCHEDULED"

    await desk.acquire()

    assert await desk.state() == "COMPLETED"


async def test_a_report_for_a_cancelled_order_is_held_for_a_person(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(order(control="CA", status="CA", control_id="M2"))

    answer = await desk.send(oru(obr("F"), obx("A")))

    assert answer.get("MSA-1") == "AA"
    assert await desk.rows(table.report_link) == []
    assert ("report_for_cancelled_order", "AMBER", "open") in await desk.holds()
    assert await desk.state() == "CANCELLED"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"patient_id": "P0002"}, "report_of_another_patient"),
        ({"name": "OTHER^BETA", "birth_date": "19500101"}, "report_patient_conflict"),
    ],
)
async def test_a_report_whose_patient_is_not_the_orders_is_held_red(
    desk: Desk, said: dict[str, str], code: str
) -> None:
    await desk.send(order())

    assert await desk.code(oru(obr("F"), obx("A"), **said)) == "AA"

    assert await desk.holds() == [(code, "RED", "open")]
    assert await desk.rows(table.report_link) == []
    (kept,) = await desk.rows(table.report)
    assert kept["patient_id"] is None


async def test_a_version_that_names_another_patient_is_not_applied(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(oru(obr("P"), obx("A", "P")))

    answer = await desk.send(oru(obr("F"), obx("OF SOMEBODY ELSE"), patient_id="P0002", name="OTHER^BETA"))

    assert answer.get("MSA-1") == "AA"
    assert await desk.report() == ("PRELIMINARY", "Description\nA")
    assert await desk.holds() == [("report_of_another_patient", "RED", "open")]


async def test_a_report_of_a_held_study_is_not_linked(desk: Desk) -> None:
    await desk.send(order())
    await desk.image(patient_name="OTHER^BETA", birth_date="19500101")
    assert ("patient_conflict", "RED", "open") in await desk.holds()

    await desk.send(oru(obr("F"), obx(STUDY, code="113014", kind="ST"), obx("A")))

    assert ("report_of_held_study", "RED", "open") in await desk.holds()
    assert await desk.rows(table.report_link) == []


async def test_a_report_is_found_by_accession_by_study_and_by_placer_number(desk: Desk) -> None:
    await desk.send(order())
    other = "OBR|1|{placer}|X{n}^RIS|CTABD^CT abdomen^L||||||||||||||{accession}|||||||F"

    await desk.send(oru(other.format(n=1, placer="", accession="ACC0001"), obx("A")))
    await desk.send(oru(other.format(n=2, placer="", accession=""), obx(STUDY, code="113014", kind="HD"), obx("B")))
    await desk.send(oru(other.format(n=3, placer="PL0001^HIS", accession=""), obx("C")))

    assert [each["rule"] for each in await desk.rows(table.report_link)] == ["R2", "R3", "R4"]


async def test_a_report_of_images_without_an_order_is_of_the_study(desk: Desk) -> None:
    await desk.send(order(accession="ACC0009", study_uid="1.2.9"))
    await desk.image(accession_number="")
    await desk.send(oru("OBR|1||X1^RIS|CTABD||||||||||||||||||||||F", obx(STUDY, code="113014", kind="ST"), obx("A")))

    (link,) = await desk.rows(table.report_link)
    assert (link["rule"], link["procedure_id"]) == ("R3", None)


async def test_images_after_the_final_report_are_flagged_once(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    await desk.send(oru(obr("F"), obx("A")))

    await desk.image(2, 2)
    await desk.image(3, 2)
    await desk.rest()

    assert (await desk.events()).count("report.images_after_final") == 1
    (kept,) = await desk.rows(table.report)
    assert kept["newer_images_at"] is not None

    await desk.send(oru(obr("F"), obx("SEEN", code="&ADT")))
    (kept,) = await desk.rows(table.report)
    assert kept["newer_images_at"] is None


@pytest.mark.parametrize("name", ["oru-r01-pdf-wrapped.hl7", "oru-r01-pdf-rows.hl7"])
async def test_a_pdf_however_wrapped_is_kept_as_it_was(desk: Desk, name: str) -> None:
    assert await desk.code((SAMPLES / name).read_bytes()) == "AA"

    attachment = (await desk.rows(table.report_attachment))[0]
    content = desk.blobs.read(attachment["blob"])
    assert (content[:5], content[-6:], attachment["media_type"]) == (b"%PDF-", b"%%EOF\n", "application/pdf")
    assert attachment["size_bytes"] == len(content)
    assert await desk.reader.run(lambda connection: known.knows_blob(connection, BlobKey(attachment["blob"])))


async def test_a_pointer_is_kept_and_never_fetched(desk: Desk) -> None:
    await desk.send((SAMPLES / "oru-r01-pdf-rows.hl7").read_bytes())

    _, pointer = await desk.rows(table.report_attachment)
    assert (pointer["pointer"], pointer["media_type"], pointer["blob"]) == ("HTTPS://PACS.TEST/1", "image/jpeg", "")


async def test_a_document_that_cannot_be_decoded_is_refused_with_its_place_and_nothing_is_kept(desk: Desk) -> None:
    answer = await desk.send((SAMPLES / "oru-r01-pdf-broken.hl7").read_bytes())

    assert [answer.get(path) for path in ("MSA-1", "ERR-2", "ERR-3.1")] == ["AE", "OBX^2^5", "102"]
    assert await desk.rows(table.report) == []
    (message,) = await desk.rows(table.message)
    assert message["state"] == "refused"


async def test_documents_of_a_report_stay_with_an_addendum_and_go_with_a_new_text(desk: Desk) -> None:
    pdf = obx(f"^AP^PDF^Base64^{base64.b64encode(PDF).decode()}", kind="ED", code="PDF")
    await desk.send(oru(obr("F"), obx("A"), pdf))
    await desk.send(oru(obr("F"), obx("B", code="&ADT")))
    await desk.send(oru(obr("C"), obx("C", "C")))

    versions = [each["number"] for each in await desk.rows(table.report_version)]
    of = {each["id"]: each["number"] for each in await desk.rows(table.report_version)}
    assert versions == [1, 2, 3]
    assert [of[each["version_id"]] for each in await desk.rows(table.report_attachment)] == [1, 2]


async def test_a_document_its_addendum_its_replacement_and_its_end(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()
    text = "OBX|1|TX|GDT||{}||||||F"
    await desk.send(mdm("T02", "DOC1", text.format("A")))
    assert await desk.report() == ("FINAL", "Description\nA")

    await desk.send(mdm("T06", "DOC1A", text.format("B"), parent="DOC1"))
    assert await desk.report() == ("ADDENDUM", "Description\nA\n\nAddendum\nB")

    await desk.send(mdm("T11", "DOC1A", available="OB"))
    assert await desk.report() == ("CORRECTED", "Description\nA")

    await desk.send(mdm("T10", "DOC2", text.format("C"), parent="DOC1"))
    assert await desk.report() == ("CORRECTED", "Description\nC")

    await desk.send(mdm("T02", "DOC1", text.format("A, LATE")))
    assert await desk.report() == ("CORRECTED", "Description\nC")

    await desk.send(mdm("T11", "DOC2"))
    assert (await desk.report())[0] == "WITHDRAWN"
    assert await desk.events() == [
        *("report.received", "report.linked", "report.final"),
        *("report.received", "report.addended"),
        *("report.received", "report.corrected"),
        *("report.received", "report.corrected"),
        "report.received",
        *("report.received", "report.withdrawn"),
    ]


async def test_an_addendum_to_an_unknown_document_waits_for_it(desk: Desk) -> None:
    text = "OBX|1|TX|GDT||{}||||||F"
    assert await desk.code(mdm("T06", "DOC1A", text.format("B"), parent="DOC1")) == "AA"
    assert ("report_parent_unknown", "YELLOW", "open") in await desk.holds()

    await desk.send(mdm("T02", "DOC1", text.format("A")))

    assert await desk.report() == ("ADDENDUM", "Description\nA\n\nAddendum\nB")
    assert ("report_parent_unknown", "YELLOW", "resolved") in await desk.holds()


async def test_a_document_that_is_obsolete_is_withdrawn(desk: Desk) -> None:
    await desk.send(mdm("T02", "DOC1", "OBX|1|TX|GDT||A||||||F"))

    await desk.send(mdm("T03", "DOC1", available="OB"))

    assert await desk.report() == ("WITHDRAWN", "Description\nA")


async def test_a_conflict_that_stays_is_held_once_and_one_that_is_mended_is_settled(desk: Desk) -> None:
    await desk.send(order())
    await desk.send(oru(obr("F"), obx("A"), patient_id="P0002"))

    await desk.send(order(control="XO", control_id="M2", start="20261122093000"))
    assert await desk.holds() == [("report_of_another_patient", "RED", "open")]

    pid = "PID|1||P0001^^^HOSP~P0002^^^HOSP||TEST^ALPHA||19800229|F"
    adt = f"MSH|^~\\&|HIS|HOSP|||20261121||ADT^A08|M3|P|2.3.1\rEVN|A08\r{pid}\rPV1|1|O\r"
    assert await desk.code(adt) == "AA"
    assert await desk.holds() == [("report_of_another_patient", "RED", "resolved")]
    assert (await desk.events())[-2:] == ["report.linked", "report.final"]


async def test_a_draft_is_kept_and_tells_nobody(desk: Desk) -> None:
    await desk.send(order())
    await desk.acquire()

    await desk.send(oru(obr("R"), obx("DICTATED", "R")))

    assert await desk.events() == ["report.received", "report.linked"]
    assert await desk.state() == "ACQUIRED"


async def test_several_late_versions_alarm_once(desk: Desk) -> None:
    await desk.send(oru(obr("F"), obx("A")))
    await desk.send(oru(obr("P"), obx("B", "P")))
    await desk.send(oru(obr("P"), obx("C", "P")))

    assert [hold[0] for hold in await desk.holds()] == ["report_orphaned", "report_out_of_order"]
    assert len(await desk.rows(table.report_version)) == 3


async def test_a_document_sent_again_with_an_addendum_is_there_once(desk: Desk) -> None:
    pdf = obx(f"^AP^PDF^Base64^{base64.b64encode(PDF).decode()}", kind="ED", code="PDF")
    await desk.send(oru(obr("F"), obx("A"), pdf))
    await desk.send(oru(obr("F"), obx("B", code="&ADT"), pdf))

    assert [each["position"] for each in await desk.rows(table.report_attachment)] == [1, 1]


async def test_a_linked_report_is_sent_on_and_a_waiting_one_when_its_order_comes(desk: Desk, tmp_path: Path) -> None:
    shipped = (SAMPLES.parents[1] / "routes" / "report-to-his.yaml").read_text("utf-8")
    (tmp_path / "site" / "routes").mkdir(parents=True)
    (tmp_path / "site" / "routes" / "report-to-his.yaml").write_text(shipped.replace("enabled: false", "enabled: true"))
    desk.sites.append(load_site(tmp_path / "site", environ={}))
    await desk.send(oru(obr("P"), obx("MAYBE", "P")))
    assert await desk.rows(table.delivery) == []

    await desk.send(order())
    await desk.send(oru(obr("F"), obx("CERTAINLY"), obx("NORMAL", code="&IMP")))

    first, second = [Message.parse(each["body"]) for each in await desk.rows(table.delivery)]
    assert [first.get("OBR-25"), first.get("OBX[2]-5"), first.get("OBR-18")] == ["P", "Description\nMAYBE", "ACC0001"]
    assert [second.get("OBR-25"), second.get("OBX[3]-5"), second.get("OBX-5")] == ["F", "NORMAL", STUDY]


async def test_five_hundred_rows_are_one_text(desk: Desk) -> None:
    lines = [obx(f"LINE {number}") for number in range(500)]

    assert await desk.code(oru(obr("F"), *lines)) == "AA"

    _, text = await desk.report()
    assert text.splitlines()[1:] == [f"LINE {number}" for number in range(500)]


async def test_a_time_that_does_not_exist_is_left_out_and_told(desk: Desk) -> None:
    await desk.send(order())

    answer = await desk.send(oru(obr("F", issued="2008081830"), obx("A")))

    told = [answer.get(place) for place in ("MSA-1", "ERR-4", "ERR-5.1", "ERR-8")]
    assert told == ["AA", "W", "MAP-203", "OBR-22 is not a valid date; it is left out"]
    assert answer.first("ERR").field(2) == "OBR^1^22"  # type: ignore[union-attr]  # there is one
    assert await desk.report() == ("FINAL", "Description\nA")
    kept = (await desk.rows(table.message))[-1]
    assert (kept["state"], "OBR-22 is not a valid date" in kept["validation"]) == ("applied", True)


async def test_a_study_uid_that_is_none_names_no_study(desk: Desk) -> None:
    assert await desk.code(oru(obr("F"), obx("A"), "ZDS|1|1|OF OUR OWN")) == "AA"

    assert "study" not in {each["kind"] for each in await desk.rows(table.report_identifier)}


async def test_a_document_without_a_number_is_refused_and_our_files_are_not_told(desk: Desk) -> None:
    answer = await desk.send(mdm("T02", "", obx("A")).replace("^RIS|^RIS|PL", "||PL"))
    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-8")) == ("AE", "101", "TXA-12 is required")

    answer = await desk.send(oru(obr("Q"), obx("A")))
    assert answer.get("ERR-8") == "rule 2: value of OBR-25 is not in table 'report-status'"
    kept = (await desk.rows(table.message))[-1]
    assert kept["text"].startswith("rule 2 at mappings/report-from-oru.yaml:")


async def test_a_report_nobody_could_find_again_is_refused(desk: Desk) -> None:
    answer = await desk.send(oru("OBR|1|||CTABD^CT abdomen||||||||||||||||||||||F", obx("A")))

    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2")) == ("AE", "101", "OBR^1^3")


@pytest.mark.parametrize("name", ["ORU^R01-PDF.hl7", "ORU^R01-CDA.hl7", "ORU^R01-SR.hl7"])
async def test_reports_of_another_archive_keep_everything(desk: Desk, corpus: Path, name: str) -> None:
    body = (corpus / "hl7" / "dcm4che__dcm4che" / name).read_bytes()

    assert await desk.code(body) == "AA"

    _, text = await desk.report()
    identifiers = {each["kind"]: each["value"] for each in await desk.rows(table.report_identifier)}
    assert identifiers["study"] == "1.2.392.200036.9125.0.198811291108.7"
    assert identifiers["series"] == "1.2.392.200036.9125.0.198811291108.7.1"
    assert identifiers["instance"] == "1.2.392.200036.9125.0.198811291108.7.1.1"
    if name.endswith("SR.hl7"):
        values = [line.split("|")[5] for line in body.decode().split("\r") if line.startswith("OBX|")][3:]
        for value in values:
            assert (value.split("^")[1] if "^" in value else value.strip()) in text
        return
    (attachment,) = await desk.rows(table.report_attachment)
    content = desk.blobs.read(attachment["blob"])
    if name.endswith("PDF.hl7"):
        assert (content[:5], content[-7:]) == (b"%PDF-", b"%%EOF\r\n")
        assert attachment["media_type"] == "application/pdf"
    else:
        data = body[body.index(b"<?xml") :].split(b"|", 1)[0]
        assert (content, attachment["media_type"]) == (data, "text/xml")
