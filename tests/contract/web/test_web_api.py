"""The JSON API over real sockets on a real database."""

from __future__ import annotations

import base64
import re

import pytest

from engine.core.ids import RowId
from engine.records.state import DeliveryState, MessageState
from engine.store import paging

from .conftest import Client, Hospital, order_fact


async def get(client: Client, path: str, status: int = 200):  # JSON of any shape
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        assert answer.content_type == ("application/json" if status < 400 else "application/problem+json")
        return await answer.json(content_type=None)


async def test_an_order_tells_its_whole_way(client: Client, morning: RowId) -> None:
    order = await get(client, "/api/orders/A1")

    assert order["id"] == morning
    assert order["accession_number"] == "A1"
    assert order["state"] == "ACQUIRED"
    assert (order["placer_number"], order["filler_number"]) == ("PA1", "FA1")
    assert order["placed_at"] == "2026-03-02T08:00:00Z"
    assert order["patient"] == {
        "id": "4711",
        "issuer": "HOSP",
        "name": "TEST^ALPHA",
        "birth_date": "19800229",
        "sex": "F",
        "state": "ACTIVE",
        "row": order["patient"]["row"],
        "identifiers": [{"value": "4711", "issuer": "HOSP", "type_code": ""}],
    }
    (procedure,) = order["procedures"]
    assert (procedure["code"], procedure["description"]) == ("CTHEAD", "CT head")
    (step,) = procedure["steps"]
    assert (step["station_ae"], step["modality"], step["state"]) == ("CT1", "CT", "COMPLETED")
    assert step["start"] == "2026-03-02T08:30:00Z"  # half past nine in Berlin
    (study,) = order["studies"]
    assert study["study_uid"] == procedure["study_uid"]
    assert (study["series"], study["instances"], study["state"]) == (1, 2, "COMPLETE_ASSUMED")
    assert study["link"]["rule"] == "B1"
    assert study["link"]["reason"]
    assert study["link"]["at"] == "2026-03-02T08:35:00Z"
    (notice,) = order["notices"]
    assert (notice["to"], notice["event"], notice["state"]) == ("ris", "study.completed", "delivered")
    assert (notice["attempts"], notice["answer"]) == (1, "AA")
    assert order["holds"] == order["reports"] == []
    names = [event["name"] for event in order["events"]]
    assert names == [
        "order.placed",
        "step.listed",
        "study.received",
        "study.linked",
        "order.started",
        "order.acquired",
        "study.completed",
    ]
    (message,) = order["messages"]
    assert order["events"][0]["cause"] == {"kind": "message", "id": message["id"]}
    assert (message["control_id"], message["type"], message["state"]) == ("MSG1", "ORM^O01", "applied")


async def test_a_held_study_stands_with_the_order_it_may_belong_to(hospital: Hospital, client: Client) -> None:
    await hospital.order("B2", number="4712", name="TEST^BETA", birth_date="19710305")
    uid = (await get(client, "/api/orders/B2"))["procedures"][0]["study_uid"]
    await hospital.order("A1", control_id="MSG2")
    await hospital.image(1, study_uid=uid, accession_number="")

    order = await get(client, "/api/orders/B2")

    (study,) = order["studies"]
    assert study["state"] == "HELD"
    assert study["link"] is None
    assert study["images_say"]["name"] == "TEST^ALPHA"
    (hold,) = order["holds"]
    assert (hold["danger"], hold["state"], hold["study_uid"]) == ("RED", "open", uid)
    assert hold["reason"]
    assert hold["advice"]
    assert hold["resolved_at"] is None
    assert (await get(client, f"/api/studies/{uid}"))["state"] == "HELD"
    assert [each["study_uid"] for each in (await get(client, "/api/studies?state=HELD"))["studies"]] == [uid]
    assert (await get(client, "/api/studies?state=RECEIVING"))["studies"] == []
    (listed,) = (await get(client, "/api/holds?state=open"))["holds"]
    assert listed["accession_number"] == "B2"
    assert await get(client, f"/api/holds/{listed['id']}") == listed


async def test_studies_without_an_order_can_be_found(hospital: Hospital, client: Client, morning: RowId) -> None:
    await hospital.image(1, study_uid="1.2.3.777", accession_number="", patient_id="99", patient_name="TEST^GAMMA")

    unlinked = (await get(client, "/api/studies?linked=false"))["studies"]
    linked = (await get(client, "/api/studies?linked=true"))["studies"]

    assert [study["study_uid"] for study in unlinked] == ["1.2.3.777"]
    assert [study["linked"] for study in linked] == [True]
    study = await get(client, "/api/studies/1.2.3.777")
    assert study["link"] is None
    assert study["orders"] == []
    assert study["images_say"]["patient_id"] == "99"
    assert [series["instances"] for series in study["series_list"]] == [1]


