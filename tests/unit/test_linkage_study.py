"""The life of a study: first instance, growth, disagreement, link or hold, quiet timer, late order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.demographics import Person
from engine.linkage.evidence import Candidate, StudyWorld, evidence_of
from engine.linkage.identity import KnownPatient
from engine.linkage.match import Conflict, Decision, Match, Unmatched, match_study
from engine.linkage.order import KnownOrder, OrderWorld, apply_order
from engine.linkage.patient import register
from engine.linkage.policy import OrderPolicy
from engine.linkage.study import INCONSISTENT, complete_study, decide_links, grown_study, new_study, tell_completion
from engine.records.fact import IdentifierFact, InstanceFact, OrderFact, PatientFact
from engine.records.record import Hold, Link, Record, Study
from engine.records.state import Danger, HoldState, OrderState, StepState, StudyState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DUE = NOW + timedelta(minutes=2)
UID = "2.25.101"
ROWS: Iterator[int] = count(1000)
POLICY = OrderPolicy(stations=lambda modality: ("CT1",))


def change(kind: str = "instance", cause: int = 7) -> Change:
    return Change(Act(now=NOW, cause_kind=kind, cause_id=RowId(cause), new_id=lambda: RowId(next(ROWS))))


def patient() -> KnownPatient:
    known = register(
        PatientFact(
            identifiers=(IdentifierFact(value="P0001", issuer="HOSP"),),
            name="TEST^ALPHA",
            birth_date="19800504",
            sex="F",
        ),
        (),
        change(),
        registrar=True,
    )
    assert isinstance(known, KnownPatient)
    return known


PATIENT = patient()


def order(*controls: tuple[str, str | None], **more: Any) -> KnownOrder:
    """Return an order after NW and the given (ORC-1, ORC-5)."""
    usual: dict[str, Any] = {"accession_number": "ACC1", "modality": "CT", "code": "CTHEAD", "study_uid": UID, **more}
    fact = OrderFact(**usual)
    known = apply_order(fact, PATIENT.patient, OrderWorld(), POLICY, change())
    for control, status in controls:
        assert isinstance(known, KnownOrder)
        moved = replace(fact, control=control, status=status)
        known = apply_order(moved, PATIENT.patient, OrderWorld(hits=(known,)), POLICY, change())
    assert isinstance(known, KnownOrder)
    return known


def instance(sop: int = 1, **more: Any) -> InstanceFact:
    usual: dict[str, Any] = {
        "sop_uid": f"2.25.5{sop}",
        "sop_class": "1.2.840.10008.5.1.4.1.1.2",
        "series_uid": "2.25.6",
        "study_uid": UID,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "patient_id": "P0001 ",
        "patient_name": "TEST^ALPHA",
        "birth_date": "19800504",
        "sex": "F",
        "accession_number": "ACC1",
        "modality": "CT",
    }
    return InstanceFact(**{**usual, **more})


def first(**more: Any) -> Study:
    return new_study(instance(**more), "HOSP", DUE, change())


def grown(study: Study, said: InstanceFact, done: Change, holds: tuple[Hold, ...] = (), issuer: str = "") -> Study:
    return grown_study(study, said, new_series=False, quiet_due_at=DUE, holds=holds, change=done, issuer=issuer)


def decide(study: Study, *orders: KnownOrder) -> Decision:
    candidates = tuple(
        Candidate(procedure=procedure, order=known.order, steps=known.steps_of(procedure.id))
        for known in orders
        for procedure in known.procedures
    )
    return match_study(
        evidence_of(study),
        StudyWorld(
            patients=(PATIENT,) if study.dicom_patient_id == "P0001" else (),
            by_uid=tuple(each for each in candidates if each.procedure.study_uid == study.study_uid),
            by_accession=tuple(each for each in candidates if each.order.accession_number == study.accession_number),
            owners=(PATIENT,) if orders else (),
        ),
        NOW,
    )


def written(done: Change, kind: type[Record]) -> list[Any]:
    return [record for record in (*done.new.values(), *done.changed.values()) if isinstance(record, kind)]


def events(done: Change) -> list[str]:
    return [event.name for event in done.events]


# --- growing ---------------------------------------------------------------------------------------------------------


def test_a_first_instance_makes_a_study_with_its_evidence() -> None:
    done = change()

    study = new_study(instance(), "HOSP", DUE, done)

    assert (study.state, study.quiet_due_at) == (StudyState.RECEIVING, DUE)
    assert (study.dicom_patient_id, study.dicom_issuer, study.modalities) == ("P0001", "HOSP", ("CT",))
    assert written(done, Study) == [study]
    assert events(done) == ["study.received"]
    assert new_study(instance(modality=""), "", DUE, change()).modalities == ()


def test_a_study_grows_and_its_quiet_timer_starts_again() -> None:
    later = DUE + timedelta(minutes=1)
    done = change()

    study = grown_study(
        first(accession_number=""),
        instance(2, modality="SR"),
        new_series=True,
        quiet_due_at=later,
        holds=(),
        change=done,
    )

    assert (study.modalities, study.series_count, study.instance_count) == (("CT", "SR"), 1, 1)
    assert (study.quiet_due_at, study.last_received_at) == (later, NOW)
    assert study.accession_number == "ACC1"
    assert written(done, Study) == [study]
    assert events(done) == []


def test_an_instance_after_completion_opens_the_study_again() -> None:
    complete = complete_study(first(), (), (), (), change())
    done = change()

    study = grown(complete, instance(2), done)

    assert (study.state, study.quiet_due_at, study.completions) == (StudyState.RECEIVING, DUE, 1)
    assert events(done) == ["study.reopened"]


def test_instances_that_disagree_are_held_red_once() -> None:
    study = first()
    done = change()

    study = grown(study, instance(2, patient_id="P0002"), done)

    (hold,) = done.holds
    assert (hold.code, hold.danger, hold.study_id) == (INCONSISTENT, Danger.RED, study.id)
    assert hold.reason == "instances of the study disagree about PatientID"
    again = change()
    grown(study, instance(3, patient_id="P0002"), again, holds=(hold,))
    assert not again.holds


def test_another_name_of_the_same_issuer_is_no_disagreement() -> None:
    done = change()

    grown(first(), instance(2, issuer="1.2.3.4"), done, issuer="HOSP")

    assert not done.holds


def test_another_issuer_is_a_disagreement() -> None:
    done = change()

    grown(first(), instance(2, issuer="CLINIC"), done, issuer="CLINIC")

    assert done.holds[0].evidence == {"attribute": "PatientID"}


# --- linking and holding ---------------------------------------------------------------------------------------------


def linked(
    study: Study, *orders: KnownOrder, done: Change | None = None, holds: tuple[Hold, ...] = ()
) -> tuple[Study, tuple[Link, ...], tuple[KnownOrder, ...]]:
    decision = decide(study, *orders)
    assert isinstance(decision, Match)
    return decide_links(study, decision, orders, holds, done or change())


def test_order_then_image_links_and_starts_the_order() -> None:
    done = change()

    study, (link,), (known,) = linked(first(), order(), done=done)

    assert study.patient_id == PATIENT.patient.id
    assert (link.rule, link.study_id, link.procedure_id) == ("B1", study.id, known.procedures[0].id)
    assert link.reason == (
        "the Study Instance UID is the one ordered; the patient ID is the same and nothing contradicts it (A1)"
    )
    assert link.evidence["rule"] == "B1"
    assert (known.order.state, known.steps[0].state) == (OrderState.IN_PROGRESS, StepState.STARTED)
    assert events(done) == ["study.linked", "order.started"]
    assert set(written(done, Study)) == {study}


def test_an_accession_number_links_a_study_whose_uid_the_modality_made() -> None:
    _, (link,), _ = linked(first(study_uid="2.25.999"), order())

    assert link.rule == "B3"


def test_a_grouped_uid_links_every_procedure_and_all_of_them_move() -> None:
    one = order(rp_id="RP1")
    both = apply_order(
        OrderFact(accession_number="ACC1", rp_id="RP2", study_uid=UID, code="CTNECK", modality="CT"),
        PATIENT.patient,
        OrderWorld(hits=(one,)),
        POLICY,
        change(),
    )
    assert isinstance(both, KnownOrder)
    done = change()

    study, links, (known,) = linked(first(), both, done=done)

    assert len(links) == 2
    assert known.order.state is OrderState.IN_PROGRESS
    later = change("timer")
    complete_study(study, links, (known,), (), later)
    assert events(later).count("study.completed") == 2
    assert {each.procedure_id for each in later.events if each.name == "study.completed"} == {
        each.id for each in known.procedures
    }


def test_a_link_to_an_order_that_was_not_loaded_moves_nothing() -> None:
    study, known = first(), order()
    decision = decide(study, known)

    _, links, orders = decide_links(study, decision, (), (), change())

    assert (len(links), orders) == (1, ())


def test_an_image_before_its_order_waits_under_its_patient() -> None:
    study, links, _ = decide_links(first(), decide(first()), (), (), change())

    assert (study.patient_id, links) == (PATIENT.patient.id, ())


def test_waiting_for_nobody_known_changes_nothing() -> None:
    done = change()
    study = first(patient_id="P9999")

    assert decide_links(study, Unmatched(), (), (), done) == (study, (), ())
    assert (done.new, done.changed, done.events) == ({}, {}, [])


def test_a_conflict_is_held_never_linked() -> None:
    study, known, done = first(sex="M"), order(), change()

    after, links, orders = decide_links(study, decide(study, known), (known,), (), done)

    assert (after.patient_id, links, orders) == (None, (), (known,))
    (hold,) = done.holds
    assert (hold.code, hold.danger) == ("patient_conflict", Danger.RED)
    assert (hold.study_id, hold.order_id, hold.patient_id) == (study.id, known.order.id, PATIENT.patient.id)
    assert hold.reason == "the patient ID is the same but the sex is not (rule A6)"
    assert hold.evidence["sex"] == "conflict"
    assert events(done) == ["hold.raised"]


def test_the_same_conflict_is_held_once() -> None:
    study, known, done = first(sex="M"), order(), change()
    decide_links(study, decide(study, known), (known,), (), done)
    again = change()

    decide_links(study, decide(study, known), (known,), tuple(done.holds), again)

    assert (again.new, again.changed, again.events) == ({}, {}, [])


def test_a_conflict_without_patient_or_order_is_held() -> None:
    done = change()

    decide_links(first(), Conflict(code="patient_id_missing", danger=Danger.RED, reason="words"), (), (), done)

    assert (done.holds[0].patient_id, done.holds[0].order_id) == (None, None)


def test_images_of_a_cancelled_order_are_the_patients_but_the_order_is_in_doubt() -> None:
    study, known, done = first(), order(("CA", None)), change()

    after, links, _ = decide_links(study, decide(study, known), (known,), (), done)

    assert (after.patient_id, links) == (PATIENT.patient.id, ())
    assert [(hold.code, hold.danger) for hold in done.holds] == [("order_cancelled", Danger.AMBER)]


def test_a_red_conflict_takes_a_waiting_study_away_from_its_patient() -> None:
    study = replace(first(sex="M"), patient_id=PATIENT.patient.id)

    after, _, _ = decide_links(study, decide(study), (), (), change())

    assert after.patient_id is None


def test_another_reason_replaces_the_hold_and_no_reason_ends_it() -> None:
    study, known, done = first(), order(("CA", None)), change()
    decide_links(study, decide(study, known), (known,), (), done)
    holds = tuple(done.holds)

    other = change()
    decide_links(study, Conflict(code="several_procedures_fit", danger=Danger.AMBER, reason="w"), (), holds, other)
    assert [(hold.code, hold.state) for hold in written(other, Hold)] == [
        ("several_procedures_fit", HoldState.OPEN),
        ("order_cancelled", HoldState.RESOLVED),
    ]

    gone = change()
    decide_links(study, decide(study), (), holds, gone)
    assert [hold.resolution for hold in written(gone, Hold)] == ["no longer in conflict"]


def test_a_link_resolves_what_the_match_held_and_nothing_else() -> None:
    study, done = first(), change()
    doubt = done.hold("modality_differs_from_order", Danger.AMBER, "words", study_id=study.id)
    collision = done.hold("uid_collision", Danger.RED, "words", study_id=study.id)
    old = replace(doubt, id=RowId(1), state=HoldState.RESOLVED)
    later = change()

    linked(study, order(), done=later, holds=(doubt, collision, old))

    assert [(hold.id, hold.resolution) for hold in written(later, Hold)] == [(doubt.id, "linked later")]
    assert "hold.resolved" in events(later)


def test_a_study_that_disagrees_with_itself_is_not_linked_by_a_late_order() -> None:
    study, done = first(), change()
    grown(study, instance(2, patient_id="P0002"), done)
    later = change()

    after, links, _ = linked(study, order(), done=later, holds=tuple(done.holds))

    assert (after, links) == (study, ())
    assert (later.new, later.changed) == ({}, {})


# --- completing ------------------------------------------------------------------------------------------------------


def test_the_quiet_timer_completes_study_order_and_step() -> None:
    study, links, orders = linked(first(), order())
    done = change("timer")

    complete = complete_study(study, links, orders, (), done)

    assert (complete.state, complete.quiet_due_at) == (StudyState.COMPLETE_ASSUMED, None)
    assert (complete.completed_at, complete.completions) == (NOW, 1)
    assert events(done) == ["order.acquired", "study.completed"]
    told = done.events[-1]
    assert (told.study_id, told.order_id, told.patient_id) == (study.id, orders[0].order.id, PATIENT.patient.id)
    assert (told.procedure_id, told.detail, told.cause_kind) == (orders[0].procedures[0].id, "", "timer")
    assert {getattr(record, "state", None) for record in done.changed.values()} == {
        StudyState.COMPLETE_ASSUMED,
        OrderState.ACQUIRED,
        StepState.COMPLETED,
    }


def test_a_study_completed_again_is_told_again_as_an_update() -> None:
    study, links, orders = linked(first(), order())
    once = complete_study(study, links, orders, (), change())
    grown_again = grown(once, instance(2), change())
    done = change("timer")

    twice = complete_study(grown_again, links, orders, (), done)

    assert twice.completions == 2
    assert done.events[-1].detail == "again, with more instances"


@pytest.mark.parametrize(("danger", "told"), [(Danger.RED, False), (Danger.AMBER, False), (Danger.YELLOW, True)])
def test_nobody_is_told_while_a_person_must_decide(danger: Danger, told: bool) -> None:
    study, links, orders = linked(first(), order())
    hold = change().hold("code", danger, "words", study_id=study.id)
    done, resolved = change("timer"), change("timer")

    complete_study(study, links, orders, (hold,), done)
    complete_study(study, links, orders, (replace(hold, state=HoldState.RESOLVED),), resolved)

    assert ("study.completed" in events(done)) is told
    assert ("study.completed_on_hold" in events(done)) is not told
    assert "study.completed" in events(resolved)


def test_a_study_without_an_order_completes_unlinked_and_a_late_order_is_told_then() -> None:
    done = change("timer")
    waiting = replace(first(), patient_id=PATIENT.patient.id)
    complete = complete_study(waiting, (), (), (), done)
    assert events(done) == ["study.completed_unlinked"]

    late = change("message")
    study, links, orders = linked(complete, order(), done=late)
    tell_completion(study, links, orders, (), late)

    assert events(late) == ["study.linked", "order.started", "order.acquired", "study.completed"]
    assert late.events[-1].detail == ""
    states = {type(record).__name__: getattr(record, "state", None) for record in late.changed.values()}
    assert (states["ImagingOrder"], states["ScheduledStep"]) == (OrderState.ACQUIRED, StepState.COMPLETED)


def test_completion_tells_only_the_linked_procedures() -> None:
    one = order(rp_id="RP1")
    both = apply_order(
        OrderFact(accession_number="ACC1", rp_id="RP2", study_uid="2.25.102", code="CTNECK", modality="CT"),
        PATIENT.patient,
        OrderWorld(hits=(one,)),
        POLICY,
        change(),
    )
    assert isinstance(both, KnownOrder)
    study, links, orders = linked(first(), both)
    done = change("timer")

    complete_study(study, links, orders, (), done)

    assert [event.procedure_id for event in done.events if event.name == "study.completed"] == [both.procedures[0].id]
    assert orders[0].order.state is OrderState.SCHEDULED


def test_images_that_go_on_after_a_discontinue_are_kept_linked_and_told() -> None:
    done = change()
    study, links, orders = linked(first(), order(("SC", "IP"), ("DC", None)), done=done)
    assert not done.holds

    later = change("timer")
    complete_study(study, links, orders, (), later)

    assert events(later) == ["study.completed"]
    assert orders[0].order.state is OrderState.DISCONTINUED


def test_images_for_an_order_on_hold_link_and_ask_a_person_about_the_order() -> None:
    done = change()

    _, links, (known,) = linked(first(), order(("HD", None)), done=done)

    assert len(links) == 1
    assert known.order.state is OrderState.HELD
    assert [hold.code for hold in done.holds] == ["order_start_after_held"]


def test_the_evidence_of_a_study_reads_its_person() -> None:
    assert evidence_of(first()).person == Person(name="TEST^ALPHA", birth_date="19800504", sex="F")
