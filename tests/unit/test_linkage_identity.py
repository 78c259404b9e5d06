"""The patient decision A1-A8 and A12 on one patient: every row of spec/reconcile.md section 4 that needs no order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.core.ids import RowId
from engine.linkage.demographics import Person
from engine.linkage.identity import Verdict, is_placeholder, judge_same_id, judge_unknown_issuer, person_of
from engine.records.record import Patient

SAME, NOTED, HOLD = Verdict.SAME, Verdict.SAME_WITH_NOTE, Verdict.HOLD


def patient(
    name: str = "TEST^ALPHA", birth_date: str = "19800504", sex: str = "F", *, unknown: bool = False
) -> Patient:
    return Patient(
        id=RowId(1),
        name=name,
        birth_date=birth_date,
        sex=sex,
        identity_unknown=unknown,
        updated_at=datetime(2026, 3, 2, tzinfo=UTC),
        cause_id=RowId(2),
    )


def person(name: str = "TEST^ALPHA", birth_date: str = "19800504", sex: str = "F") -> Person:
    return Person(name=name, birth_date=birth_date, sex=sex)


@pytest.mark.parametrize(
    ("claimed", "verdict", "case"),
    [
        pytest.param(person(), SAME, "A1", id="all equal"),
        pytest.param(person(name="TESD^ALPHA"), SAME, "A1", id="name close, date equal"),
        pytest.param(person(name=""), SAME, "A1", id="name absent"),
        pytest.param(person(birth_date="", sex=""), SAME, "A1", id="date and sex absent"),
        pytest.param(person(sex="O"), SAME, "A1", id="sex other is no conflict"),
        pytest.param(person(birth_date="19000101"), SAME, "A1", id="stand-in date is absent"),
        pytest.param(person(birth_date="19800405"), NOTED, "A2", id="day and month swapped"),
        pytest.param(person(birth_date="1980"), NOTED, "A2", id="year alone"),
        pytest.param(person(birth_date="19801231"), NOTED, "A2", id="year equal"),
        pytest.param(person(name="PROBE^BETA"), HOLD, "A3", id="name different"),
        pytest.param(person(name="PROBE^BETA", birth_date=""), HOLD, "A3", id="name different, date absent"),
        pytest.param(person(birth_date="19710504"), HOLD, "A4", id="date different"),
        pytest.param(person(name="TESD^ALPHA", birth_date="19801231"), HOLD, "A4", id="name close, date different"),
        pytest.param(person(name="", birth_date="19801231"), HOLD, "A4", id="name absent, date different"),
        pytest.param(person(name="TESD^ALPHA", birth_date="19800405"), HOLD, "A4", id="name and date only close"),
        pytest.param(person(name="PROBE^BETA", birth_date="19710504"), HOLD, "A5", id="somebody else"),
        pytest.param(person(name="PROBE^BETA", birth_date="19801231"), HOLD, "A5", id="somebody else of that year"),
        pytest.param(person(name="PROBE^BETA", birth_date="19800405"), HOLD, "A3", id="name different, date close"),
        pytest.param(person(sex="M"), HOLD, "A6", id="sex conflict"),
        pytest.param(person(name="PROBE^BETA", birth_date="19710504", sex="M"), HOLD, "A6", id="all different"),
    ],
)
def test_equal_identifier_and_issuer(claimed: Person, verdict: Verdict, case: str) -> None:
    judged = judge_same_id(claimed, patient())

    assert (judged.verdict, judged.case) == (verdict, case)
    assert judged.reason
    assert not any(value in judged.reason for value in (claimed.name, claimed.birth_date) if value)


@pytest.mark.parametrize(
    ("claimed", "verdict", "case"),
    [
        pytest.param(person(), NOTED, "A8", id="name and date equal"),
        pytest.param(person(sex=""), NOTED, "A8", id="sex absent"),
        pytest.param(person(name="TESD^ALPHA"), HOLD, "A8", id="name only close"),
        pytest.param(person(birth_date=""), HOLD, "A8", id="date absent"),
        pytest.param(person(name=""), HOLD, "A8", id="name absent"),
        pytest.param(person(sex="M"), HOLD, "A6", id="sex conflict"),
        pytest.param(person(name="PROBE^BETA"), HOLD, "A3", id="name different"),
    ],
)
def test_identifier_without_issuer_needs_name_and_birth_date(claimed: Person, verdict: Verdict, case: str) -> None:
    judged = judge_unknown_issuer(claimed, patient(), order_names_patient=False)

    assert (judged.verdict, judged.case) == (verdict, case)


def test_an_order_of_the_patient_is_the_second_fact_for_an_identifier_without_issuer() -> None:
    judged = judge_unknown_issuer(person(name="", birth_date=""), patient(), order_names_patient=True)
    against = judge_unknown_issuer(person(sex="M"), patient(), order_names_patient=True)

    assert (judged.verdict, judged.case) == (NOTED, "A8")
    assert "nobody says who assigned the ID" in judged.reason
    assert (against.verdict, against.case) == (HOLD, "A6")


def test_a_patient_whose_identity_is_unknown_has_no_name_to_contradict() -> None:
    trauma = patient(name="UNKNOWN^MALE", birth_date="", sex="", unknown=True)

    assert person_of(trauma).name == ""
    assert judge_same_id(person(), trauma).verdict is SAME


@pytest.mark.parametrize("stated", ["", "  ", "0", "000000", "unknown", " Trauma ", "PHANTOM", "QC", "TEST", "N/A"])
def test_placeholders_name_nobody(stated: str) -> None:
    assert is_placeholder(stated)


@pytest.mark.parametrize("stated", ["P0001", "0012", "UNKNOWN7", "TEST01"])
def test_other_identifiers_name_somebody(stated: str) -> None:
    assert not is_placeholder(stated)