async def test_a_list_that_no_index_narrows_goes_on_after_a_window(
    hospital: Hospital, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await hospital.image(1, study_uid=f"1.2.3.70{number}", accession_number="", patient_id=f"9{number}")
    await hospital.order()
    await hospital.image(1)
    monkeypatch.setattr(paging, "_WINDOW", 2)

    first = await get(client, "/api/studies?linked=true")
    nothing = await get(client, f"/api/studies?linked=true&after={first['next']}")
    found = await get(client, "/api/studies?linked=false")
    rest = await get(client, f"/api/studies?linked=false&after={found['next']}")

    assert len(first["studies"]) == 1
    assert nothing["studies"] == []
    assert [study["study_uid"] for study in found["studies"]] == ["1.2.3.702"]
    assert [study["study_uid"] for study in rest["studies"]] == ["1.2.3.701", "1.2.3.700"]


async def test_an_order_of_a_merged_patient_shows_the_survivor(hospital: Hospital, client: Client) -> None:
    await hospital.order()
    await hospital.order("B1", control_id="M2", number="4712", name="TEST^BETA")
    with hospital.engine.begin() as connection:
        connection.exec_driver_sql(
            "update patient set state = 'MERGED', merged_into ="
            " (select patient_id from patient_identifier where value = '4712') where name = 'TEST^ALPHA'"
        )

    order = await get(client, "/api/orders/A1")
    by_old_id = await get(client, "/api/orders?patient_id=4711")

    assert (order["patient"]["id"], order["patient"]["name"]) == ("4712", "TEST^BETA")
    assert [each["accession_number"] for each in by_old_id["orders"]] == ["B1", "A1"]


async def test_lists_of_orders_narrow_and_page(hospital: Hospital, client: Client) -> None:
    for number in range(5):
        await hospital.order(f"A{number}", control_id=f"M{number}")
    await hospital.order("B1", control_id="M9", number="4712", name="TEST^BETA")

    everybody = await get(client, "/api/orders")
    first = await get(client, "/api/orders?patient_id=4711&limit=2")
    second = await get(client, f"/api/orders?patient_id=4711&limit=2&after={first['next']}")
    third = await get(client, f"/api/orders?patient_id=4711&limit=2&after={second['next']}")

    assert everybody["total"] == 6
    assert everybody["next"] is None
    assert [order["accession_number"] for order in everybody["orders"]][:2] == ["B1", "A4"]
    assert first["total"] == 5
    assert [order["accession_number"] for page in (first, second, third) for order in page["orders"]] == [
        "A4",
        "A3",
        "A2",
        "A1",
        "A0",
    ]
    assert third["next"] is None
    short = first["orders"][0]
    assert (short["procedures"], short["patient"]["id"], short["patient"]["name"]) == (1, "4711", "TEST^ALPHA")
    assert [each["accession_number"] for each in (await get(client, "/api/orders?accession=A3"))["orders"]] == ["A3"]
    assert [each["accession_number"] for each in (await get(client, "/api/orders?number=PA2"))["orders"]] == ["A2"]
    assert (await get(client, "/api/orders?state=scheduled"))["total"] == 6
    assert (await get(client, "/api/orders?state=CANCELLED"))["orders"] == []
    assert (await get(client, "/api/orders?patient_id=nobody"))["orders"] == []


async def test_an_accession_of_two_issuers_asks_which(hospital: Hospital, client: Client) -> None:
    await hospital.order("A1", accession_issuer="NORTH", placer_number="P1", filler_number="F1")
    await hospital.order(
        "A1", control_id="M2", accession_issuer="SOUTH", placer_number="P2", filler_number="F2", study_uid="1.2.3.9"
    )

    problem = await get(client, "/api/orders/A1", 409)
    order = await get(client, "/api/orders/A1?issuer=SOUTH")

    assert problem["code"] == "WEB-120"
    assert sorted(choice["issuer"] for choice in problem["choices"]) == ["NORTH", "SOUTH"]
    assert (order["accession_issuer"], order["placer_number"]) == ("SOUTH", "P2")
    assert (await get(client, "/api/orders/A1?issuer=EAST", 404))["code"] == "WEB-111"


async def test_an_accession_may_hold_a_slash(hospital: Hospital, client: Client) -> None:
    await hospital.order("2026/17")

    assert (await get(client, "/api/orders/2026%2F17"))["accession_number"] == "2026/17"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/orders?state=LOST", "state"),
        ("/api/orders?limit=0", "limit"),
        ("/api/orders?limit=many", "limit"),
        ("/api/orders?after=x", "after"),
        ("/api/studies?linked=perhaps", "linked"),
        ("/api/holds?danger=green", "danger"),
        ("/api/messages?since=yesterday", "since"),
        ("/api/messages?state=lost", "state"),
        ("/api/notices?state=lost", "state"),
        ("/api/orders?state=HELD&state=PLACED", "state"),
    ],
)
async def test_a_bad_parameter_is_named_without_its_value(client: Client, path: str, name: str) -> None:
    problem = await get(client, path, 400)

    assert (problem["code"], problem["status"], problem["where"]) == ("WEB-110", 400, name)
    assert problem["detail"].startswith(f"parameter {name}: ")
    assert path.rpartition("=")[2] not in problem["detail"].split()


