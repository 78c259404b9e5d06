"""Merging, renaming and moving on the pure core: every row of the sheet, and every way in which it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from engine.core.errors import PeerError
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.errors import CircularMerge, IdentifierInUse, NoPair, NoVisitNumber, SamePatient, UnknownMerge
from engine.linkage.merge_message import ACTIONS, MergeAction, apply_merge
from engine.linkage.merge_world import MergeWorld
from engine.records.fact import IdentifierFact, MergeFact, MergePairFact, PatientFact, VisitFact
from engine.records.record import (
    Hold,
    ImagingOrder,
    Patient,
    PatientIdentifier,
    PatientMerge,
    Record,
    RequestedProcedure,
    Study,
    Visit,
)
from engine.records.report import Report
from engine.records.schedule import Appointment
from engine.records.state import (
    AppointmentState,
    Danger,
    HoldState,
    OrderState,
    PatientState,
    ReportState,
    StudyState,
    VisitState,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def said(*values: str, visit: str = "", **more: Any) -> PatientFact:
    return PatientFact(
        identifiers=tuple(IdentifierFact(value=value, issuer="HOSP", type_code="MR") for value in values),
        visit=VisitFact(number=visit, issuer="HOSP", location="W9") if visit else None,
        **more,
    )


def pair(pid: PatientFact | str, *mrg: str, visit: str = "", name: str = "") -> MergePairFact:
    return MergePairFact(
        patient=said(pid) if isinstance(pid, str) else pid,
        prior_identifiers=tuple(IdentifierFact(value=value, issuer="HOSP") for value in mrg),
        prior_name=name or None,
        prior_visit_number=visit or None,
        prior_visit_issuer="HOSP" if visit else None,
    )


class Register:
    """Patients and what hangs on them, merged message by message; `A`, `B` … are patients as well as their IDs."""

    def __init__(self, *values: str) -> None:
        self._rows: Iterator[int] = count(1000)
        self.world = MergeWorld()
        self.done = self.change()
        for row, value in enumerate(values, start=1):
            patient = Patient(id=RowId(row), name=f"TEST^{value}", updated_at=NOW, cause_id=RowId(7))
            identifier = PatientIdentifier(
                id=RowId(row + 100),
                patient_id=patient.id,
                value=value,
                issuer="HOSP",
                is_primary=True,
                cause_id=RowId(7),
            )
            self.world.learn([patient, identifier])

    def change(self) -> Change:
        return Change(Act(now=NOW, cause_kind="message", cause_id=RowId(9), new_id=lambda: RowId(next(self._rows))))

    def has(self, *records: Record) -> Register:
        self.world.learn(records)
        return self

    def send(self, *pairs: MergePairFact, event: str = "A40") -> tuple[RowId, ...] | Hold:
        self.done = self.change()
        result = apply_merge(MergeFact(event=event, pairs=pairs), self.world, self.done)
        for record in (*self.done.new.values(), *self.done.changed.values()):
            self.world.learn([record])
        return result

    def refused(self, *pairs: MergePairFact, event: str = "A40") -> PeerError:
        with pytest.raises(PeerError) as caught:
            self.send(*pairs, event=event)
        assert (self.done.new, self.done.changed, self.done.events) == ({}, {}, [])
        return caught.value

    def owner(self, value: str) -> Patient:
        found = self.world.owner(IdentifierFact(value=value, issuer="HOSP"))
        assert found is not None
        return found

    def leads_to(self, value: str) -> str:
        """Return today's first identifier of the patient whom an identifier leads to."""
        survivor = self.world.survivor(self.owner(value))
        mine = self.world.known(survivor).identifiers
        (primary,) = [each.value for each in mine if each.is_primary]
        return primary

    def names(self) -> list[str]:
        return [event.name for event in self.done.events]

    def edges(self) -> list[tuple[str, int, int, dict[str, Any]]]:
        return [
            (each.kind, each.survivor_id, each.subsumed_id, each.moved)
            for each in self.done.new.values()
            if isinstance(each, PatientMerge)
        ]


