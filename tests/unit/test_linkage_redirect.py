"""Images under the patient ID of a record that was merged: case A7."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.core.ids import RowId
from engine.linkage.demographics import Person
from engine.linkage.evidence import Candidate, StudyEvidence, StudyWorld
from engine.linkage.identity import KnownPatient
from engine.linkage.match import Conflict, Match, match_study
from engine.records.record import ImagingOrder, Patient, PatientIdentifier, RequestedProcedure
from engine.records.state import OrderState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ORDER = ImagingOrder(id=RowId(10), patient_id=RowId(1), state=OrderState.SCHEDULED, placed_at=NOW, cause_id=RowId(7))
PROCEDURE = RequestedProcedure(
    id=RowId(11), order_id=ORDER.id, rp_id="1", study_uid="1.2.3", state=OrderState.SCHEDULED, cause_id=RowId(7)
)


def identifier(row: int, patient: int, value: str, issuer: str = "HOSP") -> PatientIdentifier:
    return PatientIdentifier(id=RowId(row), patient_id=RowId(patient), value=value, issuer=issuer, cause_id=RowId(7))


SURVIVOR = KnownPatient(
    patient=Patient(id=RowId(1), name="TEST^ALPHA", birth_date="19800504", sex="F", updated_at=NOW, cause_id=RowId(7)),
    identifiers=(identifier(100, 1, "P0001"),),
    redirected=True,
    merged=(
        Patient(
            id=RowId(2),
            name="TRAUMA^SEVEN",
            birth_date="19900101",
            sex="M",
            identity_unknown=True,
            merged_into=RowId(1),
            updated_at=NOW,
            cause_id=RowId(7),
        ),
        Patient(id=RowId(3), merged_into=RowId(2), updated_at=NOW, cause_id=RowId(7)),
    ),
    former=(identifier(101, 2, "T0007"), identifier(102, 3, "T0003")),
)
OLD = Person(name="TRAUMA^SEVEN", birth_date="19900101", sex="M")
NEW = Person(name="TEST^ALPHA", birth_date="19800504", sex="F")


def decide(value: str, person: Person, issuer: str = "HOSP", *, by_uid: bool = True) -> Match | Conflict:
    world = StudyWorld(
        patients=(SURVIVOR,),
        by_uid=(Candidate(procedure=PROCEDURE, order=ORDER),) if by_uid else (),
        by_accession=() if by_uid else (Candidate(procedure=PROCEDURE, order=ORDER),),
        owners=(SURVIVOR,),
    )
    evidence = StudyEvidence(study_uid="1.2.3", patient_id=value, issuer=issuer, person=person)
    found = match_study(evidence, world, NOW)
    assert isinstance(found, Match | Conflict)
    return found


@pytest.mark.parametrize("issuer", ["HOSP", ""])
@pytest.mark.parametrize("value", ["T0007", "t0007 "])
def test_images_with_the_description_of_the_merged_record_are_the_survivors(value: str, issuer: str) -> None:
    found = decide(value, OLD, issuer)

    assert isinstance(found, Match)
    assert (found.patient.id, found.evidence["patient_rule"]) == (1, "A7")


@pytest.mark.parametrize(("value", "case"), [("T0007", "A1"), ("T0003", "A1"), ("P0001", "A1")])
def test_images_with_the_description_of_the_survivor_are_too(value: str, case: str) -> None:
    found = decide(value, NEW)

    assert isinstance(found, Match)
    assert found.evidence["patient_rule"] == case


@pytest.mark.parametrize(
    ("value", "person"),
    [
        ("T0007", Person(name="PROBE^GAMMA", birth_date="19900101", sex="M")),
        ("T0003", OLD),  # that record was never described
        ("P0001", OLD),  # today's number with yesterday's name
    ],
)
def test_images_of_neither_are_held(value: str, person: Person) -> None:
    found = decide(value, person)

    assert isinstance(found, Conflict)
    assert found.code == "patient_conflict"


def test_a_former_number_of_another_issuer_leads_nowhere() -> None:
    found = decide("T0007", OLD, "CLINIC")

    assert isinstance(found, Conflict)
    assert found.code == "patient_id_differs_from_order"
