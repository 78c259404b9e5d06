"""The match ladder: whose images are these (A1-A12), which order (B1-B4, B8), and in which words they are held."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.core.ids import RowId
from engine.linkage.demographics import Person
from engine.linkage.evidence import Candidate, StudyEvidence, StudyWorld, are_compatible, contradicts, evidence_of
from engine.linkage.identity import KnownPatient
from engine.linkage.match import MATCH_HOLDS, Conflict, Match, Unmatched, match_study
from engine.records.fact import InstanceFact, RequestAttributes
from engine.records.record import ImagingOrder, Patient, PatientIdentifier, RequestedProcedure, ScheduledStep, Study
from engine.records.state import Danger, OrderState, StepState, StudyState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
UID = "2.25.101"
OTHER_UID = "2.25.202"


def patient(
    row: int = 1, value: str = "P0001", issuer: str = "HOSP", name: str = "TEST^ALPHA", sex: str = "F", **more: str
) -> KnownPatient:
    kept = Patient(
        id=RowId(row),
        name=name,
        birth_date=more.get("birth_date", "19800504"),
        sex=sex,
        updated_at=NOW,
        cause_id=RowId(9),
    )
    identifier = PatientIdentifier(
        id=RowId(row + 50), patient_id=kept.id, value=value, issuer=issuer, is_primary=True, cause_id=RowId(9)
    )
    return KnownPatient(patient=kept, identifiers=(identifier,))


def candidate(
    order: int = 100,
    of: int = 1,
    procedure: int = 200,
    uid: str = UID,
    modality: str = "CT",
    state: OrderState = OrderState.SCHEDULED,
    rp_id: str = "RP1",
    sps_id: str = "SPS1",
    placed_at: datetime = NOW,
) -> Candidate:
    return Candidate(
        order=ImagingOrder(
            id=RowId(order),
            patient_id=RowId(of),
            state=state,
            accession_number="ACC1",
            placed_at=placed_at,
            cause_id=RowId(9),
        ),
        procedure=RequestedProcedure(
            id=RowId(procedure), order_id=RowId(order), rp_id=rp_id, study_uid=uid, state=state, cause_id=RowId(9)
        ),
        steps=(
            ScheduledStep(
                id=RowId(procedure + 100),
                procedure_id=RowId(procedure),
                sps_id=sps_id,
                state=StepState.SCHEDULED,
                modality=modality,
                cause_id=RowId(9),
            ),
        ),
    )


def evidence(
    patient_id: str = "P0001", issuer: str = "HOSP", person: Person | None = None, **more: str
) -> StudyEvidence:
    return StudyEvidence(
        study_uid=more.get("study_uid", UID),
        patient_id=patient_id,
        issuer=issuer,
        person=person or Person(name="TEST^ALPHA", birth_date="19800504", sex="F"),
        accession_number="ACC1",
        study_id=more.get("study_id", ""),
        modalities=(more.get("modality", "CT"),),
    )


def world(
    *owners: KnownPatient,
    by_uid: tuple[Candidate, ...] = (),
    by_accession: tuple[Candidate, ...] = (),
    patients: tuple[KnownPatient, ...] | None = None,
) -> StudyWorld:
    return StudyWorld(
        patients=owners if patients is None else patients, by_uid=by_uid, by_accession=by_accession, owners=owners
    )


def conflict(said: StudyEvidence, known: StudyWorld) -> Conflict:
    found = match_study(said, known, NOW)
    assert isinstance(found, Conflict)
    assert found.code in MATCH_HOLDS
    return found


def match(said: StudyEvidence, known: StudyWorld) -> Match:
    found = match_study(said, known, NOW)
    assert isinstance(found, Match)
    return found


# --- step A: whose images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "case"),
    [
        pytest.param(Person(name="TEST^ALPHA", birth_date="19800504", sex="F"), "A1", id="A1"),
        pytest.param(Person(name="", birth_date="", sex=""), "A1", id="A1, images say nothing"),
        pytest.param(Person(name="TEST^ALPHA", birth_date="19800405", sex="F"), "A2", id="A2"),
    ],
)
def test_images_of_the_orders_patient_are_linked(person: Person, case: str) -> None:
    found = match(evidence(person=person), world(patient(), by_uid=(candidate(),)))

    assert found.patient.id == 1
    assert (found.rule, found.evidence["patient_rule"], found.evidence["patient_id"]) == ("B1", case, "equal")
    assert found.reason.startswith("the Study Instance UID is the one ordered; ")
    assert found.reason.endswith(f"({case})")


@pytest.mark.parametrize(
    ("person", "case", "words"),
    [
        pytest.param(Person(name="PROBE^BETA", birth_date="19800504"), "A3", "the name is not", id="A3"),
        pytest.param(Person(name="TEST^ALPHA", birth_date="19700504"), "A4", "the birth date is not", id="A4"),
        pytest.param(Person(name="PROBE^BETA", birth_date="19700504"), "A5", "those of somebody else", id="A5"),
        pytest.param(Person(name="TEST^ALPHA", birth_date="19800504", sex="M"), "A6", "the sex is not", id="A6"),
    ],
)
def test_images_that_contradict_the_patient_are_held_red(person: Person, case: str, words: str) -> None:
    found = conflict(evidence(person=person), world(patient(), by_uid=(candidate(),), by_accession=(candidate(),)))

    assert (found.code, found.danger, found.evidence["rule"]) == ("patient_conflict", Danger.RED, case)
    assert words in found.reason
    assert found.reason.endswith(f"(rule {case})")
    assert found.patient is not None
    assert found.patient.id == 1
    assert found.candidate == candidate()


def test_a_patient_conflict_is_held_without_any_order_too() -> None:
    found = conflict(evidence(person=Person(name="PROBE^BETA")), world(patients=(patient(),)))

    assert (found.code, found.candidate) == ("patient_conflict", None)


def test_a7_an_identifier_of_a_merged_record_leads_to_the_survivor() -> None:
    survivor = patient()
    old = PatientIdentifier(id=RowId(77), patient_id=RowId(7), value="OLD7", issuer="HOSP", cause_id=RowId(9))
    redirected = replace(survivor, identifiers=(*survivor.identifiers, old), redirected=True)

    found = match(evidence(patient_id="OLD7"), world(redirected, by_uid=(candidate(),)))

    assert found.patient == survivor.patient


def test_a8_one_patient_has_the_id_and_the_order_is_the_second_fact() -> None:
    found = match(evidence(issuer="", person=Person()), world(patient(), by_accession=(candidate(),)))

    assert (found.rule, found.evidence["patient_rule"]) == ("B3", "A8")


def test_a8_without_an_order_name_and_birth_date_must_be_equal() -> None:
    known = world(patients=(patient(),))

    assert match_study(evidence(issuer=""), known, NOW) == Unmatched(patient=patient().patient)
    found = conflict(evidence(issuer="", person=Person(name="TEST^ALPHA")), known)
    assert (found.code, found.evidence["rule"]) == ("patient_conflict", "A8")
    assert "nobody says who assigned the patient ID" in found.reason


def test_a8_several_patients_with_the_id_are_held() -> None:
    one, two = patient(1, issuer="HOSP"), patient(2, issuer="CLINIC")

    found = conflict(evidence(issuer=""), world(patients=(two, one)))

    assert (found.code, found.danger) == ("patient_id_of_several_issuers", Danger.RED)
    assert found.reason == "2 patients have this ID from different issuers and the images name no issuer"
    assert found.evidence["patients"] == [1, 2]


def test_a8_an_order_tells_which_of_several_patients_is_meant() -> None:
    one, two = patient(1, issuer="HOSP"), patient(2, issuer="CLINIC", name="PROBE^BETA")

    found = match(evidence(issuer=""), world(one, patients=(one, two), by_uid=(candidate(),)))

    assert found.patient.id == 1


def test_one_identifier_in_two_spellings_is_held_and_not_the_first_row_taken() -> None:
    one, two = patient(1, value="p0001"), patient(2, value="P0001")

    found = conflict(evidence(), world(patients=(one, two)))

    assert found.reason == "2 patients have this ID"


def test_the_same_number_of_another_hospital_is_another_patient() -> None:
    other = patient(issuer="CLINIC")

    found = conflict(evidence(issuer="HOSP"), world(other, by_uid=(candidate(),)))

    assert match_study(evidence(issuer="HOSP"), world(patients=(other,)), NOW) == Unmatched()
    assert found.code == "patient_id_differs_from_order"
    assert (
        found.reason
        == "the images carry the Study Instance UID of an order but the order's patient ID from another issuer"
    )
    assert found.evidence["patient_id"] == "same value, other issuer"


@pytest.mark.parametrize("by", ["Study Instance UID", "accession number"])
def test_a9_an_unknown_id_with_an_orders_number_is_held_never_linked_by_demographics(by: str) -> None:
    hit = candidate() if by == "Study Instance UID" else candidate(uid=OTHER_UID)
    hits = {"by_uid": (hit,)} if by == "Study Instance UID" else {"by_accession": (hit,)}

    found = conflict(evidence(patient_id="P9999"), world(patient(), patients=(), **hits))

    assert (found.code, found.danger) == ("patient_id_differs_from_order", Danger.RED)
    assert found.reason == f"the images carry the {by} of an order but a patient ID that is not the order's patient"
    assert found.evidence == {
        "rule": "A9",
        "by": by,
        "patient_id": "different",
        "name": "equal",
        "birth_date": "equal",
        "sex": "no conflict",
    }
    assert (found.patient, found.candidate) == (patient().patient, hit)


def test_a9_an_unknown_id_without_any_order_waits() -> None:
    assert match_study(evidence(patient_id="P9999"), world(), NOW) == Unmatched()
    assert match_study(evidence(patient_id="P9999", issuer=""), world(), NOW) == Unmatched()


def test_a11_no_id_but_our_uid_with_name_and_birth_date_is_linked() -> None:
    found = match(evidence(patient_id=" "), world(patient(), by_uid=(candidate(),)))

    assert (found.evidence["patient_rule"], found.evidence["patient_id"]) == ("A11", "empty")


@pytest.mark.parametrize(
    "person",
    [
        Person(name="TESD^ALPHA", birth_date="19800504"),
        Person(name="TEST^ALPHA"),
        Person(name="TEST^ALPHA", birth_date="19800504", sex="M"),
    ],
)
def test_a11_no_id_and_our_uid_without_both_is_held(person: Person) -> None:
    found = conflict(evidence(patient_id="", person=person), world(patient(), by_uid=(candidate(),)))

    assert (found.code, found.danger, found.evidence["rule"]) == ("patient_id_missing", Danger.RED, "A11")
    assert "no patient ID, and name and birth date do not agree" in found.reason
    assert found.patient == patient().patient


def test_a11_no_id_and_only_the_accession_number_is_held() -> None:
    found = conflict(evidence(patient_id=""), world(patient(), by_accession=(candidate(),)))

    assert found.code == "patient_id_missing"
    assert found.reason == "the images carry an order's accession number but no patient ID"


def test_a11_no_id_and_nothing_else_waits() -> None:
    assert match_study(evidence(patient_id=""), world(), NOW) == Unmatched()


@pytest.mark.parametrize("placeholder", ["UNKNOWN", "000000", "phantom"])
def test_a12_a_placeholder_never_links(placeholder: str) -> None:
    found = conflict(evidence(patient_id=placeholder), world(patient(), by_uid=(candidate(),)))

    assert (found.code, found.evidence["rule"]) == ("patient_id_missing", "A12")
    assert found.reason == "the images carry an order's Study Instance UID but only a placeholder as patient ID"
    assert match_study(evidence(patient_id=placeholder), world(), NOW) == Unmatched()


# --- orders of another patient beat every match ----------------------------------------------------------------------


def test_the_uid_of_another_patients_order_is_held_red() -> None:
    me, other = patient(1), patient(2, value="P0002", name="PROBE^BETA")

    found = conflict(evidence(), world(other, patients=(me,), by_uid=(candidate(of=2),)))

    assert (found.code, found.danger) == ("uid_of_another_patient", Danger.RED)
    assert found.reason == "the images carry the Study Instance UID of another patient's order"
    assert (found.patient, found.candidate) == (me.patient, candidate(of=2))


def test_the_accession_number_of_another_patients_order_is_held_red_even_under_the_right_uid() -> None:
    me, other = patient(1), patient(2, value="P0002", name="PROBE^BETA")
    theirs = candidate(order=101, of=2, procedure=201, uid=OTHER_UID)

    found = conflict(evidence(), world(me, other, patients=(me,), by_uid=(candidate(),), by_accession=(theirs,)))

    assert (found.code, found.danger) == ("accession_of_another_patient", Danger.RED)
    assert found.reason == "the images carry the accession number of another patient's order"


# --- step B: which order ---------------------------------------------------------------------------------------------


def test_b1_a_grouped_uid_links_all_its_procedures() -> None:
    one, two = candidate(), candidate(procedure=201, rp_id="RP2")

    found = match(evidence(), world(patient(), by_uid=(two, one)))

    assert found.candidates == (one, two)


def test_b1_a_grouped_uid_leaves_out_the_procedure_that_was_cancelled() -> None:
    one, two = candidate(), candidate(procedure=201, rp_id="RP2", state=OrderState.CANCELLED)

    assert match(evidence(), world(patient(), by_uid=(one, two))).candidates == (one,)


def test_b1_uid_of_one_order_and_accession_of_another_of_the_same_patient_is_held() -> None:
    other = candidate(order=101, procedure=201, uid=OTHER_UID)

    found = conflict(evidence(), world(patient(), by_uid=(candidate(),), by_accession=(other,)))

    assert (found.code, found.danger) == ("uid_and_accession_of_different_orders", Danger.AMBER)
    assert "one order of the patient and the accession number to another" in found.reason
    assert found.evidence == {"patient_rule": "A1", "rule": "B1", "orders": [100, 101]}
    assert found.patient == patient().patient


def test_b1_does_not_ask_for_the_modality_and_takes_late_images_of_a_completed_order() -> None:
    done = candidate(state=OrderState.COMPLETED, placed_at=NOW - timedelta(days=90))

    assert match(evidence(modality="MR"), world(patient(), by_uid=(done,))).rule == "B1"


def request(sps_id: str = "SPS1", rp_id: str = "") -> RequestAttributes:
    return RequestAttributes(accession_number="ACC1", sps_id=sps_id, rp_id=rp_id)


def test_b2_request_attributes_name_the_step_among_several_procedures() -> None:
    one = candidate(uid=OTHER_UID, sps_id="SPS1")
    two = candidate(procedure=201, uid="2.25.3", sps_id="SPS2", rp_id="RP2")
    known = world(patient(), by_accession=(one, two))

    for attributes in (request("SPS2"), request("SPS2", "RP2")):
        found = match(replace(evidence(), requests=(attributes,)), known)

        assert (found.rule, found.candidates) == ("B2", (two,))
        assert "the Request Attributes name the scheduled step" in found.reason


def test_b2_all_items_of_a_grouped_acquisition_count() -> None:
    one = candidate(uid=OTHER_UID, sps_id="SPS1")
    two = candidate(procedure=201, uid="2.25.3", sps_id="SPS2")

    found = match(
        replace(evidence(), requests=(request("SPS1"), request("SPS2"))), world(patient(), by_accession=(one, two))
    )

    assert found.candidates == (one, two)


@pytest.mark.parametrize("attributes", [request("SPS9"), request(""), request("SPS1", "RP9")])
def test_b2_attributes_that_name_no_step_of_the_order_are_passed_over(attributes: RequestAttributes) -> None:
    said = replace(evidence(), requests=(attributes,))

    assert match(said, world(patient(), by_accession=(candidate(uid=OTHER_UID),))).rule == "B3"


def test_b3_the_accession_number_of_the_only_open_procedure_links() -> None:
    found = match(evidence(study_uid="2.25.9"), world(patient(), by_accession=(candidate(),)))

    assert (found.rule, found.candidates) == ("B3", (candidate(),))
    assert found.reason.startswith("the accession number is the order's; ")


def test_b3_a_cancelled_sibling_does_not_count() -> None:
    gone = candidate(procedure=201, uid="2.25.3", state=OrderState.CANCELLED, rp_id="RP2")

    found = match(evidence(), world(patient(), by_accession=(gone, candidate(uid=OTHER_UID))))

    assert found.candidates == (candidate(uid=OTHER_UID),)


def test_b3_another_modality_is_held() -> None:
    found = conflict(evidence(modality="MR"), world(patient(), by_accession=(candidate(uid=OTHER_UID),)))

    assert (found.code, found.danger) == ("modality_differs_from_order", Danger.AMBER)
    assert found.reason == "the accession number is the order's but the images are of another modality"
    assert (found.evidence["images"], found.evidence["ordered"]) == (["MR"], ["CT"])


@pytest.mark.parametrize(("days", "linked"), [(29, True), (31, False)])
def test_b3_an_old_completed_order_means_a_recycled_accession_number(days: int, linked: bool) -> None:
    done = candidate(uid=OTHER_UID, state=OrderState.COMPLETED, placed_at=NOW - timedelta(days=days))
    known = world(patient(), by_accession=(done,))

    if linked:
        assert match(evidence(), known).rule == "B3"
    else:
        found = conflict(evidence(), known)
        assert (found.code, found.danger) == ("accession_recycled", Danger.AMBER)
        assert found.reason == "the accession number is that of an order completed long ago"


def two_procedures(second: str = "MR") -> StudyWorld:
    one = candidate(uid=OTHER_UID)
    two = candidate(procedure=201, uid="2.25.3", modality=second, rp_id="RP2", sps_id="SPS2")
    return world(patient(), by_accession=(one, two))


@pytest.mark.parametrize(
    ("said", "second", "procedure"),
    [
        pytest.param(evidence(modality="MR"), "MR", 201, id="by modality"),
        pytest.param(evidence(study_id="RP2"), "CT", 201, id="by Study ID"),
        pytest.param(replace(evidence(), requests=(request("", "RP2"),)), "CT", 201, id="by requested procedure ID"),
        pytest.param(evidence(study_id="none of them"), "MR", 200, id="by modality, Study ID unknown"),
    ],
)
def test_b4_one_of_several_procedures_fits(said: StudyEvidence, second: str, procedure: int) -> None:
    found = match(said, two_procedures(second))

    assert found.rule == "B4"
    assert [each.procedure.id for each in found.candidates] == [procedure]
    assert "one of its procedures fits" in found.reason


def test_b4_several_that_fit_are_held() -> None:
    found = conflict(evidence(), two_procedures("CT"))

    assert (found.code, found.danger) == ("several_procedures_fit", Danger.AMBER)
    assert found.reason == "the accession number is right but 2 procedures of the order fit"
    assert found.evidence["procedures"] == [200, 201]


def test_b4_none_that_fits_is_another_modality() -> None:
    found = conflict(evidence(modality="US"), two_procedures())

    assert found.code == "modality_differs_from_order"
    assert found.evidence["ordered"] == ["CT", "MR"]


def test_b4_the_procedure_that_the_images_name_must_fit_their_modality() -> None:
    found = conflict(evidence(modality="CT", study_id="RP2"), two_procedures("MR"))

    assert (found.code, found.evidence["ordered"]) == ("modality_differs_from_order", ["MR"])


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.REPLACED])
def test_images_of_an_order_that_is_gone_are_held(state: OrderState) -> None:
    gone = candidate(state=state)
    sibling = candidate(procedure=201, rp_id="RP2", state=state)

    for known in (world(patient(), by_uid=(gone,)), world(patient(), by_accession=(gone, sibling))):
        found = conflict(evidence(), known)

        assert (found.code, found.danger, found.candidate) == ("order_cancelled", Danger.AMBER, gone)
        assert found.reason == f"images arrived for an order that is {state.value.lower()}"
        assert found.patient == patient().patient


def test_b8_a_known_patient_without_a_fitting_order_waits() -> None:
    assert match_study(evidence(), world(patients=(patient(),)), NOW) == Unmatched(patient=patient().patient)


# --- what studies and instances say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "ordered", "fits"),
    [
        (("CT",), ("CT",), True),
        (("DX",), ("CR",), True),
        (("CR",), ("RG",), True),
        (("IVUS",), ("US",), True),
        (("RF",), ("XA",), True),
        (("CT", "PT"), ("PT",), True),
        (("CT",), ("PT",), True),
        (("SR",), ("CT",), True),
        (("PR", "KO", "DOC", "OT"), ("MR",), True),
        ((), ("CT",), True),
        (("CT",), (), True),
        (("CT",), ("",), True),
        (("MR",), ("CT",), False),
        (("MG",), ("DX",), False),
        (("US", "SR"), ("CT",), False),
    ],
)
def test_modalities_are_compared_by_family(images: tuple[str, ...], ordered: tuple[str, ...], fits: bool) -> None:
    assert are_compatible(images, ordered) is fits


def study() -> Study:
    return Study(
        id=RowId(1),
        study_uid=UID,
        state=StudyState.RECEIVING,
        dicom_patient_id="P0001",
        dicom_issuer="HOSP",
        dicom_name="TEST^ALPHA",
        dicom_birth_date="19800504",
        dicom_sex="F",
        accession_number="ACC1",
        accession_issuer="RIS",
        dicom_study_id="RP1",
        modalities=("CT",),
        first_received_at=NOW,
        last_received_at=NOW,
        cause_id=RowId(9),
    )


def test_the_evidence_of_a_study_is_what_its_images_say() -> None:
    said = evidence_of(study(), (request(),))

    assert said == StudyEvidence(
        study_uid=UID,
        patient_id="P0001",
        issuer="HOSP",
        person=Person(name="TEST^ALPHA", birth_date="19800504", sex="F"),
        accession_number="ACC1",
        accession_issuer="RIS",
        study_id="RP1",
        modalities=("CT",),
        requests=(request(),),
    )


@pytest.mark.parametrize(
    ("said", "issuer", "keyword"),
    [
        pytest.param({}, "HOSP", "", id="the same"),
        pytest.param({"patient_id": " p0001 ", "accession_number": "acc1 "}, "", "", id="case and blanks"),
        pytest.param({"patient_id": "", "accession_number": "", "patient_name": ""}, "", "", id="absent"),
        pytest.param({"patient_name": "TESD^ALPHA", "birth_date": "1980"}, "", "", id="close"),
        pytest.param({"patient_id": "P0002"}, "", "PatientID", id="patient ID"),
        pytest.param({}, "CLINIC", "PatientID", id="issuer"),
        pytest.param({"accession_number": "ACC2"}, "", "AccessionNumber", id="accession number"),
        pytest.param({"sex": "M"}, "", "PatientSex", id="sex"),
        pytest.param({"birth_date": "19700504"}, "", "PatientBirthDate", id="birth date"),
        pytest.param({"patient_name": "PROBE^BETA"}, "", "PatientName", id="name"),
    ],
)
def test_an_instance_that_disagrees_with_its_study_is_found_out(
    said: dict[str, Any], issuer: str, keyword: str
) -> None:
    same: dict[str, Any] = {
        "patient_id": "P0001",
        "patient_name": "TEST^ALPHA",
        "birth_date": "19800504",
        "sex": "F",
        "accession_number": "ACC1",
    }
    instance = InstanceFact(
        sop_uid="2.25.5",
        sop_class="2.25.6",
        series_uid="2.25.7",
        study_uid=UID,
        transfer_syntax="2.25.8",
        **{**same, **said},
    )

    assert contradicts(study(), instance, issuer) == keyword