def order(row: int, patient: int, *, visit: str = "") -> ImagingOrder:
    return ImagingOrder(
        id=RowId(row),
        patient_id=RowId(patient),
        state=OrderState.SCHEDULED,
        admission_id=visit,
        placed_at=NOW,
        cause_id=RowId(7),
    )


def study(row: int, patient: int, *, accession: str = "", issuer: str = "") -> Study:
    return Study(
        id=RowId(row),
        study_uid=f"1.2.{row}",
        state=StudyState.RECEIVING,
        patient_id=RowId(patient),
        accession_number=accession,
        accession_issuer=issuer,
        first_received_at=NOW,
        last_received_at=NOW,
        cause_id=RowId(7),
    )


def hold(row: int, patient: int, state: HoldState = HoldState.OPEN) -> Hold:
    return Hold(
        id=RowId(row),
        code="patient_conflict",
        danger=Danger.RED,
        state=state,
        reason="",
        patient_id=RowId(patient),
        raised_at=NOW,
        cause_id=RowId(7),
    )


def visit(row: int, patient: int, number: str, **more: Any) -> Visit:
    return Visit(id=RowId(row), patient_id=RowId(patient), number=number, issuer="HOSP", cause_id=RowId(7), **more)


def procedure(row: int, of: int, uid: str) -> RequestedProcedure:
    return RequestedProcedure(
        id=RowId(row), order_id=RowId(of), rp_id="1", study_uid=uid, state=OrderState.SCHEDULED, cause_id=RowId(7)
    )


REPORT = Report(
    id=RowId(60),
    state=ReportState.FINAL,
    version=1,
    patient_id=RowId(2),
    received_at=NOW,
    changed_at=NOW,
    cause_id=RowId(7),
)


APPOINTMENT = Appointment(
    id=RowId(70), state=AppointmentState.WAITING, patient_id=RowId(2), changed_at=NOW, cause_id=RowId(7)
)


def test_every_event_of_the_sheet_has_its_action() -> None:
    by_action: dict[MergeAction, list[str]] = {}
    for event, action in ACTIONS.items():
        by_action.setdefault(action, []).append(event)

    assert by_action == {
        MergeAction.MERGE: ["A18", "A30", "A34", "A39", "A40"],
        MergeAction.MERGE_WITH_VISIT: ["A36"],
        MergeAction.MERGE_VISIT: ["A35", "A41", "A42"],
        MergeAction.RENAME: ["A46", "A47"],
        MergeAction.RENAME_VISIT: ["A49", "A50"],
        MergeAction.MOVE_VISIT: ["A44", "A45"],
        MergeAction.ASK: ["A43"],
    }


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40", "a40"])
def test_all_that_was_the_subsumed_patients_is_the_survivors(event: str) -> None:
    register = Register("A", "B").has(
        order(10, 2),
        order(11, 1),
        study(20, 2),
        visit(30, 2, "V1"),
        hold(40, 2),
        REPORT,
        APPOINTMENT,
        hold(41, 2, HoldState.RESOLVED),
    )

    assert register.send(pair("A", "B"), event=event) == (1,)

    assert (register.owner("B").state, register.owner("B").merged_into) == (PatientState.MERGED, 1)
    assert register.owner("A").state is PatientState.ACTIVE
    assert {row: each.patient_id for row, each in register.world.hanging.items()} == {
        10: 1, 11: 1, 20: 1, 30: 1, 40: 1, 60: 1, 70: 1, 41: 2,
    }  # fmt: skip
    ((kind, survivor, subsumed, moved),) = register.edges()
    assert (kind, survivor, subsumed) == ("record", 1, 2)
    assert moved == {
        "imaging_order": [10], "study": [20], "visit": [30], "hold": [40], "report": [60], "appointment": [70],
    }  # fmt: skip
    assert register.names() == ["order.patient_changed", "study.patient_changed", "patient.merged"]
    assert register.done.events[-1].detail == "another record, with 1 order, 1 study, 1 report"


def test_pid_survives_whatever_is_older_or_larger() -> None:
    register = Register("A", "B").has(*(order(10 + each, 1) for each in range(3)))

    register.send(pair("B", "A"))

    assert register.leads_to("A") == "B"


