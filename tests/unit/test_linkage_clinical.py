"""What a modality must know of the patient: units, caution, and what a change leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.clinical import clinical_facts
from engine.records.explicit import NULL, Stated
from engine.records.fact import ClinicalFact, ObservationFact


def change() -> Change:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    return Change(Act(now=now, cause_kind="message", cause_id=RowId(1), new_id=lambda: RowId(2)))


@pytest.mark.parametrize(
    ("kind", "value", "units", "name", "kept"),
    [
        ("weight", "70", "kg", "weight_kg", "70"),
        ("weight", "70,25", "KG", "weight_kg", "70.25"),
        ("weight", "3450", "g", "weight_kg", "3.45"),
        ("weight", "154.3", "[lb_av]", "weight_kg", "69.989"),
        ("weight", "154.3", "lbs", "weight_kg", "69.989"),
        ("height", "172", "cm", "size_m", "1.72"),
        ("height", "1.72", "m", "size_m", "1.72"),
        ("height", "68", "[in_i]", "size_m", "1.727"),
        ("last_menstruation", "20261001", None, "last_menstrual_date", "20261001"),
        ("last_menstruation", "202610011200", None, "last_menstrual_date", "20261001"),
    ],
)
def test_measures_are_kept_in_the_units_of_dicom(kind: str, value: str, units: Stated, name: str, kept: str) -> None:
    said = ClinicalFact(observations=(ObservationFact(kind=kind, value=value, units=units),))

    assert clinical_facts(said, {}, change()) == {name: kept}


@pytest.mark.parametrize(
    ("kind", "value", "units", "name"),
    [
        ("weight", "70", None, "weight_kg"),
        ("weight", "70", "stone", "weight_kg"),
        ("weight", "heavy", "kg", "weight_kg"),
        ("weight", "-3", "kg", "weight_kg"),
        ("weight", "70000", "kg", "weight_kg"),
        ("weight", "nan", "kg", "weight_kg"),
        ("height", "172", "m", "size_m"),
        ("last_menstruation", "2026", None, "last_menstrual_date"),
    ],
)
def test_a_measure_that_may_be_wrong_is_left_out_and_the_sender_told(
    kind: str, value: str, units: Stated, name: str
) -> None:
    decision = change()
    said = ClinicalFact(observations=(ObservationFact(kind=kind, value=value, units=units),))

    assert clinical_facts(said, {}, decision) == {}
    assert decision.notes == [f"{name} not taken: OBX-5 and OBX-6 do not give it with its unit"]


@pytest.mark.parametrize(
    ("of_visit", "of_observation", "kept"),
    [("3", "1", "3"), ("3", "4", "3"), (None, "1", "1"), (None, "2", "2"), ("1", "2", "2"), ("4", "1", "4")],
)
def test_of_two_statements_on_pregnancy_the_more_cautious_one_counts(
    of_visit: Stated, of_observation: str, kept: str
) -> None:
    observation = ObservationFact(kind="pregnancy", pregnancy=of_observation)
    said = ClinicalFact(pregnancy_status=of_visit, observations=(observation,))

    assert clinical_facts(said, {}, change()) == {"pregnancy_status": kept}


def test_a_later_message_corrects_an_earlier_one() -> None:
    said = ClinicalFact(observations=(ObservationFact(kind="pregnancy", pregnancy="1"),))

    assert clinical_facts(said, {"pregnancy_status": "3"}, change()) == {"pregnancy_status": "1"}


def test_absent_keeps_and_null_erases() -> None:
    old = {"allergies": "LATEX", "medical_alerts": "Pacemaker", "weight_kg": "70"}

    assert clinical_facts(None, old, change()) == old
    assert clinical_facts(ClinicalFact(allergies=NULL), old, change()) == {
        "medical_alerts": "Pacemaker",
        "weight_kg": "70",
    }


def test_an_observation_of_no_known_kind_is_left_out() -> None:
    assert clinical_facts(ClinicalFact(observations=(ObservationFact(kind="mood", value="1"),)), {}, change()) == {}
