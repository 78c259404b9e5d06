"""Appointments on a real database: they move the worklist, or wait a day for their order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.store import table
from tests.contract.order_desk import SAMPLES, OrderDesk, opened


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[OrderDesk]:
    async with opened(tmp_path) as desk:
        yield desk


async def when_and_where(desk: OrderDesk) -> list[tuple[Any, ...]]:
    """Return date, time and room of what is on the worklist."""
    steps = [item["ScheduledProcedureStepSequence"][0] for item in await desk.on_worklist()]
    keys = ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "ScheduledProcedureStepLocation")
    return [tuple(step[key] for key in keys) for step in steps]


async def test_booking_and_moving_show_on_the_worklist(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")

    booked = await desk.send_sample("siu-s12")
    assert booked.get("MSA-1") == "AA"
    assert await when_and_where(desk) == [("20261123", "101500", "ROOM 5")]

    await desk.send_sample("siu-s13")
    assert await when_and_where(desk) == [("20261124", "081500", "ROOM 6")]
    assert [each["state"] for each in await desk.rows(table.appointment)] == ["BOOKED"]


async def test_an_appointment_makes_no_order_no_patient_and_no_step(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")
    tables = (table.patient, table.imaging_order, table.requested_procedure, table.scheduled_step)
    before = [len(await desk.rows(each)) for each in tables]

    await desk.send_sample("siu-s12")

    assert [len(await desk.rows(each)) for each in tables] == before


async def test_a_cancelled_appointment_is_found_by_its_own_number_and_leaves_the_order(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")
    await desk.send_sample("siu-s12")

    answer = await desk.send_sample("siu-s15")

    assert answer.get("MSA-1") == "AA"
    assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["SCHEDULED"]
    assert await desk.on_worklist() == []
    assert [each["state"] for each in await desk.rows(table.appointment)] == ["CANCELLED"]
    await desk.send_sample("siu-s13")
    assert await when_and_where(desk) == [("20261124", "081500", "ROOM 6")]


async def test_a_cancelled_appointment_cancels_its_order_where_the_route_says_so(tmp_path: Path) -> None:
    route = (SAMPLES.parents[1] / "routes" / "schedule-from-his.yaml").read_text() + "siu_cancel_cancels_order: true\n"
    async with opened(tmp_path, schedule_from_his=route) as desk:
        await desk.send_sample("orm-o01-zds")
        await desk.send_sample("siu-s12")

        await desk.send_sample("siu-s15")

        assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["CANCELLED"]


async def test_who_does_not_come_loses_the_time_and_keeps_the_order(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")
    await desk.send_sample("siu-s12")

    assert (await desk.send_sample("siu-s26")).get("MSA-1") == "AA"

    assert [each["state"] for each in await desk.rows(table.imaging_order)] == ["SCHEDULED"]
    assert [each["state"] for each in await desk.rows(table.appointment)] == ["MISSED"]
    assert "appointment.missed" in {event["name"] for event in await desk.rows(table.event)}


async def test_started_marks_the_patient_as_arrived(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")

    await desk.send_sample("siu-s14-started")

    assert [each["state"] for each in await desk.rows(table.scheduled_step)] == ["ARRIVED"]


async def test_an_appointment_before_its_order_waits_and_is_applied_when_that_comes(desk: OrderDesk) -> None:
    answer = await desk.send_sample("siu-s12")
    assert (answer.get("MSA-1"), answer.get("ERR-4")) == ("AA", "W")
    assert [each["state"] for each in await desk.rows(table.message)] == ["held"]
    assert [each["code"] for each in await desk.rows(table.hold)] == ["appointment_without_order"]

    desk.turn(hours=23)
    await desk.send_sample("orm-o01-zds")

    assert await when_and_where(desk) == [("20261123", "101500", "ROOM 5")]
    assert [each["state"] for each in await desk.rows(table.hold)] == ["resolved"]
    (kept,) = await desk.rows(table.appointment)
    assert (kept["state"], kept["waits_until"]) == ("BOOKED", None)
    assert kept["order_id"] == (await desk.rows(table.imaging_order))[0]["id"]


async def test_after_a_day_a_person_must_look(desk: OrderDesk) -> None:
    await desk.send_sample("siu-s12")

    desk.turn(hours=25)
    await desk.send_sample("orm-o01-zds")

    assert await when_and_where(desk) == [("20261121", "1000", "")]
    assert [each["state"] for each in await desk.rows(table.hold)] == ["open"]


async def test_a_waiting_appointment_is_moved_and_cancelled_before_the_order_comes(desk: OrderDesk) -> None:
    await desk.send_sample("siu-s12")
    await desk.send_sample("siu-s13")
    assert len(await desk.rows(table.hold)) == 1

    assert (await desk.send_sample("siu-s15")).get("MSA-1") == "AA"
    await desk.send_sample("orm-o01-zds")

    assert await when_and_where(desk) == [("20261121", "1000", "")]
    assert [each["state"] for each in await desk.rows(table.hold)] == ["resolved"]


async def test_without_an_order_number_patient_service_and_day_lead_to_the_order(desk: OrderDesk) -> None:
    await desk.send_sample("siu-s12-no-order")
    order = (
        (SAMPLES / "orm-o01.hl7").read_bytes().decode().replace("ORC|NW|P1002", "ORC|NW|P1002|||||^^^20261121090000")
    )
    order = order.rstrip("\r") + "||||||DX\r"

    assert await desk.code(order) == "AA"

    assert await when_and_where(desk) == [("20261121", "140000", "ROOM 1")]


async def test_an_appointment_of_nobody_is_refused(desk: OrderDesk) -> None:
    answer = await desk.send_sample("siu-s12-nobody")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "101")


async def test_cancelling_what_nobody_booked_is_refused(desk: OrderDesk) -> None:
    answer = await desk.send_sample("siu-s15")

    assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AE", "204")


async def test_a_blocked_slot_is_kept_and_does_nothing(desk: OrderDesk) -> None:
    assert (await desk.send_sample("siu-s23")).get("MSA-1") == "AA"

    assert [each["state"] for each in await desk.rows(table.message)] == ["filtered"]


async def test_an_appointment_for_an_order_of_another_patient_is_held(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")
    await desk.send_sample("orm-o01")
    alpha, gamma = "PID|1||4711^^^HOSP^MR||TEST^ALPHA^^^DR||19800229|F", "PID|||4713||TEST^GAMMA||19660606|M"
    body = (SAMPLES / "siu-s12.hl7").read_bytes().decode().replace(alpha, gamma)

    answer = await desk.send(body)

    assert answer.get("MSA-1") == "AA"
    assert [each["code"] for each in await desk.rows(table.hold)] == ["appointment_of_another_patient"]
    assert ("20261123", "101500", "ROOM 5") not in await when_and_where(desk)


async def test_the_same_appointment_under_a_new_control_id_changes_nothing(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")
    await desk.send_sample("siu-s12")
    events = len(await desk.rows(table.event))

    await desk.send((SAMPLES / "siu-s12.hl7").read_bytes().decode().replace("|SIU0001|", "|SIU0099|"))

    assert len(await desk.rows(table.event)) == events
    assert len(await desk.rows(table.appointment)) == 1