def test_pid_describes_the_survivor_and_mrg_does_not() -> None:
    register = Register("A", "B")

    register.send(pair(said("A", name="TEST^NEW", sex="F"), "B", name="TEST^OTHER"))

    assert (register.owner("A").name, register.owner("A").sex) == ("TEST^NEW", "F")
    assert register.owner("B").name == "TEST^B"


def test_a_pid_recorded_before_what_is_kept_merges_but_does_not_describe() -> None:
    register = Register("A", "B")
    register.has(replace(register.owner("A"), registered_at=NOW))

    register.send(pair(said("A", name="TEST^OLD", recorded_at="20260301"), "B"))

    assert register.leads_to("B") == "A"
    assert register.owner("A").name == "TEST^A"
    assert register.done.notes == [
        "not applied to the patient: what is kept of the description was recorded later",
    ]


def test_an_unknown_pid_is_created() -> None:
    register = Register("B").has(order(10, 1))

    (row,) = register.send(pair(said("A", name="TEST^NEW"), "B"))  # type: ignore[misc]

    assert register.owner("A").id == row
    assert register.leads_to("B") == "A"
    assert register.world.hanging[RowId(10)].patient_id == row
    assert register.names() == ["patient.registered", "order.patient_changed", "patient.merged"]


def test_an_unknown_mrg_is_a_tombstone_with_the_name_that_mrg_gives() -> None:
    register = Register("A")

    register.send(pair("A", "B", name="TEST^OTHER"))

    assert (register.owner("B").state, register.owner("B").name) == (PatientState.MERGED, "TEST^OTHER")
    assert register.leads_to("B") == "A"
    assert register.edges() == [("record", 1, register.owner("B").id, {})]
    assert "was not known" in register.done.notes[0]


def test_both_unknown_are_remembered() -> None:
    register = Register()

    register.send(pair("A", "B"))

    assert register.leads_to("B") == "A"
    kinds = [type(record) for record in register.done.new.values()]
    assert kinds[:2] == [Patient, Patient]  # what the other rows refer to is written first


def test_an_identifier_beside_a_known_one_is_kept_with_it() -> None:
    register = Register("A", "B")

    register.send(pair("A", "B", "B2"))

    assert register.owner("B2").id == register.owner("B").id
    assert len(register.edges()) == 1


def test_several_records_behind_mrg_are_all_merged() -> None:
    register = Register("A", "B", "C")

    register.send(pair("A", "B", "C"))

    assert (register.leads_to("B"), register.leads_to("C")) == ("A", "A")


def test_a_merge_again_is_no_merge() -> None:
    register = Register("A", "B")
    register.send(pair("A", "B"))

    assert register.send(pair(said("A", name="TEST^NEW"), "B")) == (1,)

    assert (register.done.new, register.done.changed) == ({}, {})
    assert register.done.notes == ["the records were merged before"]


def test_a_merge_again_that_names_one_more_takes_that_too() -> None:
    register = Register("A", "B")
    register.send(pair("A", "B"))

    register.send(pair("A", "B", "B2"))

    assert register.leads_to("B2") == "A"
    assert register.edges() == []


def test_the_reverse_of_a_merge_is_held() -> None:
    register = Register("A", "B")
    register.send(pair("A", "B"))

    held = register.send(pair("B", "A"))

    assert isinstance(held, Hold)
    assert (held.code, held.danger, held.patient_id) == ("merge_reversed", Danger.RED, 1)
    assert [type(record) for record in register.done.new.values()] == [Hold]
    assert register.leads_to("B") == "A"


def test_a_chain_leads_to_its_end() -> None:
    register = Register("A", "B", "C").has(order(10, 1))
    register.send(pair("B", "A"))
    register.send(pair("C", "B"))

    assert [register.leads_to(value) for value in "ABC"] == ["C", "C", "C"]
    assert register.world.hanging[RowId(10)].patient_id == 3
    assert register.send(pair("B", "A")) == (3,)  # again, after B itself was merged
    assert register.done.notes == ["the records were merged before"]


