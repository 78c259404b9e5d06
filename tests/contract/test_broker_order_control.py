"""Orders that belong together, on a real database: replaced, with children, refused at the right place; senders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.store import table
from tests.contract.order_desk import OrderDesk, opened
from tests.peers.his import order

HEAD = (
    "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121080000||ORM^O01|{0}|P|2.5.1\r"
    "PID|1||4711^^^HOSP^MR||TEST^ALPHA||19800229|F\r"
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[OrderDesk]:
    async with opened(tmp_path) as desk:
        yield desk


async def test_a_replaced_order_leaves_the_worklist_and_the_new_one_stands_there(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")

    answer = await desk.send_sample("orm-o01-replace")

    assert answer.get("MSA-1") == "AA"
    old, new = await desk.rows(table.imaging_order)
    assert (old["state"], new["state"]) == ("REPLACED", "SCHEDULED")
    (link,) = await desk.rows(table.order_replacement)
    assert (link["old_id"], link["new_id"]) == (old["id"], new["id"])
    assert [item["AccessionNumber"] for item in await desk.on_worklist()] == ["ACC1020"]
    assert "order.replaced" in {event["name"] for event in await desk.rows(table.event)}


async def test_a_replaced_order_without_its_replacement_changes_nothing(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")

    answer = await desk.send(HEAD.format("R2") + "ORC|RP|P1001^HIS|F1001^RIS\rOBR|1|P1001^HIS||71260\r")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2")) == ("AE", "100", "ORC^1^1")
    assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["SCHEDULED"]


async def test_a_replacement_whose_order_is_unknown_places_nothing(desk: OrderDesk) -> None:
    answer = await desk.send_sample("orm-o01-replace")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "204")
    assert await desk.rows(table.imaging_order) == []


async def test_children_are_procedures_of_their_parents_order(desk: OrderDesk) -> None:
    answer = await desk.send_sample("orm-o01-parent-child")

    assert answer.get("MSA-1") == "AA"
    assert len(await desk.rows(table.imaging_order)) == 1
    assert [each["rp_id"] for each in await desk.rows(table.requested_procedure)] == ["RP1021A", "RP1021B"]
    items = await desk.on_worklist()
    assert [item["PlacerOrderNumberImagingServiceRequest"] for item in items] == ["P1021A", "P1021B"]
    assert {item["AccessionNumber"] for item in items} == {"ACC1021"}


async def test_a_refusal_names_the_group_that_is_wrong_and_nothing_of_the_message_stays(desk: OrderDesk) -> None:
    answer = await desk.send_sample("orm-o01-no-procedure")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "101")
    (kept,) = await desk.rows(table.message)
    assert (kept["code"], kept["place"], kept["text"]) == ("HL7-111", "OBR^2^4", "OBR-4 is required")
    assert await desk.rows(table.imaging_order) == []


@pytest.mark.parametrize(
    ("name", "code", "place"),
    [
        ("omi-o23-uids-differ", "102", "IPC^1^3"),
        ("orm-o01-one-zds-for-two", "100", "ZDS^1"),
        ("orm-o01-bad-uid", "102", "ZDS^1^1"),
    ],
)
async def test_study_uids_that_say_too_little_or_too_much_are_refused(
    desk: OrderDesk, name: str, code: str, place: str
) -> None:
    answer = await desk.send_sample(name)

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", code)
    assert (await desk.rows(table.message))[0]["place"] == place


async def test_an_omi_with_three_ipc_is_cancelled_whole_or_step_by_step(desk: OrderDesk) -> None:
    await desk.send_sample("omi-o23-three-steps")
    assert len(await desk.on_worklist()) == 3
    head = HEAD.format("C1").replace("ORM^O01", "OMI^O23")
    ids = "|RP2001|1.2.826.0.1.3680043.8.498.2001|"

    step = f"IPC|ACC2001^RIS{ids}SPS2001B|PT\r"
    await desk.send(head + "ORC|CA|P2001^HIS|F2001^RIS\rOBR|1|P2001^HIS|F2001^RIS|78815\r" + step)
    steps = [item["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"] for item in await desk.on_worklist()]
    assert steps == ["SPS2001A", "SPS2001C"]

    await desk.send(head.replace("|C1|", "|C2|") + "ORC|CA|P2001^HIS|F2001^RIS\r")
    assert await desk.on_worklist() == []
    assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["CANCELLED"]


async def test_a_cancel_after_the_start_asks_a_person_and_says_so(desk: OrderDesk) -> None:
    await desk.send(order())
    await desk.send(order(control="SC", status="IP", control_id="M2"))

    answer = await desk.send(order(control="CA", status="CA", control_id="M3").replace("|P|2.3.1", "|P|2.5.1"))

    assert (answer.get("MSA-1"), answer.get("ERR-4")) == ("AA", "W")
    assert answer.get("ERR-8") == "not applied: the order is IN_PROGRESS; a person decides"
    assert [hold["code"] for hold in await desk.rows(table.hold)] == ["order_cancel_after_in_progress"]
    assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["IN_PROGRESS"]


async def test_what_a_modality_must_know_of_the_patient_is_on_the_worklist(desk: OrderDesk) -> None:
    answer = await desk.send_sample("orm-o01-clinical")

    assert answer.get("MSA-1") == "AA"
    (item,) = await desk.on_worklist()
    wanted = {
        "PatientWeight": "69.989",
        "PatientSize": "1.72",
        "PregnancyStatus": "3",
        "LastMenstrualDate": "20261001",
        "PatientState": "Isolation",
        "MedicalAlerts": ["Pacemaker & hearing aid"],
        "Allergies": ["Iodine contrast", "Penicillin", "LATEX"],
        "SpecialNeeds": "Wheelchair or stretcher bound, Pregnant",
        "AdmittingDiagnosesDescription": ["Acute appendicitis"],
        "PatientComments": "Speaks little\nEnglish",
        "ImagingServiceRequestComments": "Call the ward first",
        "RequestedProcedureComments": "With oral contrast\nif possible\nSays so herself",
        "PatientTransportArrangements": "WHLC",
        "ConfidentialityConstraintOnPatientDataDescription": "VIP",
    }
    assert {name: item[name] for name in wanted} == wanted


# --- one sender's ways -----------------------------------------------------------------------------------------------

ROUTE = """
route: orders-from-his
from:  {mllp: his}
when:  MSH-9.1 in ['ORM', 'OMI', 'OMG']
map:   order-from-hl7
apply: order
control: {XX/*: ignore}
senders:
  HIS/HOSP: {control: {XO/CA: cancel, NW/*: place-or-update}}
"""


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[OrderDesk]:
    async with opened(tmp_path, orders_from_his=ROUTE) as desk:
        yield desk


async def test_the_route_says_what_a_sender_means(own: OrderDesk) -> None:
    await own.send(order())

    assert await own.code(order(control_id="M2", start="20261121110000")) == "AA"
    assert [each["start"] for each in await own.rows(table.scheduled_step)] == ["20261121110000"]
    assert await own.code(order(control="XO", status="CA", control_id="M3")) == "AA"
    assert [each["state"] for each in await own.rows(table.imaging_order)] == ["CANCELLED"]
    assert await own.code(order(control_id="M4", start="20261122110000")) == "AA"
    assert [each["state"] for each in await own.rows(table.imaging_order)] == ["SCHEDULED"]


async def test_another_sender_of_the_route_means_what_the_table_says(own: OrderDesk) -> None:
    def other(text: str) -> str:
        return text.replace("MSH|^~\\&|HIS|HOSP|", "MSH|^~\\&|RIS|HOSP|")

    await own.send(other(order()))

    assert await own.code(other(order(control_id="M2", start="20261121110000"))) == "AE"
    assert await own.code(other(order(control="XO", status="CA", control_id="M3"))) == "AE"


async def test_what_a_route_leaves_alone_is_kept_and_does_nothing(own: OrderDesk) -> None:
    assert await own.code(order(control="XX")) == "AA"

    assert [each["state"] for each in await own.rows(table.message)] == ["filtered"]
    assert await own.rows(table.patient) == []
