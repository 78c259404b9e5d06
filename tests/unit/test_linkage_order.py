"""Order messages: placing, repeating, changing, moving and refusing, against a small book of known orders."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from engine.core.ids import RowId
from engine.dicom.uid import derived_uid
from engine.linkage.errors import DuplicateOrder, NoOrderNumber, NoProcedure, UnknownControl, UnknownOrder
from engine.linkage.policy import CodeEntry
from engine.linkage.state_table import OrderAction
from engine.linkage.transition import move_order
from engine.records.explicit import NULL
from engine.records.fact import OrderFact, StepFact, VisitFact
from engine.records.record import Hold
from engine.records.state import Danger, HoldState, OrderState, StepState
from tests.unit.order_book import LENIENT, POLICY, Book, following, patient, said

# --- placing ---------------------------------------------------------------------------------------------------------


def test_a_new_order_has_its_procedure_and_its_step() -> None:
    book = Book()

    known = book.place(
        said(
            priority="STAT",
            requesting_physician="TEST^DOCTOR",
            reason="headache",
            visit=VisitFact(number="V1", location="W1"),
            study_uid="2.25.7",
            rp_id="RP7",
        )
    )

    (procedure,), (step,) = known.procedures, known.steps
    assert known.order.state is OrderState.SCHEDULED
    assert (known.order.priority, known.order.admission_id, known.order.patient_location) == ("STAT", "V1", "W1")
    assert (procedure.rp_id, procedure.study_uid, procedure.study_uid_derived) == ("RP7", "2.25.7", False)
    assert (procedure.description, procedure.code) == ("CT head", "CTHEAD")
    assert (step.sps_id, step.modality, step.station_aes, step.state) == (
        "RP7", "CT", ("CT1", "CT2"), StepState.SCHEDULED,
    )  # fmt: skip
    assert {(each.kind, each.value) for each in known.identifiers} == {
        ("placer", "PL1"), ("filler", "FI1"), ("accession", "ACC1"),
    }  # fmt: skip
    assert book.events == ["order.placed"]
    assert known.steps_of(RowId(0)) == ()


def test_numbers_that_are_missing_are_made_and_always_the_same() -> None:
    one, two = Book().place(), Book(rows=count(5000)).place()

    assert one.procedures[0].rp_id == "ACC1-1"
    assert one.steps[0].sps_id == "ACC1-1"
    assert one.procedures[0].study_uid_derived
    assert one.procedures[0].study_uid == two.procedures[0].study_uid == derived_uid("", "ACC1", "-1")


@pytest.mark.parametrize(
    ("numbers", "accession", "issuer"),
    [
        pytest.param({"filler_number": "FI1", "filler_issuer": "RIS"}, "FI1", "RIS", id="filler"),
        pytest.param({"placer_number": "PL1", "placer_issuer": "HIS"}, "PL1", "HIS", id="placer"),
        pytest.param({"filler_number": "F" * 17, "placer_number": "PL1"}, "PL1", "", id="filler too long"),
    ],
)
def test_an_accession_number_that_is_missing_is_another_number_with_its_issuer(
    numbers: dict[str, Any], accession: str, issuer: str
) -> None:
    known = Book().place(OrderFact(code="CTHEAD", **numbers))

    assert (known.order.accession_number, known.order.accession_issuer) == (accession, issuer)
    assert ("accession", accession, issuer) in {(each.kind, each.value, each.issuer) for each in known.identifiers}


def test_without_a_short_number_the_accession_number_is_made_of_the_row() -> None:
    known = Book().place(OrderFact(code="CTHEAD", placer_number="P" * 17))

    assert known.order.accession_number == f"A{known.order.id:08d}"


def test_one_number_of_two_hospitals_gives_two_orders_with_study_uids_of_their_own() -> None:
    book = Book()

    one = book.place(OrderFact(code="CTHEAD", placer_number="77", placer_issuer="HOSP"))
    two = book.place(OrderFact(code="CTHEAD", placer_number="77", placer_issuer="CLINIC"), of=patient(2))

    assert one.order.id != two.order.id
    assert one.procedures[0].study_uid != two.procedures[0].study_uid


def test_a_number_that_would_become_somebody_elses_accession_number_is_held() -> None:
    book = Book()
    book.place(OrderFact(code="CTHEAD", placer_number="77"))

    held = book.held(OrderFact(code="CTHEAD", filler_number="77"), of=patient(2))

    assert (held.code, held.danger) == ("order_of_another_patient", Danger.RED)


def test_an_accession_number_too_long_for_dicom_keeps_the_step_back_and_is_never_cut() -> None:
    book = Book()

    known = book.place(said(accession_number="A" * 17))

    (step,) = known.steps
    assert known.order.accession_number == "A" * 17
    assert known.procedures[0].rp_id == f"RP{known.order.id:08d}01"
    assert step.state is StepState.HELD_INCOMPLETE
    assert "17 characters" in step.missing
    assert [hold.code for hold in book.change.holds] == ["step_incomplete"]
    assert book.change.notes[0].startswith("accepted, not on the worklist yet; it lacks its accession number")


def test_an_order_placed_on_hold_is_held() -> None:
    known = Book().place(said(status="HD"))

    assert (known.order.state, known.steps[0].state) == (OrderState.HELD, StepState.HELD)


def test_an_order_without_any_number_is_refused() -> None:
    with pytest.raises(NoOrderNumber):
        Book().place(OrderFact(control="NW", code="CTHEAD"))


def test_an_order_that_does_not_say_what_is_to_be_done_is_refused() -> None:
    with pytest.raises(NoProcedure) as refused:
        Book().place(said(code=None, modality="CT"))

    assert refused.value.where == "OBR^1^4"


def test_a_step_whose_description_is_erased_is_held() -> None:
    book = Book()
    book.place(said(code=None, description="HEAD", modality="CT"))

    (step,) = book.place(following("XO", description=NULL, step_description=NULL)).steps

    assert step.missing.startswith("description")


@pytest.mark.parametrize(
    ("control", "status", "where"),
    [("SR", None, "ORC^1^1"), ("AF", "SC", "ORC^1^1"), ("NW", "CM", "ORC^1^5"), ("SC", None, "ORC^1^5")],
)
def test_control_codes_outside_the_table_are_refused(control: str, status: str | None, where: str) -> None:
    book = Book()
    book.place()

    with pytest.raises(UnknownControl) as refused:
        book.send(following(control, status))

    assert refused.value.where == where
    assert book.nothing


@pytest.mark.parametrize("control", ["XO", "CA", "DC", "HD", "RL"])
def test_a_change_of_an_unknown_order_is_refused_and_makes_none(control: str) -> None:
    book = Book()

    with pytest.raises(UnknownOrder):
        book.send(following(control))

    assert book.nothing


# --- repeating -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(said(), id="all numbers"),
        pytest.param(said(accession_number=None), id="accession made of the filler number"),
        pytest.param(said(study_uid="2.25.7", rp_id="RP7"), id="stated UID and procedure ID"),
        pytest.param(said(code="NOBODY KNOWS"), id="incomplete step"),
        pytest.param(said(steps=(StepFact(sps_id="S1"), StepFact(sps_id="S2"))), id="two steps"),
        pytest.param(said(steps=(StepFact(), StepFact())), id="two steps without ID"),
    ],
)
def test_the_same_new_order_again_changes_nothing(fact: OrderFact) -> None:
    book = Book()
    known = book.place(fact)

    again = book.place(fact)

    assert replace(again, holds=()) == known
    assert book.nothing
    assert book.change.notes == ["the order was already placed with the same content"]


def test_a_new_order_again_with_other_content_is_refused() -> None:
    book = Book()
    known = book.place()

    with pytest.raises(DuplicateOrder):
        book.send(said(scheduled_start="20260302110000"))

    assert book.orders[known.order.id] == known


def test_a_new_order_again_with_other_content_is_a_change_where_the_site_says_so() -> None:
    book = Book(policy=LENIENT)
    known = book.place()

    changed = book.place(said(scheduled_start="20260302110000", modality="US"))

    assert changed.order.id == known.order.id
    assert changed.steps[0].start == "20260302110000"
    assert book.events == ["hold.raised", "order.updated"]
    assert [hold.code for hold in book.change.holds] == ["step_incomplete"]
    assert "no station group for modality US" in book.change.notes[0]


def test_the_same_new_order_after_its_completion_is_still_a_repetition() -> None:
    book = Book()
    book.place()
    book.place(following("XO", "CM"))

    book.place()

    assert book.nothing


def test_a_cancelled_order_placed_again_is_refused_and_never_answered_as_if_it_stood() -> None:
    book = Book()
    book.place()
    book.place(following("CA"))

    with pytest.raises(DuplicateOrder, match="cancelled"):
        book.place()


# --- several procedures and steps ------------------------------------------------------------------------------------


def test_several_obr_of_one_message_are_procedures_of_one_order() -> None:
    book = Book()
    facts = (said(), said(code="MRHEAD", placer_number="PL2", filler_number="FI2"))

    known = book.place(*facts)

    assert [each.rp_id for each in known.procedures] == ["ACC1-1", "ACC1-2"]
    assert len({each.study_uid for each in known.procedures}) == 2
    assert {each.value for each in known.identifiers if each.kind == "placer"} == {"PL1", "PL2"}
    assert book.events == ["order.updated"]
    book.place(*facts)
    assert book.nothing


def test_several_obr_with_the_same_order_numbers_are_told_apart_by_code() -> None:
    known = Book().place(said(), said(code="MRHEAD"))

    assert [each.code for each in known.procedures] == ["CTHEAD", "MRHEAD"]


def test_a_made_procedure_id_does_not_collide_with_a_stated_one() -> None:
    known = Book().place(said(rp_id="ACC1-2"), said(code="MRHEAD"))

    assert [each.rp_id for each in known.procedures] == ["ACC1-2", "ACC1-3"]


def test_another_procedure_id_is_another_procedure_and_may_share_the_uid() -> None:
    book = Book()
    book.place(said(rp_id="RP1", study_uid="2.25.7"))

    known = book.place(said(rp_id="RP2", study_uid="2.25.7"))

    assert [(each.rp_id, each.study_uid) for each in known.procedures] == [("RP1", "2.25.7"), ("RP2", "2.25.7")]


def test_an_ipc_list_gives_one_procedure_with_several_steps() -> None:
    steps = (
        StepFact(sps_id="S1", modality="CT", station_ae="CT9", start="20260302100000"),
        StepFact(sps_id="S2", modality="MR"),
        StepFact(sps_id="S3", modality="CT", station_ae="CT7\\CT8"),
    )

    known = Book().place(said(study_uid="2.25.7", steps=steps))

    assert len(known.procedures) == 1
    assert [(step.sps_id, step.station_aes) for step in known.steps] == [
        ("S1", ("CT9",)), ("S2", ("MR1",)), ("S3", ("CT7", "CT8")),
    ]  # fmt: skip


def test_one_message_for_each_step_of_a_procedure_adds_steps() -> None:
    book = Book()
    book.place(said(rp_id="RP1", sps_id="S1"))

    known = book.place(said(rp_id="RP1", sps_id="S2"))

    assert [step.sps_id for step in known.steps] == ["S1", "S2"]
    assert len(known.procedures) == 1
    book.place(said(rp_id="RP1", sps_id="S2"))
    assert book.nothing


# --- changing --------------------------------------------------------------------------------------------------------


def test_a_change_moves_station_time_and_protocol_of_the_same_step() -> None:
    book = Book()
    before = book.place().steps[0]

    known = book.place(
        following("XO", station_ae="CT5", scheduled_start="20260303", protocol_code="P1", priority="STAT")
    )

    (step,) = known.steps
    assert (step.id, step.sps_id) == (before.id, before.sps_id)
    assert (step.station_aes, step.start, step.protocol_code) == (("CT5",), "20260303", "P1")
    assert known.order.priority == "STAT"
    assert book.events == ["order.updated"]


def test_a_change_of_modality_looks_the_stations_up_again() -> None:
    book = Book()
    book.place()

    (step,) = book.place(following("XO", modality="MR")).steps

    assert (step.modality, step.station_aes) == ("MR", ("MR1",))


def test_a_change_of_code_looks_modality_and_stations_up_again() -> None:
    book = Book()
    book.place()

    (step,) = book.place(following("XO", code="MRHEAD")).steps
    assert (step.modality, step.station_aes) == ("MR", ("MR1",))

    (step,) = book.place(following("XO", code="CTHEAD", modality="MR", station_ae="MR8")).steps
    assert (step.modality, step.station_aes) == ("MR", ("MR8",))

    (step,) = book.place(following("XO", code="NOBODY KNOWS")).steps
    assert (step.modality, step.station_aes) == ("MR", ("MR8",))


def test_absent_keeps_null_erases_and_an_erased_station_is_looked_up() -> None:
    book = Book()
    book.place(said(reason="headache", comments="none", station_ae="CT9"))

    known = book.place(following("XO", reason=NULL, comments=None, station_ae=NULL, priority=NULL))

    assert (known.order.reason, known.order.comments, known.order.priority) == ("", "none", "ROUTINE")
    assert known.steps[0].station_aes == ("CT1", "CT2")


def test_a_change_that_says_nothing_new_changes_nothing() -> None:
    book = Book()
    book.place()

    book.place(following("XO", code="CTHEAD"))

    assert book.nothing


def test_a_stated_study_uid_replaces_a_derived_one() -> None:
    book = Book()
    book.place()

    (procedure,) = book.place(following("XO", study_uid="2.25.7")).procedures

    assert (procedure.study_uid, procedure.study_uid_derived) == ("2.25.7", False)


def test_the_study_uid_stays_once_the_acquisition_has_begun() -> None:
    book = Book()
    derived = book.place(said(rp_id="RP1")).procedures[0].study_uid
    book.place(following("SC", "IP"))

    (procedure,) = book.place(following("XO", rp_id="RP1", study_uid="2.25.7")).procedures

    assert (procedure.study_uid, procedure.study_uid_derived) == (derived, True)
    assert book.change.notes == ["the Study Instance UID stays as it was: the acquisition has begun"]


def test_from_the_start_on_only_what_does_not_govern_the_acquisition_changes() -> None:
    book = Book()
    before = book.place().steps[0]
    book.place(following("SC", "IP"))

    (step,) = book.place(following("XO", modality="MR", scheduled_start="20260305", location="ROOM 2")).steps

    assert step == replace(before, state=StepState.STARTED, location="ROOM 2")
    assert book.change.notes == ["not applied: the step is STARTED; modality, station, time and protocol stay"]


def test_a_change_may_add_numbers_a_procedure_and_a_step() -> None:
    book = Book()
    book.place(OrderFact(placer_number="PL1", code="CTHEAD"))

    known = book.place(following("XO", filler_number="FI1", accession_number="ACC9", accession_issuer="RIS"))
    assert (known.order.filler_number, known.order.accession_number) == ("FI1", "ACC9")
    assert {each.value for each in known.identifiers if each.kind == "accession"} == {"PL1", "ACC9"}

    known = book.place(following("XO", rp_id="RP2", code="MRHEAD", comments="two now"))
    assert [each.rp_id for each in known.procedures] == ["PL1-1", "RP2"]
    assert known.order.comments == "two now"

    known = book.place(following("XO", rp_id="RP3", code="MRHEAD"))
    assert len(known.procedures) == 3

    known = book.place(following("XO", rp_id="RP2", steps=(StepFact(sps_id="S2"),)))
    assert "S2" in [step.sps_id for step in known.steps]


def test_a_change_of_several_steps_that_names_none_is_not_guessed() -> None:
    book = Book()
    before = book.place(said(steps=(StepFact(sps_id="S1"), StepFact(sps_id="S2"))))

    known = book.place(following("XO", comments="fasting", visit=VisitFact(location="W2")))
    assert known.steps == before.steps
    assert (known.order.comments, known.order.patient_location) == ("fasting", "W2")
    assert not book.change.notes

    known = book.place(following("XO", scheduled_start="20260309"))
    assert known.steps == before.steps
    assert book.change.notes == ["not applied to the 2 steps: the message does not say which one it means"]


def test_steps_without_ids_are_told_apart_by_position_and_added_once() -> None:
    book = Book()
    book.place()
    three = following("XO", steps=(StepFact(modality="CT"), StepFact(modality="MR"), StepFact(modality="CT")))

    first = book.place(three)
    again = book.place(three)

    assert [step.sps_id for step in first.steps] == ["ACC1-1", "ACC1-1.1", "ACC1-1.2", "ACC1-1.3"]
    assert again.steps == first.steps


def test_a_made_step_id_fits_sixteen_characters() -> None:
    known = Book().place(said(rp_id="R" * 16, steps=(StepFact(), StepFact())))

    assert [step.sps_id for step in known.steps] == [f"S{known.procedures[0].id:08d}{n:02d}" for n in (1, 2)]


@pytest.mark.parametrize(
    ("control", "status", "state"),
    [("XO", "CM", OrderState.COMPLETED), ("CA", None, OrderState.CANCELLED), ("DC", None, OrderState.DISCONTINUED)],
)
def test_a_change_of_an_order_that_has_ended_is_held(control: str, status: str | None, state: OrderState) -> None:
    book = Book()
    book.place()
    ended = book.place(following(control, status))
    assert ended.order.state is state

    known = book.place(following("XO", comments="too late"))

    assert known.order.comments == ""
    (hold,) = book.change.holds
    assert (hold.code, hold.danger) == (f"order_update_after_{state.value.lower()}", Danger.AMBER)
    assert hold.reason == f"the order is {state.value.lower()}; to update it needs a person"
    assert book.change.notes == [f"not applied: the order is {state.value}; a person decides"]


# --- incomplete steps ------------------------------------------------------------------------------------------------


def test_an_incomplete_step_is_held_and_released_by_a_later_change() -> None:
    book = Book()
    placed = book.place(said(code="NOBODY KNOWS"))
    assert placed.steps[0].state is StepState.HELD_INCOMPLETE
    assert placed.steps[0].missing.startswith("modality: add the procedure code")
    (hold,) = book.change.holds
    assert (hold.code, hold.danger, hold.step_id) == ("step_incomplete", Danger.AMBER, placed.steps[0].id)

    known = book.place(following("XO", modality="CT"))

    assert (known.steps[0].state, known.steps[0].missing) == (StepState.SCHEDULED, "")
    assert known.order.state is OrderState.SCHEDULED
    (resolved,) = [record for record in book.change.changed.values() if isinstance(record, Hold)]
    assert (resolved.id, resolved.state) == (hold.id, HoldState.RESOLVED)
    assert "hold.resolved" in book.events


def test_a_step_that_lacks_something_else_now_has_one_open_hold() -> None:
    book = Book()
    book.place(said(code="NOBODY KNOWS"))

    known = book.place(following("XO", modality="US"))

    assert "station" in known.steps[0].missing
    (hold,) = book.orders[known.order.id].holds
    assert "no station group for modality US" in hold.reason


def test_a_step_that_still_lacks_the_same_keeps_its_hold_and_gets_no_second() -> None:
    book = Book()
    book.place(said(code="NOBODY KNOWS"))
    (hold,) = book.change.holds

    known = book.place(following("XO", comments="soon"))

    assert book.orders[known.order.id].holds == (hold,)


def test_a_cancelled_incomplete_step_needs_nobody_any_more() -> None:
    book = Book()
    book.place(said(code="NOBODY KNOWS"))

    known = book.place(following("CA"))

    assert known.steps[0].state is StepState.CANCELLED
    assert book.orders[known.order.id].holds == ()


def test_a_hold_of_another_kind_stays_open() -> None:
    book = Book()
    known = book.place()
    other = book.change.hold("order_cancel_after_in_progress", Danger.AMBER, "reason", order_id=known.order.id)
    book.orders[known.order.id] = replace(known, holds=(other,))

    known = book.place(following("XO", comments="more"))

    assert book.orders[known.order.id].holds == (other,)


@pytest.mark.parametrize(
    ("fact", "missing"),
    [
        pytest.param(said(rp_id="R" * 17), "requested procedure ID", id="procedure ID too long"),
        pytest.param(said(sps_id="S" * 17), "scheduled procedure step ID", id="step ID too long"),
        pytest.param(said(study_uid="not a uid"), "Study Instance UID", id="no UID"),
        pytest.param(said(study_uid="2.25." + "1" * 60), "Study Instance UID", id="UID too long"),
        pytest.param(said(station_ae="A" * 17), "station AE title", id="AE title too long"),
    ],
)
def test_what_a_modality_cannot_take_is_held_and_named(fact: OrderFact, missing: str) -> None:
    (step,) = Book().place(fact).steps

    assert step.state is StepState.HELD_INCOMPLETE
    assert step.missing.startswith(missing)


def test_the_stations_of_a_code_are_only_for_its_modality() -> None:
    entry = CodeEntry(modality="CT", station_aes=("CT9",))
    policy = replace(POLICY, code=lambda sender, system, code: entry)

    assert Book(policy=policy).place().steps[0].station_aes == ("CT9",)
    assert Book(policy=policy).place(said(modality="MR")).steps[0].station_aes == ("MR1",)


# --- moving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "status", "order", "step", "event"),
    [
        ("CA", None, OrderState.CANCELLED, StepState.CANCELLED, "order.cancelled"),
        ("CA", "CA", OrderState.CANCELLED, StepState.CANCELLED, "order.cancelled"),
        ("OC", None, OrderState.CANCELLED, StepState.CANCELLED, "order.cancelled"),
        ("DC", None, OrderState.DISCONTINUED, StepState.DISCONTINUED, "order.discontinued"),
        ("OD", "DC", OrderState.DISCONTINUED, StepState.DISCONTINUED, "order.discontinued"),
        ("HD", None, OrderState.HELD, StepState.HELD, "order.held"),
        ("OH", "HD", OrderState.HELD, StepState.HELD, "order.held"),
        ("SC", "IP", OrderState.IN_PROGRESS, StepState.STARTED, "order.started"),
        ("SC", "A", OrderState.IN_PROGRESS, StepState.STARTED, "order.started"),
        ("SC", "CM", OrderState.COMPLETED, StepState.COMPLETED, "order.completed"),
        ("XO", "CM", OrderState.COMPLETED, StepState.COMPLETED, "order.completed"),
    ],
)
def test_a_scheduled_order_moves(
    control: str, status: str | None, order: OrderState, step: StepState, event: str
) -> None:
    book = Book()
    book.place()

    known = book.place(following(control, status))

    assert (known.order.state, known.procedures[0].state, known.steps[0].state) == (order, order, step)
    assert book.events == [event]
    book.place(following(control, status))
    assert book.nothing


@pytest.mark.parametrize("status", [None, "SC", "IP", "CM"])
def test_a_held_order_is_released_whatever_the_status(status: str | None) -> None:
    book = Book()
    book.place()
    book.place(following("HD"))

    known = book.place(following("RL", status))

    assert (known.order.state, known.steps[0].state) == (OrderState.SCHEDULED, StepState.SCHEDULED)
    assert book.events == ["order.released"]


@pytest.mark.parametrize("before", [("SC", "IP"), ("XO", "CM")])
def test_a_cancel_that_comes_too_late_is_held_and_changes_nothing(before: tuple[str, str]) -> None:
    book = Book()
    book.place()
    started = book.place(following(*before))

    known = book.place(following("CA"))

    assert replace(known, holds=()) == replace(started, holds=())
    (hold,) = book.change.holds
    state = started.order.state
    assert hold.code == f"order_cancel_after_{state.value.lower()}"
    assert hold.reason == f"the order is {state.value.replace('_', ' ').lower()}; to cancel it needs a person"
    assert book.change.notes == [f"not applied: the order is {state.value}; a person decides"]


def test_only_the_named_procedure_is_cancelled_and_the_order_goes_on() -> None:
    book = Book()
    book.place(said(rp_id="RP1"), said(rp_id="RP2", code="MRHEAD"))

    known = book.place(following("CA", rp_id="RP2"))

    assert [each.state for each in known.procedures] == [OrderState.SCHEDULED, OrderState.CANCELLED]
    assert [step.state for step in known.steps] == [StepState.SCHEDULED, StepState.CANCELLED]
    assert known.order.state is OrderState.SCHEDULED


def test_without_a_procedure_the_whole_order_is_cancelled() -> None:
    book = Book()
    book.place(said(rp_id="RP1"), said(rp_id="RP2", code="MRHEAD"))

    known = book.place(following("CA"))

    assert known.order.state is OrderState.CANCELLED
    assert {step.state for step in known.steps} == {StepState.CANCELLED}


@pytest.mark.parametrize("named", [{"rp_id": "RP9"}, {"study_uid": "2.25.9"}, {"code": "OTHER"}])
def test_cancelling_a_procedure_the_order_does_not_have_is_refused(named: dict[str, str]) -> None:
    book = Book()
    book.place(said(rp_id="RP1", study_uid="2.25.1"), said(rp_id="RP2", study_uid="2.25.2", code="MRHEAD"))

    with pytest.raises(UnknownOrder):
        book.send(following("CA", **named))

    assert book.nothing


def three_steps() -> Book:
    book = Book()
    book.place(said(steps=tuple(StepFact(sps_id=f"S{n}") for n in (1, 2, 3))))
    return book


def test_one_step_of_three_can_be_cancelled() -> None:
    book = three_steps()

    known = book.place(following("CA", steps=(StepFact(sps_id="S2"),)))

    assert [step.state for step in known.steps] == [StepState.SCHEDULED, StepState.CANCELLED, StepState.SCHEDULED]
    assert known.order.state is OrderState.SCHEDULED
    assert book.events == ["order.updated"]
    book.place(following("CA", steps=(StepFact(sps_id="S2"),)))
    assert book.nothing


def test_naming_all_steps_or_the_last_ones_cancels_the_order() -> None:
    book = three_steps()
    book.place(following("CA", steps=(StepFact(sps_id="S2"),)))

    known = book.place(following("CA", steps=(StepFact(sps_id="S1"), StepFact(sps_id="S3"))))

    assert known.order.state is OrderState.CANCELLED


def test_cancelling_a_step_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownOrder):
        three_steps().send(following("CA", steps=(StepFact(sps_id="S9"),)))


def test_cancelling_a_step_that_runs_is_held() -> None:
    book = three_steps()
    (known,) = book.orders.values()
    running = replace(known.steps[0], state=StepState.STARTED)
    book.orders[known.order.id] = replace(known, steps=(running, *known.steps[1:]))

    known = book.place(following("CA", steps=(StepFact(sps_id="S1"),)))

    assert known.steps[0] == running
    assert [hold.code for hold in book.change.holds] == ["order_cancel_after_started"]


def test_what_has_ended_is_started_again_by_nobody() -> None:
    book = Book()
    cancelled = (book.place(), book.place(following("CA")))[1]

    after = move_order(cancelled, OrderAction.START, book.change)

    assert after == cancelled
    assert [hold.code for hold in book.change.holds] == ["order_start_after_cancelled"]


# --- conflicts -------------------------------------------------------------------------------------------------------


def test_two_orders_with_one_accession_number_and_different_patients_are_held_never_merged() -> None:
    book = Book()
    first = book.place()

    held = book.held(said(placer_number="PL2", filler_number="FI2"), of=patient(2))

    assert (held.code, held.danger) == ("order_of_another_patient", Danger.RED)
    assert held.reason == "the order numbers of the message belong to an order of another patient"
    assert (held.order_id, held.patient_id) == (first.order.id, 2)
    assert book.orders == {first.order.id: first}


def test_numbers_of_two_orders_in_one_message_are_held() -> None:
    book = Book()
    book.place()
    book.place(said(placer_number="PL2", filler_number="FI2", accession_number="ACC2"))

    held = book.held(said(placer_number="PL1", accession_number="ACC2"))

    assert (held.code, held.danger) == ("numbers_of_several_orders", Danger.AMBER)
    assert held.reason == "the order numbers of the message belong to 2 orders"


@pytest.mark.parametrize(
    ("row", "code", "danger", "whose"),
    [
        (1, "uid_shared_by_unrelated_orders", Danger.AMBER, "the same"),
        (2, "uid_of_another_patient", Danger.RED, "another"),
    ],
)
def test_a_study_uid_of_another_order_is_held(row: int, code: str, danger: Danger, whose: str) -> None:
    book = Book()
    first = book.place(said(study_uid="2.25.7"))
    second = said(study_uid="2.25.7", placer_number="PL2", filler_number="FI2", accession_number="ACC2")

    held = book.held(second, of=patient(row))

    assert (held.code, held.danger, held.order_id) == (code, danger, first.order.id)
    assert held.reason == f"the Study Instance UID of the message belongs to an order of {whose} patient"
    assert len(book.orders) == 1


def test_the_same_accession_number_of_another_issuer_is_another_order() -> None:
    book = Book()
    book.place(said(accession_issuer="RIS"))

    book.place(said(placer_number="PL2", filler_number="FI2", accession_issuer="LAB"), of=patient(2))

    assert len(book.orders) == 2
    assert len({known.procedures[0].study_uid for known in book.orders.values()}) == 2