def test_a_ring_is_refused() -> None:
    register = Register("A", "B", "C")
    register.send(pair("B", "A"))
    register.send(pair("C", "B"))

    error = register.refused(pair("A", "C"))

    assert isinstance(error, CircularMerge)
    assert (error.code, error.where) == ("HL7-121", "PID^1^3")


def test_two_that_were_merged_into_a_third_are_one_already() -> None:
    register = Register("A", "B", "C")
    register.send(pair("C", "A"), pair("C", "B"))

    assert register.send(pair("A", "B")) == (3,)
    assert register.done.notes == ["the records were merged before"]


def test_a_merge_into_one_that_was_merged_goes_to_the_last() -> None:
    register = Register("A", "B", "C")
    register.send(pair("C", "A"))

    register.send(pair(said("A", name="TEST^STALE"), "B"))

    assert register.leads_to("B") == "C"
    assert register.owner("C").name == "TEST^C"  # under a former identifier nobody describes the survivor


def test_one_that_was_merged_elsewhere_is_held() -> None:
    register = Register("A", "B", "C")
    register.send(pair("C", "B"))

    held = register.send(pair("A", "B"))

    assert isinstance(held, Hold)
    assert (held.code, held.evidence) == ("merged_elsewhere", {"patients": [1, 3]})


def test_one_that_was_merged_elsewhere_is_held_for_an_unknown_pid_too() -> None:
    register = Register("A", "B")
    register.send(pair("A", "B"))

    held = register.send(pair("X", "B"))

    assert isinstance(held, Hold)
    assert (held.code, held.evidence) == ("merged_elsewhere", {"patients": [1]})


@pytest.mark.parametrize("event", ["A40", "A47"])
def test_pid_and_mrg_that_are_the_same_are_refused(event: str) -> None:
    error = Register("A").refused(pair("A", "A"), event=event)

    assert isinstance(error, SamePatient)
    assert (error.code, error.where) == ("HL7-121", "MRG^1^1")


@pytest.mark.parametrize(("pid", "mrg"), [("A", "UNKNOWN"), ("000000", "B")])
@pytest.mark.parametrize("event", ["A40", "A47"])
def test_a_placeholder_is_merged_with_nobody(pid: str, mrg: str, event: str) -> None:
    held = Register("A", "B").send(pair(pid, mrg), event=event)

    assert isinstance(held, Hold)
    assert held.code == "patient_id_missing"


def test_pid_that_names_two_patients_is_held() -> None:
    held = Register("A", "B", "C").send(pair(said("A", "C"), "B"))

    assert isinstance(held, Hold)
    assert (held.code, held.evidence) == ("identifiers_of_several_patients", {"patients": [1, 3]})


def test_a_number_that_both_sides_name_stays_valid() -> None:
    """Registered twice: the second record had the national number, which PID now gives to the survivor."""
    register = Register("A", "B")
    register.has(PatientIdentifier(id=RowId(200), patient_id=RowId(2), value="NAT", issuer="HOSP", cause_id=RowId(7)))

    register.send(pair(said("A", "NAT"), "B", "NAT"))

    assert register.owner("NAT").id == 1
    assert register.owner("B").merged_into == 1
    assert register.edges() == [("record", 1, 2, {"patient_identifier": [200]})]


def test_a_second_number_of_the_same_patient_becomes_history() -> None:
    register = Register("A")
    register.has(PatientIdentifier(id=RowId(200), patient_id=RowId(1), value="A2", issuer="HOSP", cause_id=RowId(7)))

    assert register.send(pair("A", "A2")) == (1,)

    assert register.owner("A2").merged_into == 1
    assert register.owner("A2").name == "TEST^A"
    assert register.edges() == [("identifier", 1, register.owner("A2").id, {"patient_identifier": [200]})]
    assert register.names() == ["patient.identifier_retired"]
    assert register.send(pair("A", "A2")) == (1,)
    assert register.done.notes == ["the records were merged before"]