async def test_a_misspelt_filter_is_refused_rather_than_ignored(client: Client) -> None:
    problem = await get(client, "/api/orders?pateint_id=4711", 400)

    assert "patient_id" in problem["detail"]
    assert "pateint" not in problem["detail"]


async def test_a_limit_beyond_the_bound_is_clipped(hospital: Hospital, client: Client) -> None:
    await hospital.order()

    assert len((await get(client, "/api/orders?limit=1000000"))["orders"]) == 1


@pytest.mark.parametrize(
    "path",
    ["/api/orders/NONE", "/api/studies/1.2", "/api/holds/999", "/api/messages/999", "/api/notices/999", "/api/nothing"],
)
async def test_what_is_not_here_is_a_problem(client: Client, path: str) -> None:
    problem = await get(client, path, 404)

    assert problem["code"] == "WEB-111"


async def test_a_message_shows_its_bytes_and_what_it_changed(client: Client, morning: RowId) -> None:
    row = (await get(client, "/api/messages?control_id=MSG1"))["messages"][0]["id"]

    message = await get(client, f"/api/messages/{row}")

    body = base64.b64decode(message["body_base64"])
    assert body.startswith(b"MSH|^~\\&|HIS|RAD|")
    assert message["size"] == len(body)
    assert message["body_text"].splitlines()[1] == "PID|||4711^^^HOSP"
    assert message["segments"][0]["fields"][:3] == ["|", "^~\\&", "HIS"]
    assert message["segments"][1] == {"name": "PID", "fields": ["", "", "4711^^^HOSP"]}
    assert "MSA|AA|MSG1" in message["answer_text"]
    assert message["routes"] == ["orders-from-his"]
    assert [(each["kind"], each["name"]) for each in message["changed"]] == [
        ("patient", "patient.registered"),
        ("order", "order.placed"),
    ]
    assert message["changed"][1]["id"] == morning
    async with client.get(f"/api/messages/{row}/raw") as raw:
        assert raw.content_type == "x-application/hl7-v2+er7"
        assert await raw.read() == body


async def test_a_large_message_is_read_from_the_blob_store(hospital: Hospital, client: Client) -> None:
    body = b"MSH|^~\\&|HIS|RAD|ISTHMUS||20260302||ORU^R01|BIG|P|2.3\rOBX|1|ED|PDF||" + b"A" * 100_000 + b"\r"
    row, _ = await hospital.message(None, control_id="BIG", body=body)

    message = await get(client, f"/api/messages/{row}")

    assert base64.b64decode(message["body_base64"]) == body
    assert message["size"] == len(body)
    async with client.get(f"/api/messages/{row}/raw") as raw:
        assert await raw.read() == body


async def test_bytes_that_are_no_message_are_still_shown(hospital: Hospital, client: Client) -> None:
    row, _ = await hospital.message(
        None, control_id="", body=b"hello \xff", state=MessageState.REFUSED, code="HL7-101", text="must start with MSH"
    )

    message = await get(client, f"/api/messages/{row}")

    assert (message["state"], message["code"]) == ("refused", "HL7-101")
    assert message["body_text"] == "hello \N{REPLACEMENT CHARACTER}"
    assert message["segments"] == message["changed"] == []


