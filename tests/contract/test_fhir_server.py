"""FHIR over real sockets, on a real database: orders in, orders, patients and studies out, and every refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import select

from engine.blobs.folder import FolderStore
from engine.broker.image import ImageIntake
from engine.broker.intake import MessageIntake
from engine.broker.resource import ResourceIntake
from engine.config.site import Site, load_site
from engine.connectors.fhir.server import add_fhir
from engine.core.clock import SystemClock
from engine.core.limits import Limits
from engine.fhir.capability import SERVED
from engine.fhir.validation import find_issues
from engine.records.exchange import Peer, Sameness
from engine.records.fact import InstanceFact
from engine.store import table
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.errors import DatabaseDown
from engine.store.reader import Reader
from engine.store.writer import Writer

REPOSITORY = Path(__file__).resolve().parents[2]
FHIR_JSON = {"Content-Type": "application/fhir+json"}
SITE = """
site: {timezone: Europe/Berlin}
destinations:
  mllp:
    ris: {port: 2576}
issuers:
  - {key: HIS, namespaces: [HIS], oid: 1.2.3.4}
  - {key: PLACER, namespaces: [PLACER], oid: 1.2.3.5}
  - {key: RIS, namespaces: [RIS], oid: 1.2.3.6}
"""


@dataclass
class Hospital:
    """A server, and the rooms behind it."""

    http: TestClient[web.Request, web.Application]
    messages: MessageIntake
    images: ImageIntake
    resources: ResourceIntake
    reader: Reader

    async def post(self, body: Any, **headers: str) -> ClientResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(
            "/fhir/ServiceRequest", data=raw, headers=FHIR_JSON | {k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        answer = await self.http.get(f"/fhir/{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})
        return answer.status, json.loads(await answer.read() or b"null")

    async def search(self, path: str) -> list[dict[str, Any]]:
        status, bundle = await self.get(path)
        assert status == 200
        assert find_issues(bundle, "Bundle") == []
        found = [entry["resource"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]
        assert bundle["total"] == len(found)
        return found

    async def hl7(self, *segments: str) -> str:
        reply = await self.messages.accept("\r".join((*segments, "")).encode(), Peer("his", "127.0.0.1:1"))
        return reply.frames[0].decode()

    async def rows(self, of: Any) -> list[dict[str, Any]]:
        def read(connection: Any) -> list[dict[str, Any]]:
            return [dict(row._mapping) for row in connection.execute(select(of).order_by(of.c.id))]

        return await self.reader.run(read)


@pytest.fixture
def files() -> dict[str, str]:
    """Return more files of the site, by name."""
    return {}


@pytest.fixture
async def hospital(tmp_path: Path, files: dict[str, str]) -> AsyncIterator[Hospital]:
    folder = tmp_path / "site"
    for name, text in ({"isthmus.yaml": SITE} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    site = load_site(folder, environ={})
    url = sqlite_url(tmp_path / "x.db")
    migrate(url)
    engine = open_engine(url)
    limits = Limits(disk_floor_bytes=0, disk_floor_share=0.0, fhir_body_bytes=300_000)
    writer, reader = Writer(engine, SystemClock(), limits), Reader(engine)
    writer.start()
    blobs = FolderStore(tmp_path / "blobs", limits)

    def wake(_name: str) -> None:
        return

    messages = MessageIntake(site=lambda: site, writer=writer, blobs=blobs, wake=wake, limits=limits)
    images = ImageIntake(
        site=lambda: site, writer=writer, wake=wake, quiet=lambda: None, compare=lambda *_: Sameness.OTHER
    )
    resources = ResourceIntake(site=lambda: site, writer=writer, reader=reader, blobs=blobs, wake=wake, limits=limits)
    app = web.Application()
    add_fhir(app, site=lambda: site, intake=resources, reader=reader, limits=limits)
    async with TestClient(TestServer(app)) as http:
        yield Hospital(http, messages, images, resources, reader)
    await writer.stop()
    reader.close()
    engine.dispose()


def order(**changes: Any) -> dict[str, Any]:
    """Return an order with its patient inside; a change to None leaves the element out."""
    made = json.loads((REPOSITORY / "samples/fhir/servicerequest-contained-patient.json").read_text("utf-8"))
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def numbered(accession: str, **changes: Any) -> dict[str, Any]:
    acsn = {"type": {"coding": [{"code": "ACSN"}]}, "system": "urn:oid:1.2.3.6", "value": accession}
    return order(identifier=[acsn], **changes)


async def issues(answer: ClientResponse) -> list[tuple[str, str, str]]:
    """Return (our code, IssueType, expression) of an OperationOutcome."""
    assert answer.content_type == "application/fhir+json"
    outcome = await answer.json(content_type=None)
    assert outcome["resourceType"] == "OperationOutcome"
    assert find_issues(outcome, "OperationOutcome") == []
    return [
        (issue["details"].get("coding", [{"code": ""}])[0]["code"], issue["code"], issue.get("expression", [""])[0])
        for issue in outcome["issue"]
    ]


async def test_an_order_is_created_and_read_back(hospital: Hospital) -> None:
    answer = await hospital.post(order())
    made = await answer.json(content_type=None)

    assert answer.status == 201, made
    assert answer.headers["Location"] == str(hospital.http.make_url(f"/fhir/ServiceRequest/{made['id']}/_history/1"))
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert find_issues(made, "ServiceRequest") == []
    assert made["status"] == "active"
    assert made["occurrenceDateTime"] == "2026-11-21T10:00:00+01:00"
    assert {(i.get("system"), i["value"]) for i in made["identifier"]} >= {
        ("urn:oid:1.2.3.5", "P5001"),
        ("urn:oid:1.2.3.6", "ACC5001"),
        ("urn:dicom:uid", "urn:oid:1.2.826.0.1.3680043.8.498.5001"),
    }
    assert (await hospital.get(f"ServiceRequest/{made['id']}")) == (200, made)
    assert (await hospital.get(f"ServiceRequest/{made['id']}/_history/1")) == (200, made)
    assert (await hospital.get(f"ServiceRequest/{made['id']}/_history/2"))[0] == 404
    status, patient = await hospital.get(made["subject"]["reference"])
    assert (status, patient["name"][0]["family"], patient["birthDate"]) == (200, "TEST", "1980-02-29")
    assert find_issues(patient, "Patient") == []


async def test_the_journal_keeps_the_body_as_received_and_the_answer(hospital: Hospital) -> None:
    body = json.dumps(order(quantityRatio={"numerator": {"value": 1.10}}), indent=3).encode()

    answer = await hospital.post(body)

    (kept,) = await hospital.rows(table.message)
    assert (kept["kind"], kept["message_type"], kept["state"]) == ("fhir", "ServiceRequest", "applied")
    assert kept["body"] == body
    assert kept["answer"] == await answer.read()
    assert kept["routes"] == "orders-from-fhir"


async def test_an_order_is_on_the_worklist_like_any_other(hospital: Hospital) -> None:
    await hospital.post(order())

    (item,) = [row async for row in _worklist(hospital)]
    assert (item["modality"], item["station_aes"], item["visible"]) == ("CT", "CT1", 1)
    assert (item["patient_id"], item["accession_number"]) == ("4711", "ACC5001")


async def _worklist(hospital: Hospital) -> AsyncIterator[dict[str, Any]]:
    def read(connection: Any) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in connection.execute(select(table.worklist_item))]

    for row in await hospital.reader.run(read):
        yield row


def segment(name: str, **fields: str) -> str:
    """Return a segment with fields named `f18`."""
    last = max(int(field[1:]) for field in fields)
    return "|".join([name, *(fields.get(f"f{number}", "") for number in range(1, last + 1))])


ORM = (
    "MSH|^~\\&|HIS|HOSPITAL|ISTHMUS|RAD|20261121080000||ORM^O01^ORM_O01|F1|P|2.5.1",
    "PID|1||4711^^^HIS&1.2.3.4&ISO^MR||TEST^ALPHA^MARIE||19800229|F",
    "ORC|NW|P5001^PLACER^1.2.3.5^ISO",
    segment(
        "OBR",
        f1="1",
        f2="P5001^PLACER^1.2.3.5^ISO",
        f4="71260^CT chest with contrast^C4",
        f18="ACC5001",
        f24="CT",
        f36="20261121100000",
    ),
)


async def test_an_orm_and_a_service_request_for_one_accession_are_one_order(hospital: Hospital) -> None:
    assert "MSA|AA" in await hospital.hl7(*ORM)
    answer = await hospital.post(order())

    assert len(await hospital.rows(table.imaging_order)) == 1
    assert len(await hospital.rows(table.requested_procedure)) == 1
    assert len(await hospital.rows(table.patient)) == 1
    assert answer.status in (200, 409)


async def test_an_orm_reads_as_a_service_request(hospital: Hospital) -> None:
    await hospital.hl7(*ORM)

    (found,) = await hospital.search("ServiceRequest?identifier=urn:oid:1.2.3.5|P5001")

    assert find_issues(found, "ServiceRequest") == []
    assert found["code"]["coding"] == [
        {"system": "http://www.ama-assn.org/go/cpt", "code": "71260", "display": "CT chest with contrast"}
    ]
    assert found["occurrenceDateTime"] == "2026-11-21T10:00:00+01:00"
    assert await hospital.search("ServiceRequest?identifier=ACC5001") == [found]


async def test_the_same_order_again_is_there_already(hospital: Hospital) -> None:
    first = await hospital.post(order())
    second = await hospital.post(order())

    assert (first.status, second.status) == (201, 200)
    assert (await second.json(content_type=None))["id"] == (await first.json(content_type=None))["id"]
    assert len(await hospital.rows(table.imaging_order)) == 1
    assert len(await hospital.rows(table.message)) == 2


async def test_another_order_under_the_same_numbers_is_refused(hospital: Hospital) -> None:
    await hospital.post(order())

    answer = await hospital.post(order(code={"coding": [{"system": "http://loinc.org", "code": "30799-1"}]}))

    assert answer.status == 409
    assert await issues(answer) == [("HL7-121", "duplicate", "ServiceRequest.identifier")]
    assert [row["state"] for row in await hospital.rows(table.message)] == ["applied", "refused"]


async def test_a_conditional_create_happens_once(hospital: Hospital) -> None:
    condition = "identifier=urn:oid:1.2.3.6|ACC5001"

    answers = await asyncio.gather(*(hospital.post(order(), If_None_Exist=condition) for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
    changed = await hospital.post(order(priority="stat"), If_None_Exist=condition)
    assert changed.status == 200
    assert (await changed.json(content_type=None))["priority"] == "urgent"


async def test_a_condition_that_matches_several_or_cannot_be_read_is_refused(hospital: Hospital) -> None:
    one = await hospital.post(numbered("A1"))
    await hospital.post(numbered("A2"))
    patient = (await one.json(content_type=None))["subject"]["reference"]

    several = await hospital.post(numbered("A3"), If_None_Exist=f"patient={patient}")
    unread = await hospital.post(numbered("A3"), If_None_Exist="colour=blue")

    assert several.status == 412
    assert await issues(several) == [("FHIR-124", "multiple-matches", "")]
    assert unread.status == 400
    assert await issues(unread) == [("FHIR-130", "not-supported", "")]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/{id}"},
        {"reference": "Patient/{id}/_history/1"},
        {"reference": "{base}/Patient/{id}"},
        {"reference": "Patient?identifier=urn:oid:1.2.3.4|4711"},
        {"identifier": {"system": "urn:oid:1.2.3.4", "value": "4711"}},
        {"identifier": {"value": "4711"}},
    ],
    ids=lambda subject: next(iter(subject.values())) if "reference" in subject else str(len(subject["identifier"])),
)
async def test_a_patient_is_found_by_every_kind_of_reference(hospital: Hospital, subject: dict[str, Any]) -> None:
    first = await (await hospital.post(order())).json(content_type=None)
    row = first["subject"]["reference"].removeprefix("Patient/")
    base = str(hospital.http.make_url("/fhir"))
    named = json.loads(json.dumps(subject).replace("{id}", row).replace("{base}", base))

    answer = await hospital.post(numbered("A2", subject=named, contained=None))

    assert answer.status == 201, await answer.text()
    assert (await answer.json(content_type=None))["subject"] == {"reference": f"Patient/{row}"}
    assert len(await hospital.rows(table.patient)) == 1
    assert len(await hospital.rows(table.patient_identifier)) == 1


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/999999"},
        {"reference": "Patient/p1"},
        {"reference": "#p2"},
        {"reference": "http://elsewhere.example/fhir/Patient/1"},
        {"reference": "urn:uuid:6a5fbbd5-4f2a-4d3e-8f40-0f6c0f7a7a11"},
        {"reference": "Patient?family=TEST"},
        {"identifier": {"system": "urn:oid:1.2.3.4", "value": "0815"}},
    ],
    ids=str,
)
async def test_a_reference_to_nobody_is_refused(hospital: Hospital, subject: dict[str, Any]) -> None:
    answer = await hospital.post(order(subject=subject))

    assert answer.status == 422
    assert await issues(answer) == [("FHIR-111", "business-rule", "ServiceRequest.subject")]
    (kept,) = await hospital.rows(table.message)
    assert (kept["state"], kept["code"], kept["place"]) == ("refused", "FHIR-111", "ServiceRequest.subject")


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"subject": None}, 422, ("FHIR-113", "required", "ServiceRequest.subject")),
        ({"subject": {"display": "SOMEBODY"}}, 422, ("FHIR-113", "required", "ServiceRequest.subject")),
        ({"code": None, "category": None}, 422, ("FHIR-113", "required", "ServiceRequest.code")),
        ({"identifier": None}, 422, ("HL7-111", "required", "ServiceRequest.identifier")),
        ({"status": "completed"}, 422, ("FHIR-111", "business-rule", "ServiceRequest.status")),
        ({"intent": "plan"}, 422, ("FHIR-111", "business-rule", "ServiceRequest.intent")),
        ({"doNotPerform": True}, 422, ("FHIR-111", "business-rule", "ServiceRequest.doNotPerform")),
        ({"status": "foo"}, 400, ("FHIR-114", "code-invalid", "ServiceRequest.status")),
        ({"status": None}, 400, ("FHIR-110", "required", "ServiceRequest.status")),
        ({"reason": []}, 400, ("FHIR-110", "structure", "ServiceRequest.reason")),
        ({"authoredOn": "2026-11-21T10:00:00"}, 400, ("FHIR-110", "value", "ServiceRequest.authoredOn")),
        (
            {"subject": {"reference": "Practitioner/1"}},
            400,
            ("FHIR-110", "value", "ServiceRequest.subject"),
        ),
        ({"status": "revoked"}, 422, ("HL7-120", "not-found", "ServiceRequest.identifier")),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
async def test_a_refusal_says_what_and_where(
    hospital: Hospital, changes: dict[str, Any], status: int, told: tuple[str, str, str]
) -> None:
    answer = await hospital.post(order(**changes))

    assert answer.status == status, await answer.text()
    assert told in await issues(answer)
    assert [row["state"] for row in await hospital.rows(table.message)] == ["refused"]
    assert await hospital.rows(table.imaging_order) == []


async def test_several_findings_come_at_once(hospital: Hospital) -> None:
    answer = await hospital.post(order(status="foo", intentt="order", subject=None, priority="now"))

    assert answer.status == 400
    assert {(code, where) for code, _, where in await issues(answer)} == {
        ("FHIR-110", "ServiceRequest.intentt"),
        ("FHIR-114", "ServiceRequest.status"),
        ("FHIR-114", "ServiceRequest.priority"),
        ("FHIR-113", "ServiceRequest.subject"),
        ("FHIR-111", "ServiceRequest.status"),
    }


async def test_a_contained_patient_without_identifier_is_refused_at_its_place(hospital: Hospital) -> None:
    answer = await hospital.post(order(contained=[{"resourceType": "Patient", "id": "p1", "gender": "female"}]))

    assert answer.status == 422
    assert await issues(answer) == [("FHIR-113", "required", "ServiceRequest.contained[0].identifier")]


@pytest.mark.parametrize("status", ["draft", "on-hold"])
async def test_a_draft_is_an_order_on_hold(hospital: Hospital, status: str) -> None:
    answer = await hospital.post(order(status=status))

    assert answer.status == 201
    assert (await answer.json(content_type=None))["status"] == "on-hold"
    assert [row["visible"] async for row in _worklist(hospital)] == [0]


async def test_an_order_is_revoked(hospital: Hospital) -> None:
    first = await hospital.post(order())
    answer = await hospital.post(order(status="revoked"))

    assert answer.status == 200
    made = await answer.json(content_type=None)
    assert (made["id"], made["status"]) == ((await first.json(content_type=None))["id"], "revoked")
    assert answer.headers["ETag"] == 'W/"2"'


async def test_an_order_that_has_started_is_not_revoked(hospital: Hospital) -> None:
    await hospital.post(order())
    await hospital.images.accept(instance())

    answer = await hospital.post(order(status="revoked"))

    assert answer.status == 409
    assert await issues(answer) == [("FHIR-112", "conflict", "ServiceRequest.status")]
    assert [hold["code"] for hold in await hospital.rows(table.hold)] == ["order_cancel_after_in_progress"]


async def test_an_order_that_a_person_must_decide_about_is_accepted_and_held(hospital: Hospital) -> None:
    await hospital.post(order())
    other = order()["contained"][0] | {"name": [{"family": "OTHER", "given": ["OMEGA"]}], "birthDate": "1950-01-01"}

    answer = await hospital.post(numbered("A2", contained=[other]))

    assert answer.status == 202
    assert await issues(answer) == [("", "business-rule", "")]
    assert [row["state"] for row in await hospital.rows(table.message)] == ["applied", "held"]
    assert [hold["code"] for hold in await hospital.rows(table.hold)] == ["patient_conflict"]


@pytest.mark.parametrize(
    ("preference", "kind"),
    [("minimal", None), ("representation", "ServiceRequest"), ("OperationOutcome", "OperationOutcome")],
)
async def test_prefer_return(hospital: Hospital, preference: str, kind: str | None) -> None:
    answer = await hospital.post(order(), Prefer=f"respond-async, return={preference}")

    assert answer.status == 201
    assert "Location" in answer.headers
    body = await answer.read()
    assert (json.loads(body)["resourceType"] if body else None) == kind


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "FHIR-101", 400),
        (b"<ServiceRequest/>", "FHIR-101", 400),
        (b'{"resourceType":"ServiceRequest","status":"active","status":"draft"}', "FHIR-101", 400),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "FHIR-101", 400),
        (b'{"a":' * 50_000, "FHIR-101", 400),
        (b"[]", "FHIR-101", 400),
        (b'{"resourceType":"Patient"}', "FHIR-110", 400),
        (b'{"a":"\xff"}', "FHIR-101", 400),
        (b"{" + b" " * 300_000 + b"}", "FHIR-104", 413),
    ],
    ids=["empty", "xml", "twice", "deep", "bomb", "array", "patient", "bytes", "large"],
)
async def test_a_body_that_is_no_resource(hospital: Hospital, body: bytes, code: str, status: int) -> None:
    answer = await hospital.post(body)

    assert answer.status == status
    assert (await issues(answer))[0][0] == code


async def test_a_large_order_is_kept_as_a_blob(hospital: Hospital) -> None:
    answer = await hospital.post(order(note=[{"text": "N" * 70_000}]))

    assert answer.status == 201
    (kept,) = await hospital.rows(table.message)
    assert kept["body"] is None
    assert len(kept["body_blob"]) == 64


async def test_media_types(hospital: Hospital) -> None:
    post, get = hospital.http.post, hospital.http.get
    body = json.dumps(order()).encode()
    url = "/fhir/ServiceRequest"

    xml = await post(url, data=body, headers={"Content-Type": "application/fhir+xml"})
    r5 = await post(url, data=body, headers={"Content-Type": "application/fhir+json; fhirVersion=5.0"})
    plain = await post(url, data=body, headers={"Content-Type": "application/json; charset=UTF-8"})
    wants_xml = await get(url, headers={"Accept": "application/fhir+xml"})
    asks_xml = await get(url, params={"_format": "xml"})
    browser = await get(url, headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"})
    asks_json = await get(url, params={"_format": "json"}, headers={"Accept": "text/html"})

    assert [xml.status, r5.status, plain.status] == [415, 415, 201]
    assert [wants_xml.status, asks_xml.status, browser.status, asks_json.status] == [406, 406, 200, 200]
    assert (await issues(xml))[0][0] == "FHIR-108"
    assert (await issues(wants_xml))[0][0] == "FHIR-109"


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "Observation/1", 404, "FHIR-106", None),
        ("GET", "", 404, "FHIR-106", None),
        ("POST", "Observation", 404, "FHIR-106", None),
        ("GET", "Patient/1", 404, "FHIR-120", None),
        ("GET", "Patient/x", 404, "FHIR-120", None),
        ("GET", "Patient/" + "9" * 30, 404, "FHIR-120", None),
        ("GET", "Patient/1/$everything", 404, "FHIR-120", None),
        ("POST", "Patient", 405, "FHIR-107", "GET,HEAD"),
        ("DELETE", "ServiceRequest/1", 405, "FHIR-107", "GET,HEAD"),
        ("PUT", "ServiceRequest/1", 405, "FHIR-107", "GET,HEAD"),
        ("PUT", "ServiceRequest", 405, "FHIR-107", "GET,HEAD,POST"),
        ("POST", "metadata", 405, "FHIR-107", "GET,HEAD"),
    ],
)
async def test_what_is_not_served(
    hospital: Hospital, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    answer = await hospital.http.request(method, f"/fhir/{path}")

    assert answer.status == status
    assert [each[0] for each in await issues(answer)] == [code]
    assert answer.headers.get("Allow") == allow


async def test_an_unchanged_resource_is_not_sent_again(hospital: Hospital) -> None:
    await hospital.post(order())
    await hospital.images.accept(instance())
    for path in ("ServiceRequest", "Patient", "ImagingStudy"):
        (found,) = await hospital.search(path)
        tag = f'W/"{found["meta"]["versionId"]}"'

        status, body = await hospital.get(f"{path}/{found['id']}", If_None_Match=f'"x", {tag}')
        assert (status, body) == (304, None)
        assert (await hospital.get(f"{path}/{found['id']}", If_None_Match='"x"'))[0] == 200


def instance(**changes: Any) -> InstanceFact:
    said: dict[str, Any] = {
        "sop_uid": "1.2.826.0.1.3680043.8.498.5001.1.1",
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
        "series_uid": "1.2.826.0.1.3680043.8.498.5001.1",
        "study_uid": "1.2.826.0.1.3680043.8.498.5001",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "patient_id": "4711",
        "issuer": "1.2.3.4",
        "patient_name": "TEST^ALPHA^MARIE",
        "birth_date": "19800229",
        "sex": "F",
        "accession_number": "ACC5001",
        "study_date": "20261121",
        "study_time": "100500",
        "study_description": "CHEST",
        "modality": "CT",
        "series_number": "1",
        "blob": "a" * 64,
        "size_bytes": 1,
        "source_ae": "CT1",
    }
    return InstanceFact(**(said | changes))


async def test_images_read_as_an_imaging_study_based_on_the_order(hospital: Hospital) -> None:
    made = await (await hospital.post(order())).json(content_type=None)
    await hospital.images.accept(instance())
    await hospital.images.accept(instance(sop_uid="1.2.3.9", modality="SR", series_uid="1.2.3.8", series_number="2"))

    (study,) = await hospital.search("ImagingStudy?identifier=urn:dicom:uid|urn:oid:1.2.826.0.1.3680043.8.498.5001")

    assert find_issues(study, "ImagingStudy") == []
    assert study["basedOn"] == [{"reference": f"ServiceRequest/{made['id']}"}]
    assert study["subject"] == made["subject"]
    assert study["started"] == "2026-11-21T10:05:00+01:00"
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 2)
    assert [coding["code"] for coding in study["modality"]] == ["CT"]
    assert [(one["uid"][-4:], one["number"], one["numberOfInstances"]) for one in study["series"]] == [
        ("01.1"[-4:], 1, 1),
        (".3.8"[-4:], 2, 1),
    ]
    for query in (
        "identifier=1.2.826.0.1.3680043.8.498.5001",
        "identifier=ACC5001",
        "identifier=urn:oid:1.2.3.6|ACC5001",
        f"patient={study['subject']['reference']}",
        f"basedon={made['id']}",
        f"based-on=ServiceRequest/{made['id']}&status=available",
        f"_id={study['id']},7",
    ):
        assert await hospital.search(f"ImagingStudy?{query}") == [study], query
    for query in ("identifier=urn:oid:9.9|ACC5001", "identifier=|ACC", "status=cancelled", "patient=7"):
        assert await hospital.search(f"ImagingStudy?{query}") == [], query


async def test_a_study_without_an_order_has_no_subject_yet(hospital: Hospital) -> None:
    await hospital.images.accept(instance())

    (study,) = await hospital.search("ImagingStudy")

    assert find_issues(study, "ImagingStudy") == []
    assert "reference" not in study["subject"]
    assert "basedOn" not in study


async def test_a_held_study_is_not_shown(hospital: Hospital) -> None:
    await hospital.post(order())
    await hospital.images.accept(instance(patient_name="OTHER^OMEGA", birth_date="19500101"))

    assert [(hold["danger"], hold["state"]) for hold in await hospital.rows(table.hold)] == [("RED", "open")]
    (kept,) = await hospital.rows(table.study)
    assert await hospital.search("ImagingStudy") == []
    assert (await hospital.get(f"ImagingStudy/{kept['id']}"))[0] == 404


async def test_searches_of_orders_and_patients(hospital: Hospital) -> None:
    first = await (await hospital.post(order())).json(content_type=None)
    second = await (await hospital.post(numbered("A,2", status="draft"))).json(content_type=None)
    patient = first["subject"]["reference"]
    rp_id = next(i["value"] for i in first["identifier"] if i.get("system") == "urn:isthmus:rp-id")

    for query, expected in {
        "": [first, second],
        "identifier=urn:oid:1.2.3.6|ACC5001": [first],
        "identifier=ACC5001,A\\,2": [first, second],
        "identifier=ACC5001&identifier=A\\,2": [],
        "identifier=ACC5001&identifier=urn:oid:1.2.3.5|P5001": [first],
        f"identifier=urn:isthmus:rp-id|{rp_id}": [first],
        "identifier=urn:dicom:uid|1.2.826.0.1.3680043.8.498.5001": [first],
        "status=on-hold": [second],
        "status=active,on-hold": [first, second],
        f"patient={patient}&status=active": [first],
        f"subject={patient}": [first, second],
        f"_id={second['id']}": [second],
        "patient=Patient/nobody": [],
    }.items():
        assert await hospital.search(f"ServiceRequest?{query}") == expected, query
    for query in ("identifier=urn:oid:1.2.3.4|4711", "identifier=4711", "_id=" + patient.removeprefix("Patient/")):
        (found,) = await hospital.search(f"Patient?{query}")
        assert f"Patient/{found['id']}" == patient
    assert await hospital.search("Patient?identifier=urn:oid:9.9|4711") == []


async def test_a_search_by_post_keeps_identifiers_out_of_the_address(hospital: Hospital) -> None:
    await hospital.post(order())

    answer = await hospital.http.post("/fhir/Patient/_search", data={"identifier": "urn:oid:1.2.3.4|4711"})
    other = await hospital.http.post("/fhir/Patient/_search", data=b"{}", headers=FHIR_JSON)

    assert (await answer.json(content_type=None))["total"] == 1
    assert other.status == 415


async def test_pages_follow_each_other(hospital: Hospital) -> None:
    for number in range(5):
        assert (await hospital.post(numbered(f"A{number}"))).status == 201
    seen: list[str] = []
    url = "/fhir/ServiceRequest?_count=2&status=active"
    while url:
        bundle = await (await hospital.http.get(url)).json(content_type=None)
        assert bundle["total"] == 5
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        url = following[0].partition(str(hospital.http.make_url("")).rstrip("/"))[2] if following else ""

    assert len(set(seen)) == len(seen) == 5


async def test_an_unknown_parameter_is_told_or_refused(hospital: Hospital) -> None:
    await hospital.post(order())

    status, bundle = await hospital.get("ServiceRequest?identifier=ACC5001&colour=blue&status:not=active")
    strict = await hospital.http.get("/fhir/ServiceRequest?colour=blue", headers={"Prefer": "handling=strict"})

    assert status == 200
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "outcome"]
    told = bundle["entry"][1]["resource"]["issue"][0]
    assert (told["severity"], told["code"]) == ("warning", "not-supported")
    assert "colour" in told["details"]["text"]
    assert "status:not" in told["details"]["text"]
    assert bundle["link"][0]["url"].endswith("ServiceRequest?identifier=ACC5001")
    assert strict.status == 400
    assert await issues(strict) == [("FHIR-130", "not-supported", "")]


async def test_metadata_says_what_the_router_serves(hospital: Hospital) -> None:
    status, statement = await hospital.get("metadata")

    assert status == 200
    assert find_issues(statement, "CapabilityStatement") == []
    assert statement["fhirVersion"] == "4.0.1"
    stated = {
        (resource["type"], interaction["code"])
        for resource in statement["rest"][0]["resource"]
        for interaction in resource["interaction"]
    }
    assert stated == await _routed(hospital)
    assert {resource["type"] for resource in statement["rest"][0]["resource"]} == {of.type for of in SERVED}


async def _routed(hospital: Hospital) -> set[tuple[str, str]]:
    """Return the interactions that the router has, read off its own table."""
    meant = {
        ("GET", ""): "search-type",
        ("POST", "_search"): "search-type",
        ("POST", ""): "create",
        ("GET", "{id}"): "read",
        ("GET", "{id}/_history/{vid}"): "vread",
    }
    app = hospital.http.app
    assert app is not None
    found = set()
    for route in app.router.routes():
        assert route.resource is not None
        kind, _, rest = route.resource.canonical.removeprefix("/fhir/").partition("/")
        if kind != "metadata" and route.method != "HEAD":
            found.add((kind, meant[(route.method, rest)]))
    return found


async def test_every_listed_search_parameter_is_honoured(hospital: Hospital) -> None:
    _, statement = await hospital.get("metadata")
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource["searchParam"]:
            status, bundle = await hospital.get(f"{resource['type']}?{parameter['name']}=1")
            assert (status, "entry" in bundle) == (200, False), parameter["name"]
            assert f"{parameter['name']}=1" in bundle["link"][0]["url"]


TELL = """
route: orders-on-to-ris
from: {fhir: ServiceRequest}
map: order-on
to:
  - mllp: ris
    order_by: patient.identifier.value