@pytest.mark.parametrize("event", ["A46", "A47"])
def test_a_rename_keeps_the_patient_and_the_old_identifier_as_history(event: str) -> None:
    register = Register("A").has(order(10, 1))

    assert register.send(pair(said("N", name="TEST^NEW"), "A"), event=event) == (1,)

    assert register.leads_to("A") == "N"
    assert (register.owner("N").id, register.owner("N").name) == (1, "TEST^NEW")
    assert register.world.hanging[RowId(10)].patient_id == 1
    assert register.edges()[0][0] == "identifier"
    register.send(pair("N", "A"), event=event)
    assert register.done.notes == ["the records were merged before"]


def test_a_rename_goes_on_from_a_former_identifier() -> None:
    register = Register("A")
    register.send(pair("N", "A"), event="A47")

    register.send(pair("M", "A"), event="A47")

    assert (register.owner("M").id, register.leads_to("A")) == (1, "N")


def test_a_rename_to_the_identifier_of_another_patient_is_refused() -> None:
    error = Register("A", "B").refused(pair("B", "A"), event="A47")

    assert isinstance(error, IdentifierInUse)
    assert (error.code, error.where) == ("HL7-121", "PID^1^3")


def test_a_rename_under_identifiers_of_two_patients_is_refused() -> None:
    assert isinstance(Register("A", "B", "C").refused(pair(said("B", "C"), "A"), event="A47"), IdentifierInUse)


def test_a_rename_of_two_patients_at_once_is_held() -> None:
    held = Register("A", "B").send(pair("N", "A", "B"), event="A47")

    assert isinstance(held, Hold)
    assert held.code == "identifiers_of_several_patients"
    assert "of MRG" in held.reason


def test_a_rename_of_somebody_unknown_is_remembered() -> None:
    register = Register()

    register.send(pair("N", "A"), event="A47")

    assert register.leads_to("A") == "N"


def test_moving_identifiers_is_left_to_a_person() -> None:
    register = Register("A", "B")

    held, unknown = register.send(pair("A", "B"), event="A43"), register.send(pair("X", "Y"), event="A43")

    assert isinstance(held, Hold)
    assert isinstance(unknown, Hold)
    assert (held.code, held.patient_id, unknown.patient_id) == ("identifiers_moved", 1, None)


def test_pairs_see_what_the_ones_before_did() -> None:
    register = Register("A", "B", "C").has(order(10, 1))

    assert register.send(pair("B", "A"), pair("C", "B")) == (2, 3)

    assert register.leads_to("A") == "C"
    assert register.world.hanging[RowId(10)].patient_id == 3


def test_all_pairs_or_none_when_one_is_refused() -> None:
    error = Register("A", "B", "C").refused(pair("A", "B"), pair("C", "C"))

    assert error.where == "MRG^2^1"


def test_all_pairs_or_none_when_one_is_held() -> None:
    register = Register("A", "B")

    held = register.send(pair("A", "B"), pair("B", "A"))

    assert isinstance(held, Hold)
    assert held.reason.endswith("(pair 2 of 2; none was applied)")
    assert list(register.done.new.values()) == [held]
    assert not register.done.changed


def test_other_events_and_messages_without_a_pair_are_refused() -> None:
    assert isinstance(Register("A").refused(pair("A", "B"), event="A24"), UnknownMerge)
    assert isinstance(Register("A").refused(), NoPair)


@pytest.mark.parametrize(
    ("mine", "theirs", "colliding"),
    [
        (("ACC1", ""), ("acc1 ", ""), [20, 21]),
        (("ACC1", "HOSP"), ("ACC1", ""), [20, 21]),
        (("ACC1", "HOSP"), ("ACC1", "CLINIC"), []),
        (("ACC1", ""), ("ACC2", ""), []),
        (("", ""), ("", ""), []),
    ],
)
def test_studies_of_both_under_one_accession_number_are_held_and_the_merge_stands(
    mine: tuple[str, str], theirs: tuple[str, str], colliding: list[int]
) -> None:
    register = Register("A", "B").has(
        study(20, 1, accession=mine[0], issuer=mine[1]), study(21, 2, accession=theirs[0], issuer=theirs[1])
    )

    register.send(pair("A", "B"))

    assert register.leads_to("B") == "A"
    assert [(each.code, each.danger, each.study_id) for each in register.done.holds] == [
        ("accession_of_both_patients", Danger.RED, row) for row in colliding
    ]


