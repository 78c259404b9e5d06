"""What registration does to a visit, and what that means for orders: a table that reads like the sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.recency import recorded
from engine.linkage.transition import KnownOrder
from engine.linkage.visit import EFFECTS, follow_patient, note_arrival, note_visit, register_visit
from engine.records.explicit import NULL
from engine.records.fact import VisitFact
from engine.records.record import ImagingOrder, RequestedProcedure, ScheduledStep, Visit
from engine.records.state import OrderState, StepState, VisitState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TODAY = "20260302"
ROWS: Iterator[int] = count(1000)
PATIENT = RowId(1)
VISIT = Visit(
    id=RowId(50),
    patient_id=PATIENT,
    number="V1",
    issuer="HOSP",
    class_code="O",
    location="AMB1",
    admitted="20260301",
    registered_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    cause_id=RowId(7),
)
SAID = VisitFact(number="V1", issuer="HOSP", class_code="I", location="W2", attending="TEST^DOCTOR")


def change() -> Change:
    return Change(Act(now=NOW, cause_kind="message", cause_id=RowId(8), new_id=lambda: RowId(next(ROWS))))


def registered(said: VisitFact, event: str, known: Visit | None = VISIT, at: str = "20260302080000") -> Visit:
    visit = register_visit(said, event, known, PATIENT, change(), said_at=recorded(at, NOW), occurred=at)
    assert visit is not None
    return visit


A, C, D, P = VisitState.ACTIVE, VisitState.CANCELLED, VisitState.DISCHARGED, VisitState.PLANNED


@pytest.mark.parametrize(
    ("event", "new", "active", "planned", "discharged", "cancelled"),
    [
        ("A01", A, A, A, A, A),
        ("A02", A, A, P, D, C),
        ("A03", D, D, D, D, D),
        ("A04", A, A, A, A, A),
        ("A05", P, A, P, D, P),
        ("A06", A, A, P, D, C),
        ("A07", A, A, P, D, C),
        ("A08", A, A, P, D, C),
        ("A09", A, A, P, D, C),
        ("A10", A, A, P, D, C),
        ("A11", C, C, C, C, C),
        ("A12", A, A, P, D, C),
        ("A13", A, A, A, A, A),
        ("A38", C, C, C, C, C),
    ],
)
def test_state_after_each_event(
    event: str, new: VisitState, active: VisitState, planned: VisitState, discharged: VisitState, cancelled: VisitState
) -> None:
    wanted = {None: new, A: active, P: planned, D: discharged, C: cancelled}

    found = {
        before: registered(SAID, event, replace(VISIT, state=before) if before else None).state for before in wanted
    }

    assert found == wanted


def test_every_event_is_in_the_table_above_and_tells_something() -> None:
    assert len(EFFECTS) == 14
    assert all(effect.name.startswith("visit.") for effect in EFFECTS.values())


def test_an_admission_has_its_own_time_or_that_of_the_event() -> None:
    assert registered(replace(SAID, admitted="20260302070000"), "A01", None).admitted == "20260302070000"
    assert registered(SAID, "A01", None).admitted == "20260302080000"
    assert registered(SAID, "A02", None).admitted == ""
    assert registered(SAID, "A01").admitted == "20260301"


def test_a_discharge_has_its_own_time_or_that_of_the_event_and_none_once_it_is_cancelled() -> None:
    assert registered(replace(SAID, discharged="20260302073000"), "A03").discharged == "20260302073000"
    gone = registered(SAID, "A03")
    assert gone.discharged == "20260302080000"
    assert registered(SAID, "A13", gone).discharged == ""


def test_registration_replaces_keeps_and_erases() -> None:
    visit = registered(VisitFact(number="V1", issuer="HOSP", location=NULL, attending="TEST^DOCTOR"), "A08")

    assert (visit.class_code, visit.location, visit.attending) == ("O", "", "TEST^DOCTOR")


@pytest.mark.parametrize(("event", "code"), [("A06", "I"), ("A07", "O"), ("A08", "E")])
def test_a_change_of_class_may_leave_pv1_2_empty(event: str, code: str) -> None:
    assert registered(replace(SAID, class_code=None), event, replace(VISIT, class_code="E")).class_code == code


def test_what_was_recorded_earlier_is_not_applied_and_the_sender_is_told() -> None:
    done = change()

    visit = register_visit(SAID, "A02", VISIT, PATIENT, done, said_at=recorded("20260301115959", NOW))

    assert visit == VISIT
    assert not done.changed
    assert done.notes == ["not applied to the visit: what is kept of it was recorded later"]


def test_the_same_again_only_moves_the_time_on() -> None:
    done = change()
    said = VisitFact(number="V1", issuer="HOSP", location="AMB1")

    visit = register_visit(said, "A08", VISIT, PATIENT, done, said_at=recorded("20260302080000", NOW))

    assert visit == replace(VISIT, registered_at=datetime(2026, 3, 2, 8, tzinfo=UTC))
    assert list(done.changed.values()) == [visit]
    assert done.events == []


def test_the_same_again_without_a_time_changes_nothing() -> None:
    done = change()

    assert register_visit(VisitFact(number="V1", issuer="HOSP"), "A08", VISIT, PATIENT, done) == VISIT
    assert (done.changed, done.events) == ({}, [])


def test_without_a_time_nothing_is_late_and_nothing_is_remembered() -> None:
    done = change()

    visit = register_visit(SAID, "A02", VISIT, PATIENT, done)

    assert visit is not None
    assert (visit.location, visit.registered_at) == ("W2", VISIT.registered_at)
    assert [event.name for event in done.events] == ["visit.transferred"]


@pytest.mark.parametrize("event", ["A28", "A31", ""])
def test_an_event_of_the_person_leaves_the_visit_alone(event: str) -> None:
    assert register_visit(SAID, event, VISIT, PATIENT, change()) == VISIT


def test_without_a_number_there_is_no_visit() -> None:
    done = change()

    assert register_visit(VisitFact(location="W2"), "A01", None, PATIENT, done) is None
    assert register_visit(None, "A01", None, PATIENT, done) is None
    assert not done.new


@pytest.mark.parametrize("is_registration", [True, False])
def test_a_visit_of_another_patient_is_left_and_the_sender_told(
    is_registration: bool,  # a column of the table
) -> None:
    done = change()

    if is_registration:
        visit = register_visit(SAID, "A02", VISIT, RowId(2), done)
    else:
        visit = note_visit(SAID, VISIT, RowId(2), done)

    assert visit == VISIT
    assert done.notes == ["the visit number is that of another patient's visit, which stays as it was"]


def test_a_number_that_is_history_does_not_describe_the_visit_it_leads_to() -> None:
    done = change()

    assert register_visit(replace(SAID, number="V0"), "A02", VISIT, PATIENT, done) == VISIT
    assert note_visit(replace(SAID, number="V0"), VISIT, PATIENT, done) == VISIT
    assert (done.changed, done.notes) == ({}, [])


def known_order(row: int = 100, *, visit: str = "V1", start: str = TODAY, state: str = "SCHEDULED") -> KnownOrder:
    order = ImagingOrder(
        id=RowId(row),
        patient_id=PATIENT,
        state=OrderState.SCHEDULED,
        admission_id=visit,
        patient_location="AMB1",
        placed_at=NOW,
        cause_id=RowId(7),
    )
    procedure = RequestedProcedure(
        id=RowId(row + 1), order_id=order.id, rp_id="1", study_uid="1.2", state=order.state, cause_id=RowId(7)
    )
    steps = tuple(
        ScheduledStep(
            id=RowId(row + number),
            procedure_id=procedure.id,
            sps_id=str(number),
            state=StepState(state) if number == 2 else StepState.SCHEDULED,
            start=start + "093000" if number == 2 else "20260401",
            cause_id=RowId(7),
        )
        for number in (2, 3)
    )
    return KnownOrder(order=order, procedures=(procedure,), steps=steps)


def test_orders_of_the_visit_follow_the_patient() -> None:
    done = change()
    moved = replace(VISIT, location="W2")

    (after,) = follow_patient(VISIT, moved, [known_order(), known_order(200, visit="V9")], done)

    assert after.order.patient_location == "W2"
    assert list(done.changed.values()) == [after.order]
    assert follow_patient(VISIT, VISIT, [known_order()], change()) == ()
    assert follow_patient(None, replace(VISIT, location="AMB1"), [known_order()], change()) == ()


def test_the_step_of_today_has_its_patient_there() -> None:
    done = change()

    (after,) = note_arrival("A04", VISIT, [known_order()], TODAY, done)

    assert [step.state for step in after.steps] == [StepState.ARRIVED, StepState.SCHEDULED]
    assert [(event.name, event.step_id) for event in done.events] == [("step.arrived", after.steps[0].id)]


@pytest.mark.parametrize(
    ("orders", "visit"),
    [
        ([], VISIT),
        ([known_order(start="20260303")], VISIT),
        ([known_order(visit="V9")], VISIT),
        ([known_order(visit=""), known_order(200, visit="")], VISIT),
        ([known_order(), known_order(200)], VISIT),
        ([known_order(visit="V8"), known_order(200, visit="V9")], None),
        ([known_order(state="STARTED")], VISIT),
    ],
)
def test_an_arrival_for_which_it_is_not_clear_moves_nothing(orders: list[KnownOrder], visit: Visit | None) -> None:
    done = change()

    assert note_arrival("A10", visit, orders, TODAY, done) == ()
    assert not done.changed


@pytest.mark.parametrize(
    ("orders", "visit", "row"),
    [
        ([known_order(), known_order(200, visit="")], VISIT, 100),
        ([known_order(visit="")], VISIT, 100),
        ([known_order(visit="V9")], None, 100),
        ([known_order(visit="V9"), known_order(200, visit="")], VISIT, 200),
    ],
)
def test_an_arrival_for_which_it_is_clear(orders: list[KnownOrder], visit: Visit | None, row: int) -> None:
    (after,) = note_arrival("A04", visit, orders, TODAY, change())

    assert after.order.id == row


def test_who_did_not_arrive_after_all_is_awaited_again() -> None:
    done = change()

    (after,) = note_arrival("A11", VISIT, [known_order(state="ARRIVED")], TODAY, done)

    assert after.steps[0].state is StepState.SCHEDULED
    assert [event.name for event in done.events] == ["step.arrival_cancelled"]


def test_other_events_are_no_arrival() -> None:
    assert note_arrival("A08", VISIT, [known_order()], TODAY, change()) == ()