"""
ORDER_ON = """
from: fhir
to: hl7v2
message: OMG^O19^OMG_O19
version: '2.5.1'
set:
  ORC-1: "'NW'"
  ORC-2: identifier[type.coding.code='PLAC'].value
  PID-3.1: patient.identifier.value
"""


@pytest.mark.parametrize("files", [{"routes/on.yaml": TELL, "mappings/order-on.yaml": ORDER_ON}])
async def test_an_order_is_sent_on_as_hl7_where_a_route_says_so(hospital: Hospital) -> None:
    assert (await hospital.post(order())).status == 201

    (notice,) = await hospital.rows(table.delivery)
    assert (notice["destination"], notice["lane"]) == ("ris", "orders-on-to-ris/4711")
    assert b"ORC|NW|P5001" in notice["body"]
    assert f"|{notice['control_id']}|".encode() in notice["body"]


@pytest.mark.parametrize("raised", ["storage", "bug"])
async def test_a_failure_of_ours_is_told_without_details(hospital: Hospital, raised: str) -> None:
    failure = DatabaseDown("the database refused a write") if raised == "storage" else KeyError("4711")
    app = web.Application()

    def broken() -> Site:
        raise failure

    add_fhir(app, site=broken, intake=hospital.resources, reader=hospital.reader, limits=Limits())
    async with TestClient(TestServer(app)) as http:
        answer = await http.get("/fhir/Patient")
        told = await issues(answer)

    if raised == "storage":
        assert (answer.status, told) == (503, [("STO-102", "no-store", "")])
        assert answer.headers["Retry-After"] == "5"
    else:
        assert (answer.status, told) == (500, [("BUG-101", "exception", "")])
        assert "4711" not in await answer.text()


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(hospital: Hospital) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    answer = await hospital.http.post("/fhir/ServiceRequest", data=parts(), headers=FHIR_JSON)

    assert answer.status == 413
    assert await issues(answer) == [("FHIR-104", "too-long", "")]
    assert await hospital.rows(table.message) == []
