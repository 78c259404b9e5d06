"""How a patient record comes to be, changes, and is refused to messages that mean somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.identity import KnownPatient
from engine.linkage.patient import register
from engine.linkage.visit import note_visit
from engine.records.explicit import NULL
from engine.records.fact import IdentifierFact, PatientFact, VisitFact
from engine.records.record import Hold, Patient, PatientIdentifier, Visit
from engine.records.state import Danger

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROWS: Iterator[int] = count(1000)


def change(cause: int = 7, kind: str = "message") -> Change:
    return Change(Act(now=NOW, cause_kind=kind, cause_id=RowId(cause), new_id=lambda: RowId(next(ROWS))))


def fact(*values: str, **more: object) -> PatientFact:
    described: dict[str, object] = {"name": "TEST^ALPHA", "birth_date": "19800504", "sex": "F", **more}
    identifiers = tuple(IdentifierFact(value=value, issuer="HOSP", type_code="MR") for value in values or ("P0001",))
    return PatientFact(identifiers=identifiers, **described)  # type: ignore[arg-type]


def registered(said: PatientFact | None = None) -> KnownPatient:
    known = register(said or fact(), (), change(), registrar=True)
    assert isinstance(known, KnownPatient)
    return known


def test_a_new_patient_is_registered_with_all_identifiers() -> None:
    done = change()

    known = register(fact("P0001", "P0001", "N77"), (), done, registrar=False)

    assert isinstance(known, KnownPatient)
    assert (known.patient.name, known.patient.birth_date, known.patient.sex) == ("TEST^ALPHA", "19800504", "F")
    assert [(each.value, each.issuer, each.is_primary) for each in known.identifiers] == [
        ("P0001", "HOSP", True),
        ("N77", "HOSP", False),
    ]
    assert list(done.new.values()) == [known.patient, *known.identifiers]
    assert [event.name for event in done.events] == ["patient.registered"]


@pytest.mark.parametrize("values", [("UNKNOWN",), ("000000", "TRAUMA")])
def test_a_message_that_names_nobody_is_held(values: tuple[str, ...]) -> None:
    done = change()

    held = register(fact(*values), (), done, registrar=True)

    assert isinstance(held, Hold)
    assert (held.code, held.danger) == ("patient_id_missing", Danger.RED)
    assert [type(record) for record in done.new.values()] == [Hold]


def test_a_placeholder_beside_an_identifier_is_not_kept() -> None:
    assert [each.value for each in registered(fact("UNKNOWN", "P0001")).identifiers] == ["P0001"]


def test_identifiers_of_several_patients_are_held() -> None:
    one, two = registered(fact("P0001")), registered(fact("P0002"))
    done = change()

    held = register(fact("P0001", "P0002"), (one, two), done, registrar=True)

    assert isinstance(held, Hold)
    assert (held.code, held.danger) == ("identifiers_of_several_patients", Danger.RED)
    assert held.evidence == {"patients": [one.patient.id, two.patient.id]}
    assert held.message_id == 7
    assert [event.name for event in done.events] == ["hold.raised"]


def test_an_order_that_says_the_same_changes_nothing() -> None:
    done = change()
    known = registered()

    again = register(fact(), (known,), done, registrar=False)

    assert again == known
    assert (done.new, done.changed, done.events, done.notes) == ({}, {}, [], [])


def test_an_order_fills_gaps_and_never_overwrites() -> None:
    known = registered(fact(birth_date=None, sex=None))
    done = change(cause=8)

    after = register(fact("P0001", "N77", name="TESD^ALPHA", sex="F"), (known,), done, registrar=False)

    assert isinstance(after, KnownPatient)
    assert (after.patient.name, after.patient.birth_date, after.patient.sex) == ("TEST^ALPHA", "19800504", "F")
    assert (after.patient.updated_at, after.patient.cause_id) == (NOW, 8)
    assert [(each.value, each.is_primary) for each in after.identifiers] == [("P0001", True), ("N77", False)]
    assert [event.name for event in done.events] == ["patient.updated"]


def test_an_order_for_somebody_else_is_held() -> None:
    done = change()

    held = register(fact(name="PROBE^BETA", birth_date="19700101"), (registered(),), done, registrar=False)

    assert isinstance(held, Hold)
    assert (held.code, held.danger, held.evidence["rule"]) == ("patient_conflict", Danger.RED, "A5")
    assert held.reason.endswith("(rule A5)")
    assert not done.changed


def test_an_order_that_differs_a_little_is_noted() -> None:
    done = change()

    assert isinstance(register(fact(birth_date="1980"), (registered(),), done, registrar=False), KnownPatient)
    assert done.notes == ["patient ID and name are the same, the birth date nearly"]


def test_an_order_for_a_patient_of_unknown_identity_is_not_compared() -> None:
    trauma = registered(fact(name="UNKNOWN^MALE", birth_date=None, sex="M", identity_unknown="Y"))
    done = change()

    after = register(fact(sex="F"), (trauma,), done, registrar=False)

    assert isinstance(after, KnownPatient)
    assert (after.patient.name, after.patient.sex) == ("UNKNOWN^MALE", "M")


def test_registration_replaces_erases_and_keeps() -> None:
    known = registered(fact(identity_unknown="Y"))
    done = change()

    after = register(
        fact(name="PROBE^BETA", birth_date=NULL, sex=None, identity_unknown=None), (known,), done, registrar=True
    )
    cleared = register(fact(identity_unknown=NULL), (known,), change(), registrar=True)

    assert isinstance(after, KnownPatient)
    assert (after.patient.name, after.patient.birth_date, after.patient.sex) == ("PROBE^BETA", "", "F")
    assert after.patient.identity_unknown
    assert isinstance(cleared, KnownPatient)
    assert not cleared.patient.identity_unknown


def test_a_message_under_a_merged_identifier_does_not_describe_the_survivor() -> None:
    known = registered()
    redirected = KnownPatient(patient=known.patient, identifiers=known.identifiers, redirected=True)
    done = change()

    after = register(fact(name="TEST^OLDNAME"), (redirected,), done, registrar=True)

    assert after == redirected
    assert not done.changed


def at(moment: str) -> dict[str, str]:
    return {"recorded_at": moment}


def test_a_registration_that_comes_late_changes_nothing_and_the_sender_is_told() -> None:
    known = registered(fact(**at("20260302080000")))
    done = change()

    after = register(fact("P0001", "N77", name="TEST^OLD", **at("20260302075959")), (known,), done, registrar=True)

    assert after == known
    assert (done.new, done.changed, done.events) == ({}, {}, [])
    assert done.notes == ["not applied to the patient: what is kept of the description was recorded later"]


def test_a_registration_moves_the_time_on_and_tells_only_what_changed() -> None:
    known = registered(fact(**at("20260302080000")))
    done = change(cause=8)

    after = register(fact(**at("20260302090000")), (known,), done, registrar=True)

    assert isinstance(after, KnownPatient)
    assert after.patient.registered_at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert (after.patient.updated_at, after.patient.cause_id) == (known.patient.updated_at, known.patient.cause_id)
    assert list(done.changed.values()) == [after.patient]
    assert done.events == []


def test_a_time_of_less_precision_never_moves_back() -> None:
    known = registered(fact(**at("20260302080000")))

    after = register(fact(name="TEST^NEW", **at("20260302")), (known,), change(), registrar=True)

    assert isinstance(after, KnownPatient)
    assert (after.patient.name, after.patient.registered_at) == ("TEST^NEW", known.patient.registered_at)


def test_an_order_is_never_late() -> None:
    known = registered(fact(birth_date=None, **at("20260302080000")))

    after = register(fact(**at("20260301")), (known,), change(), registrar=False)

    assert isinstance(after, KnownPatient)
    assert (after.patient.birth_date, after.patient.registered_at) == ("19800504", known.patient.registered_at)


def test_another_identifier_is_told() -> None:
    known = registered()
    done = change()

    register(fact("P0001", "N77"), (known,), done, registrar=True)

    assert [(event.name, event.detail) for event in done.events] == [("patient.updated", "another identifier")]


def merged(**old: object) -> KnownPatient:
    """Return P0001, whom P0009 was merged into, found by P0009."""
    known = registered()
    described: dict[str, object] = {"name": "TRAUMA^SEVEN", "sex": "M", **old}
    record = Patient(id=RowId(9), updated_at=NOW, cause_id=RowId(7), merged_into=known.patient.id, **described)  # type: ignore[arg-type]
    former = PatientIdentifier(id=RowId(10), patient_id=RowId(9), value="P0009", issuer="HOSP", cause_id=RowId(7))
    return KnownPatient(
        patient=known.patient, identifiers=known.identifiers, redirected=True, merged=(record,), former=(former,)
    )


@pytest.mark.parametrize("identity_unknown", [True, False])
def test_an_order_under_a_former_identifier_may_describe_the_patient_as_before_the_merge(
    identity_unknown: bool,  # a column of the table
) -> None:
    known = merged(identity_unknown=identity_unknown)
    done = change()

    after = register(fact("P0009", name="TRAUMA^SEVEN", birth_date=None, sex="M"), (known,), done, registrar=False)

    assert after == known
    assert (done.new, done.changed, done.events) == ({}, {}, [])


def test_an_order_under_a_former_identifier_may_describe_the_survivor() -> None:
    known = merged()

    assert register(fact("P0009"), (known,), change(), registrar=False) == known


def test_an_order_under_a_former_identifier_for_somebody_else_is_held() -> None:
    held = register(fact("P0009", name="PROBE^GAMMA"), (merged(),), change(), registrar=False)

    assert isinstance(held, Hold)
    assert held.code == "patient_conflict"


def test_a_tombstone_without_a_description_is_no_excuse() -> None:
    held = register(fact("P0009", name="PROBE^GAMMA"), (merged(name="", sex=""),), change(), registrar=False)

    assert isinstance(held, Hold)


def test_a_visit_is_kept_changed_and_left_alone() -> None:
    done = change()
    said = VisitFact(number="V1", issuer="HOSP", class_code="I", location="W1", attending="TEST^DOCTOR")

    visit = note_visit(said, None, RowId(1), done)
    assert isinstance(visit, Visit)
    assert (visit.number, visit.patient_id, visit.location) == ("V1", 1, "W1")

    later = change()
    moved = note_visit(VisitFact(number="V1", issuer="HOSP", location="W2"), visit, RowId(1), later)
    assert isinstance(moved, Visit)
    assert (moved.location, moved.class_code) == ("W2", "I")
    assert list(later.changed.values()) == [moved]

    same = change()
    assert note_visit(said, visit, RowId(1), same) == visit
    assert not same.changed


def test_a_visit_of_another_patient_is_not_taken_over() -> None:
    visit = note_visit(VisitFact(number="V1"), None, RowId(1), change())
    done = change()

    assert note_visit(VisitFact(number="V1", location="W9"), visit, RowId(2), done) == visit
    assert not done.changed
    assert done.notes == ["the visit number is that of another patient's visit, which stays as it was"]


def test_without_a_visit_number_nothing_is_noted() -> None:
    done = change()

    assert note_visit(None, None, RowId(1), done) is None
    assert note_visit(VisitFact(location="W1"), None, RowId(1), done) is None
    assert not done.new


def test_a_record_made_and_altered_in_one_decision_is_written_once() -> None:
    done = change(kind="instance")
    patient = Patient(id=RowId(1), updated_at=NOW, cause_id=RowId(7))
    named = Patient(id=RowId(1), name="TEST^ALPHA", updated_at=NOW, cause_id=RowId(7))

    done.create(patient)
    done.alter(named)
    held = done.hold("code", Danger.YELLOW, "reason")

    assert list(done.new.values()) == [named, held]
    assert not done.changed
    assert (held.message_id, held.cause_id) == (None, 7)
    assert isinstance(next(iter(registered().identifiers)), PatientIdentifier)