def test_orders_of_both_under_one_study_uid_are_held() -> None:
    register = Register("A", "B").has(order(10, 1), order(11, 2), study(20, 2))
    register.has(
        procedure(50, 10, "1.2.20"), procedure(51, 11, "1.2.20"), procedure(52, 11, "1.2.9"), procedure(53, 11, "")
    )

    register.send(pair("A", "B"))

    (raised,) = register.done.holds
    assert (raised.code, raised.order_id, raised.study_id) == ("uid_of_both_patients", 10, 20)
    assert raised.evidence == {"orders": [10, 11]}


@pytest.mark.parametrize("event", ["A35", "A41", "A42"])
def test_merged_visits_take_their_orders_along(event: str) -> None:
    register = Register("A").has(visit(30, 1, "V1"), visit(31, 1, "V2"), order(10, 1, visit="V2"), order(11, 1))

    assert register.send(pair(said("A", visit="V1"), "A9", visit="V2"), event=event) == (1,)

    merged, moved = register.world.hanging[RowId(31)], register.world.hanging[RowId(10)]
    assert isinstance(merged, Visit)
    assert isinstance(moved, ImagingOrder)
    assert (merged.state, merged.merged_into, moved.admission_id) == (VisitState.MERGED, 30, "V1")
    assert register.names() == ["order.updated", "visit.merged"]
    register.send(pair(said("A", visit="V1"), "A9", visit="V2"), event=event)
    assert register.done.notes == ["the visits were merged before"]


def test_visits_merged_the_other_way_round_are_held() -> None:
    register = Register("A").has(visit(30, 1, "V1"), visit(31, 1, "V2"))
    register.send(pair(said("A", visit="V1"), "A9", visit="V2"), event="A42")

    held = register.send(pair(said("A", visit="V2"), "A9", visit="V1"), event="A42")

    assert isinstance(held, Hold)
    assert (held.code, held.danger) == ("merge_reversed", Danger.AMBER)


def test_a_visit_nobody_knew_leads_to_the_one_that_survives() -> None:
    register = Register("A").has(visit(30, 1, "V1"), visit(31, 1, "V0", merged_into=RowId(30)))

    register.send(pair(said("A", visit="V0"), "A9", visit="V2"), event="A42")

    tombstone = register.world.visit("V2", "HOSP")
    assert tombstone is not None
    assert (tombstone.state, tombstone.merged_into) == (VisitState.MERGED, 30)


@pytest.mark.parametrize("event", ["A49", "A50"])
def test_a_visit_with_another_number_is_the_same_visit(event: str) -> None:
    register = Register("A").has(visit(30, 1, "V1", class_code="I", admitted="20260301"), order(10, 1, visit="V1"))

    register.send(pair(said("A", visit="V2"), "A9", visit="V1"), event=event)

    renamed = register.world.visit("V2", "HOSP")
    assert renamed is not None
    assert (renamed.class_code, renamed.admitted, renamed.location) == ("I", "20260301", "W9")
    moved = register.world.hanging[RowId(10)]
    assert isinstance(moved, ImagingOrder)
    assert moved.admission_id == "V2"
    register.send(pair(said("A", visit="V2"), "A9", visit="V1"), event=event)
    assert register.done.notes == ["the visits were merged before"]


def test_a_visit_is_not_renamed_to_another_one() -> None:
    register = Register("A").has(visit(30, 1, "V1"), visit(31, 1, "V2"))

    assert isinstance(register.refused(pair(said("A", visit="V2"), "A9", visit="V1"), event="A50"), IdentifierInUse)


