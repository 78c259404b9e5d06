"""Reports as the JSON API and the pages show them."""

from __future__ import annotations

from typing import Any

from engine.broker.apply_report import apply_reports
from engine.broker.decision import Applied, Desk
from engine.core.ids import RowId
from engine.records.fact import ReportFact, ResultFact
from engine.store.unit import Unit

from .conftest import Client, Hospital, patient_fact

PDF = "JVBERi0xLjQKJSVFT0YK"
HOSTILE = "<script>alert(1)</script>"


async def take_in(hospital: Hospital, **said: object) -> list[Applied]:
    """Apply one report about order A1, as the intake does."""
    values: dict[str, Any] = {
        "status": "FINAL",
        "title": "CT head",
        "report_number": "R1",
        "accession_number": "A1",
        "interpreter": "READ^TESTD",
        "results": (ResultFact(value_type="TX", suffix="GDT", value=f"NOTHING SEEN {HOSTILE}", status="FINAL"),),
        **said,
    }
    fact = ReportFact(patient=patient_fact(), **values)

    def work(unit: Unit) -> list[Applied]:
        desk = Desk(site=hospital.site, wake=lambda _: None, blobs=hospital.blobs)
        return apply_reports(unit, [fact], "RIS/RAD", unit.new_id(), desk)

    return await hospital.writer.submit(work)


async def reported(client: Client) -> dict[str, Any]:
    order = await (await client.get("/api/orders/A1")).json()
    (report,) = order["reports"]
    found: dict[str, Any] = report
    return found


async def test_an_order_shows_its_report_with_state_version_and_link(client: Client, hospital: Hospital) -> None:
    await hospital.order("A1")
    await take_in(hospital, status="PRELIMINARY")
    await take_in(hospital)

    report = await reported(client)

    assert (report["state"], report["version"], report["versions"], report["title"]) == ("FINAL", 2, 2, "CT head")
    assert (report["procedure"], report["interpreter"], report["attachments"]) == ("CT head", "READ^TESTD", [])
    assert report["link"]["rule"] == "R2"
    page = await (await client.get("/orders/A1")).text()
    assert f'<a href="/reports/{report["id"]}">CT head</a>' in page
    assert "Report is final" in page


async def test_a_report_has_its_text_and_every_version(client: Client, hospital: Hospital) -> None:
    await hospital.order("A1")
    await take_in(hospital, status="PRELIMINARY")
    await take_in(hospital)

    report = await (await client.get(f"/api/reports/{(await reported(client))['id']}")).json()

    assert report["text"] == f"Description\nNOTHING SEEN {HOSTILE}"
    assert [(each["number"], each["state"], each["is_current"]) for each in report["version_list"]] == [
        (1, "PRELIMINARY", False),
        (2, "FINAL", True),
    ]
    assert report["patient"]["name"] == "TEST^ALPHA"
    assert report["orders"][0]["accession_number"] == "A1"


async def test_text_of_a_report_is_never_markup(client: Client, hospital: Hospital) -> None:
    await hospital.order("A1")
    await take_in(hospital)

    page = await (await client.get(f"/reports/{(await reported(client))['id']}")).text()

    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


async def test_a_document_is_given_as_it_came_and_never_opened_in_the_page(client: Client, hospital: Hospital) -> None:
    await hospital.order("A1")
    row = ResultFact(value_type="ED", name="REPORT", value=PDF, data_type="AP/PDF", encoding="Base64", status="FINAL")
    await take_in(hospital, results=(row,))
    report = await reported(client)
    (attachment,) = report["attachments"]

    answer = await client.get(f"/api/reports/{report['id']}/attachments/{attachment['id']}")

    assert await answer.read() == b"%PDF-1.4\n%%EOF\n"
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="report-{report["id"]}-1.pdf"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert f"/attachments/{attachment['id']}" in await (await client.get("/orders/A1")).text()


async def test_a_pointer_has_no_bytes_here(client: Client, hospital: Hospital) -> None:
    await hospital.order("A1")
    row = ResultFact(value_type="RP", name="KEY IMAGE", value="HTTPS://PACS.TEST/1", data_type="Image/JPEG")
    await take_in(hospital, results=(row,))
    report = await reported(client)
    (attachment,) = report["attachments"]

    assert attachment["pointer"] == "HTTPS://PACS.TEST/1"
    assert (await client.get(f"/api/reports/{report['id']}/attachments/{attachment['id']}")).status == 404


async def test_a_report_that_waits_has_a_page_too(client: Client, hospital: Hospital) -> None:
    await take_in(hospital, accession_number="NOBODY")
    (hold,) = (await (await client.get("/api/holds")).json())["holds"]

    page = await (await client.get(f"/reports/{hold['report_id']}")).text()

    assert "none fits yet" in page
    assert f'<a href="/reports/{hold["report_id"]}">report</a>' in await (await client.get("/holds")).text()


async def test_a_report_that_is_not_here(client: Client) -> None:
    assert (await client.get("/api/reports/99")).status == 404
    assert (await client.get("/reports/99")).status == 404
    assert (await client.get(f"/api/reports/{RowId(99)}/attachments/1")).status == 404