async def test_messages_narrow_by_state_and_time(hospital: Hospital, client: Client) -> None:
    await hospital.message(None, control_id="OLD", state=MessageState.REFUSED)
    hospital.clock.pass_(hours=2)
    await hospital.message(None, control_id="NEW")
    await hospital.message(None, control_id="NEWER", state=MessageState.REFUSED)

    async def found(question: str) -> list[str]:
        return [each["control_id"] for each in (await get(client, f"/api/messages{question}"))["messages"]]

    assert await found("") == ["NEWER", "NEW", "OLD"]
    assert await found("?state=refused") == ["NEWER", "OLD"]
    assert await found("?since=2026-03-02T09:00:00Z") == ["NEWER", "NEW"]
    assert await found("?since=2026-03-02T10:00:00%2B01:00&state=refused") == ["NEWER"]
    assert await found("?since=2026-03-02T10:30:00+01:00") == ["NEWER", "NEW"]  # the plus sign not escaped
    first = await get(client, "/api/messages?limit=1")
    assert await found(f"?limit=2&after={first['next']}") == ["NEW", "OLD"]
    refused = await get(client, "/api/messages?limit=1&state=refused")
    assert await found(f"?state=refused&after={refused['next']}") == ["OLD"]


async def test_notices_show_what_was_said_and_answered(hospital: Hospital, client: Client) -> None:
    order_id = await hospital.order()
    await hospital.notice(order_id, DeliveryState.READY)
    row = await hospital.notice(order_id, DeliveryState.DEAD, "AE", "unknown order")

    (dead,) = (await get(client, "/api/notices?to=ris&state=dead"))["notices"]
    notice = await get(client, f"/api/notices/{row}")

    assert dead["id"] == row
    assert notice["accession_number"] == "A1"
    assert notice["segments"][1] == {"name": "ORC", "fields": ["SC"]}
    assert "MSA|AE" in notice["reply_text"]
    assert len((await get(client, "/api/notices"))["notices"]) == 2
    waiting = (await get(client, "/api/notices?state=ready"))["notices"][0]
    assert (waiting["answer"], waiting["attempts"], waiting["last_tried_at"]) == (None, 0, None)


async def test_a_message_of_an_order_of_another_patient_is_held_with_a_reason(
    hospital: Hospital, client: Client
) -> None:
    await hospital.order()
    row, applied = await hospital.message(
        order_fact("A1", number="4712", name="TEST^BETA", birth_date="19710305"), control_id="MSG2"
    )

    assert applied is not None
    assert applied.held
    message = await get(client, f"/api/messages/{row}")
    assert message["state"] == "held"
    assert "hold.raised" in [each["name"] for each in message["changed"]]
    order = await get(client, "/api/orders/A1")
    assert [hold["message_id"] for hold in order["holds"]] == [row]
    assert [each["id"] for each in order["messages"]][-1] == row


async def test_openapi_describes_every_route_of_the_api(hospital: Hospital, client: Client) -> None:
    document = await get(client, "/openapi.json")

    routes = {
        re.sub(r"\{(\w+):[^}]*(\{[^}]*\})?[^}]*\}", r"{\1}", resource.canonical)
        for resource in hospital.application().router.resources()
    }
    assert {path for path in routes if path.startswith("/api")} == set(document["paths"])
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    "path",
    ["/api/orders", "/api/orders/A1", "/api/studies", "/api/holds", "/api/messages", "/api/notices", "/api/overview"],
)
async def test_answers_have_what_openapi_requires(client: Client, morning: RowId, path: str) -> None:
    document = await get(client, "/openapi.json")
    template = "/api/orders/{accession}" if path.endswith("A1") else path
    schema = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    lacking = missing(schema, await get(client, path), document["components"]["schemas"])

    assert lacking == []


def missing(schema, value, schemas, at: str = "") -> list[str]:
    """Return the required properties that `value` lacks."""
    if "$ref" in schema:
        return missing(schemas[schema["$ref"].rpartition("/")[2]], value, schemas, at)
    if "anyOf" in schema:
        return missing(schema["anyOf"][0], value, schemas, at) if value is not None else []
    if schema.get("type") == "array":
        return [each for item in value for each in missing(schema.get("items", {}), item, schemas, f"{at}[]")]
    if schema.get("type") == "object":
        lacking = [f"{at}.{name}" for name in schema.get("required", []) if name not in value]
        present = [(name, of) for name, of in schema.get("properties", {}).items() if name in value]
        return lacking + [each for name, of in present for each in missing(of, value[name], schemas, f"{at}.{name}")]
    return []


async def test_the_api_is_only_read(client: Client) -> None:
    async with client.post("/api/orders") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (405, "WEB-121")
    assert "GET" in answer.headers["Allow"]
