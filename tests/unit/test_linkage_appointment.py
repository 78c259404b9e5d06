"""Appointments: which steps they move, when they may not, and those that wait for their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from engine.core.ids import RowId
from engine.linkage.appointment import AppointmentWorld, Scheduled, apply_appointment
from engine.linkage.appointment_wait import note_appointment, said_before, take_back, wait_for_order
from engine.linkage.change import Act, Change
from engine.linkage.errors import NoAppointmentNumber, UnknownControl, UnknownOrder
from engine.linkage.identity import KnownPatient
from engine.linkage.transition import KnownOrder
from engine.records.fact import AppointmentFact, IdentifierFact, PatientFact, ServiceFact, StepFact
from engine.records.record import Hold
from engine.records.schedule import Appointment
from engine.records.state import AppointmentState, Danger, HoldState, OrderState, StepState
from tests.unit.order_book import NOW, POLICY, Book, following, patient, said

OWNER = KnownPatient(patient=patient())


def change() -> Change:
    rows = count(9000)
    return Change(Act(now=NOW, cause_kind="message", cause_id=RowId(8), new_id=lambda: RowId(next(rows))))


def appointment(event: str = "S12", *, start: str | None = "20260305140000", **more: Any) -> AppointmentFact:
    usual = {"placer_number": "A1", "order_placer_number": "PL1"}
    return AppointmentFact(event=event, start=start, **{**usual, **more})


def scheduled(fact: AppointmentFact, known: KnownOrder, decision: Change | None = None, **more: Any) -> KnownOrder:
    result = apply_appointment(fact, AppointmentWorld(hits=(known,), owner=OWNER), POLICY, decision or change(), **more)
    assert isinstance(result, Scheduled)
    return result.order


# --- moving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["S12", "S13", "S14", "S18", "S19"])
def test_an_appointment_moves_time_room_station_and_staff_and_nothing_else(event: str) -> None:
    known, decision = Book().place(), change()
    fact = appointment(event, location="ROOM 5", station_ae="CT9", station_name="SCANNER 9", performing_physician="X^Y")

    after = scheduled(fact, known, decision)

    assert after.steps == (
        replace(
            known.steps[0],
            start="20260305140000",
            location="ROOM 5",
            station_aes=("CT9",),
            station_name="SCANNER 9",
            performing_physician="X^Y",
        ),
    )
    assert (after.order, after.procedures) == (known.order, known.procedures)
    assert [event.name for event in decision.events] == ["appointment.booked"]


def test_the_same_appointment_again_changes_nothing() -> None:
    after = scheduled(appointment(), Book().place())
    decision = change()

    assert scheduled(appointment(), after, decision) == after
    assert not decision.changed
    assert not decision.events


@pytest.mark.parametrize("event", ["S15", "S16", "S17"])
def test_a_cancelled_appointment_leaves_the_order_without_a_time(event: str) -> None:
    known, decision = Book().place(), change()

    after = scheduled(appointment(event), known, decision)

    assert (after.order.state, after.steps[0].state, after.steps[0].start) == (
        OrderState.SCHEDULED,
        StepState.SCHEDULED,
        "",
    )
    assert [event.name for event in decision.events] == ["appointment.cancelled"]


def test_a_cancelled_appointment_cancels_the_order_where_the_site_says_so() -> None:
    after = scheduled(appointment("S15"), Book().place(), cancels_order=True)

    assert (after.order.state, after.steps[0].state) == (OrderState.CANCELLED, StepState.CANCELLED)


def test_who_does_not_come_keeps_the_order_without_a_time_even_there() -> None:
    decision = change()

    after = scheduled(appointment("S26"), Book().place(), decision, cancels_order=True)

    assert (after.order.state, after.steps[0].start) == (OrderState.SCHEDULED, "")
    assert [event.name for event in decision.events] == ["appointment.missed"]


@pytest.mark.parametrize(
    ("status", "event"),
    [("CANCELLED", "appointment.cancelled"), ("DELETED", "appointment.cancelled"), ("NOSHOW", "appointment.missed")],
)
def test_the_status_outweighs_an_event_that_books(status: str, event: str) -> None:
    decision = change()

    after = scheduled(appointment("S14", status=status), Book().place(), decision)

    assert (after.steps[0].start, [each.name for each in decision.events]) == ("", [event])


def test_started_means_that_the_patient_is_here() -> None:
    assert scheduled(appointment("S14", status="Started"), Book().place()).steps[0].state is StepState.ARRIVED


def test_a_new_appointment_gives_the_time_back() -> None:
    without = scheduled(appointment("S15"), Book().place())

    assert scheduled(appointment("S12"), without).steps[0].start == "20260305140000"


@pytest.mark.parametrize("before", [("SC", "IP"), ("XO", "CM"), ("CA", "")])
def test_a_step_that_has_begun_or_ended_stays(before: tuple[str, str]) -> None:
    book, decision = Book(), change()
    book.place()
    known = book.place(following(*before))

    assert scheduled(appointment(), known, decision) == known
    assert decision.declined
    assert decision.notes == ["not applied to a step that has begun or ended"]


def test_a_station_completes_a_step_that_lacked_one() -> None:
    book, decision = Book(), change()
    book.place(said(modality="US"))
    (known,) = book.orders.values()

    after = scheduled(appointment(station_ae="US1"), known, decision)

    assert (after.steps[0].state, after.steps[0].missing) == (StepState.SCHEDULED, "")
    assert [each.state for each in decision.changed.values() if isinstance(each, Hold)] == [HoldState.RESOLVED]


# --- which steps -----------------------------------------------------------------------------------------------------


def two_procedures() -> KnownOrder:
    return Book().place(said(), said(code="MRHEAD"))


def test_services_are_told_apart_by_code() -> None:
    services = (
        ServiceFact(code="CTHEAD", start="20260305140000"),
        ServiceFact(code="MRHEAD", start="20260305150000"),
    )

    after = scheduled(appointment(start=None, services=services), two_procedures())

    assert [step.start for step in after.steps] == ["20260305140000", "20260305150000"]


def test_one_service_of_two_moves_only_its_own() -> None:
    after = scheduled(appointment(code="MRHEAD"), two_procedures())

    assert [step.start for step in after.steps] == ["20260302100000", "20260305140000"]


def test_without_a_code_the_whole_order_is_meant() -> None:
    after = scheduled(appointment(), two_procedures())

    assert {step.start for step in after.steps} == {"20260305140000"}


def test_a_code_that_none_of_several_procedures_has_needs_a_person() -> None:
    known = two_procedures()

    result = apply_appointment(
        appointment(code="OTHER"), AppointmentWorld(hits=(known,), owner=OWNER), POLICY, change()
    )

    assert isinstance(result, Hold)
    assert result.code == "appointment_of_which_step"


def test_the_only_procedure_is_meant_under_whatever_code() -> None:
    assert scheduled(appointment(code="BOOKING CODE"), Book().place()).steps[0].start == "20260305140000"


def test_several_steps_of_one_service_keep_their_stations() -> None:
    steps = (StepFact(sps_id="S1", station_ae="CT1"), StepFact(sps_id="S2", station_ae="CT2"))
    known = Book().place(said(steps=steps))

    after = scheduled(appointment(station_ae="CT9"), known)

    assert [(step.start, step.station_aes) for step in after.steps] == [
        ("20260305140000", ("CT1",)),
        ("20260305140000", ("CT2",)),
    ]


# --- which order -----------------------------------------------------------------------------------------------------


def test_without_a_number_the_one_order_with_this_service_on_this_day_is_meant() -> None:
    book = Book()
    known = book.place()
    other = book.place(said(placer_number="PL2", filler_number="FI2", accession_number="ACC2", code="MRHEAD"))
    fact = appointment(order_placer_number=None, code="CTHEAD", start="20260302160000")

    result = apply_appointment(fact, AppointmentWorld(nearby=(known, other)), POLICY, change())

    assert isinstance(result, Scheduled)
    assert (result.order.order.id, result.order.steps[0].start) == (known.order.id, "20260302160000")


@pytest.mark.parametrize(
    ("code", "start", "orders"),
    [
        pytest.param("CTHEAD", "20260303160000", 1, id="another day"),
        pytest.param("MRHEAD", "20260302160000", 1, id="another service"),
        pytest.param(None, "20260302160000", 1, id="no service"),
        pytest.param("CTHEAD", None, 1, id="no time"),
        pytest.param("CTHEAD", "20260302160000", 2, id="two that fit"),
    ],
)
def test_anything_less_than_one_hit_waits(code: str | None, start: str | None, orders: int) -> None:
    book = Book()
    for number in range(orders):
        numbers = {name: f"{name}{number}" for name in ("placer_number", "filler_number", "accession_number")}
        book.place(said(**numbers))
    fact = appointment(order_placer_number=None, code=code, start=start)

    world = AppointmentWorld(nearby=tuple(book.orders.values()))

    assert apply_appointment(fact, world, POLICY, change()) is None


def test_numbers_of_several_orders_need_a_person() -> None:
    book = Book()
    hits = (book.place(), book.place(said(placer_number="PL2", filler_number="FI2", accession_number="ACC2")))

    result = apply_appointment(appointment(), AppointmentWorld(hits=hits), POLICY, change())

    assert isinstance(result, Hold)
    assert result.code == "numbers_of_several_orders"


@pytest.mark.parametrize(
    ("claimed", "name", "is_held"),
    [
        pytest.param(1, "TEST^ALPHA", False, id="the same"),
        pytest.param(2, "TEST^ALPHA", True, id="another patient's identifier"),
        pytest.param(None, "TEST^ALPHA", False, id="an identifier nobody knows"),
        pytest.param(None, "OTHER^NAME", True, id="another name"),
        pytest.param(1, None, False, id="no name"),
    ],
)
def test_an_appointment_for_somebody_elses_order_is_held(claimed: int | None, name: str | None, is_held: bool) -> None:
    person = PatientFact(identifiers=(IdentifierFact(value="4711"),), name=name)
    world = AppointmentWorld(
        hits=(Book().place(),),
        owner=OWNER,
        claimed=() if claimed is None else (KnownPatient(patient=patient(claimed)),),
    )

    result = apply_appointment(appointment(patient=person), world, POLICY, change())

    assert isinstance(result, Hold) is is_held
    if isinstance(result, Hold):
        assert (result.code, result.danger) == ("appointment_of_another_patient", Danger.RED)


def test_an_event_outside_the_table_is_refused() -> None:
    with pytest.raises(UnknownControl):
        apply_appointment(appointment("S25"), AppointmentWorld(), POLICY, change())


# --- waiting ---------------------------------------------------------------------------------------------------------


def waiting(fact: AppointmentFact) -> tuple[Appointment, Hold]:
    decision = change()
    hold = wait_for_order(fact, None, None, decision, patient_id=None, until=NOW + timedelta(hours=24))
    (kept,) = (record for record in decision.new.values() if isinstance(record, Appointment))
    return (kept, hold)


def test_an_appointment_that_waits_says_later_what_it_said() -> None:
    person = PatientFact(
        identifiers=(IdentifierFact(value="4711", issuer="HOSP"),), name="TEST^ALPHA", birth_date="", sex="F"
    )
    fact = appointment(services=(ServiceFact(code="CT", start="20260305140000"),), patient=person)

    kept, hold = waiting(fact)

    assert said_before(kept) == fact
    assert (kept.state, kept.waits_until) == (AppointmentState.WAITING, NOW + timedelta(hours=24))
    assert (hold.code, hold.danger) == ("appointment_without_order", Danger.YELLOW)


def test_a_waiting_appointment_that_is_moved_waits_on_under_one_hold() -> None:
    kept, hold = waiting(appointment())
    decision = change()

    wait_for_order(appointment("S13", start="20260306"), kept, hold, decision, patient_id=None, until=NOW)

    (after,) = decision.changed.values()
    assert isinstance(after, Appointment)
    assert (after.id, said_before(after).start, after.hold_id) == (kept.id, "20260306", hold.id)
    assert not decision.holds


def test_a_waiting_appointment_ends_its_wait_when_the_order_comes() -> None:
    kept, hold = waiting(appointment())
    decision = change()
    known = Book().place()

    note_appointment(appointment(), kept, Scheduled(order=known, state=AppointmentState.BOOKED), hold, decision)

    after, resolved = decision.changed[kept.id], decision.changed[hold.id]
    assert isinstance(after, Appointment)
    assert (after.state, after.order_id, after.waits_until) == (AppointmentState.BOOKED, known.order.id, None)
    assert isinstance(resolved, Hold)
    assert resolved.state is HoldState.RESOLVED


def test_a_waiting_appointment_can_be_cancelled() -> None:
    kept, hold = waiting(appointment())
    decision = change()

    take_back(appointment("S15"), kept, hold, decision)

    after = decision.changed[kept.id]
    assert isinstance(after, Appointment)
    assert (after.state, after.waits_until) == (AppointmentState.CANCELLED, None)


def test_cancelling_what_nobody_booked_is_refused() -> None:
    with pytest.raises(UnknownOrder):
        take_back(appointment("S15"), None, None, change())


def test_an_appointment_that_nobody_could_find_again_is_refused() -> None:
    with pytest.raises(NoAppointmentNumber):
        wait_for_order(appointment(order_placer_number=None), None, None, change(), patient_id=None, until=NOW)


def test_an_appointment_without_a_number_of_its_own_is_not_kept_once_applied() -> None:
    decision = change()
    known = Book().place()

    note_appointment(
        appointment(placer_number=None),
        None,
        Scheduled(order=known, state=AppointmentState.BOOKED),
        None,
        decision,
    )

    assert not decision.new