def test_patients_and_their_visits_are_merged_at_once() -> None:
    register = Register("A", "B").has(visit(30, 1, "V1"), visit(31, 2, "V2"), order(10, 2, visit="V2"))

    register.send(pair(said("A", visit="V1"), "B", visit="V2"), event="A36")

    moved, merged = register.world.hanging[RowId(10)], register.world.hanging[RowId(31)]
    assert isinstance(moved, ImagingOrder)
    assert isinstance(merged, Visit)
    assert (moved.patient_id, moved.admission_id, merged.patient_id, merged.merged_into) == (1, "V1", 1, 30)
    assert isinstance(Register("A", "B").send(pair("A", "UNKNOWN", visit="V2"), event="A36"), Hold)


@pytest.mark.parametrize("event", ["A42", "A50"])
def test_a_visit_of_another_patient_is_held(event: str) -> None:
    held = Register("A", "B").has(visit(30, 2, "V1")).send(pair(said("A", visit="V2"), "B", visit="V1"), event=event)

    assert isinstance(held, Hold)
    assert held.code == "visit_of_another_patient"


@pytest.mark.parametrize("event", ["A42", "A50", "A45"])
def test_visit_numbers_are_required(event: str) -> None:
    register = Register("A", "B")

    assert isinstance(register.refused(pair(said("A", visit="V1"), "B"), event=event), NoVisitNumber)
    if event != "A45":
        assert isinstance(register.refused(pair("A", "B", visit="V1"), event=event), NoVisitNumber)
        same = register.refused(pair(said("A", visit="V1"), "B", visit="V1"), event=event)
        assert isinstance(same, SamePatient)


@pytest.mark.parametrize("event", ["A42", "A45"])
@pytest.mark.parametrize(
    ("pid", "code"), [(("UNKNOWN",), "patient_id_missing"), (("A", "B"), "identifiers_of_several_patients")]
)
def test_visits_of_nobody_in_particular_are_held(event: str, pid: tuple[str, ...], code: str) -> None:
    held = Register("A", "B").send(pair(said(*pid, visit="V1"), "C", visit="V2"), event=event)

    assert isinstance(held, Hold)
    assert held.code == code


@pytest.mark.parametrize("event", ["A44", "A45"])
def test_a_visit_moves_with_its_orders(event: str) -> None:
    register = Register("A", "B").has(visit(30, 2, "V1"), order(10, 2, visit="V1"), order(11, 2))

    assert register.send(pair("A", "B", visit="V1"), event=event) == (1,)

    assert {row: each.patient_id for row, each in register.world.hanging.items()} == {30: 1, 10: 1, 11: 2}
    assert register.edges() == [("visit", 1, 2, {"visit": [30], "imaging_order": [10]})]
    assert register.names() == ["order.patient_changed", "visit.moved"]
    register.send(pair("A", "B", visit="V1"), event=event)
    assert register.done.notes == ["the visit was moved before"]


def test_a_visit_with_images_is_moved_by_a_person() -> None:
    register = Register("A", "B").has(visit(30, 2, "V1"), order(10, 2, visit="V1"))
    register.world.imaged = frozenset({RowId(10)})

    held = register.send(pair("A", "B", visit="V1"), event="A45")

    assert isinstance(held, Hold)
    assert (held.code, held.evidence) == ("visit_has_images", {"orders": [10]})


def test_a_visit_of_a_third_patient_does_not_move() -> None:
    held = Register("A", "B", "C").has(visit(30, 3, "V1")).send(pair("A", "B", visit="V1"), event="A45")

    assert isinstance(held, Hold)
    assert held.code == "visit_of_another_patient"


def test_a_visit_nobody_knows_does_not_move() -> None:
    register = Register("A", "B")

    register.send(pair("A", "B", visit="V1"), event="A45")

    assert register.done.notes == ["no visit has the number in MRG; nothing was moved"]


def test_what_is_said_of_a_merge_names_no_patient() -> None:
    register = Register("A", "B").has(study(20, 1, accession="SECRET1"), study(21, 2, accession="SECRET1"))
    register.send(pair(said("A", name="SECRET^NAME"), "B"))

    told = [event.detail for event in register.done.events] + [str(each.evidence) for each in register.done.holds]

    assert not any("SECRET" in text or "TEST^" in text for text in told)
