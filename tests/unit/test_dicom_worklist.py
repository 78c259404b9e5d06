"""A worklist query from its bytes to the bytes of its responses (spec/worklist.md sections 4 and 11)."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from engine.core.errors import PeerError
from engine.core.limits import DEFAULT_LIMITS
from engine.core.outcomes import outcome_of
from engine.dicom.dictionary import tag_of
from engine.dicom.encode import Encoder, encode
from engine.dicom.scanner import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from engine.dicom.worklist import PENDING, PENDING_WITH_UNSUPPORTED_KEYS, Request

CODE = {"CodeValue": "CTTHX", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "CT thorax"}
ITEM: dict[str, Any] = {
    "PatientName": "TEST^ALPHA",
    "PatientID": "4711",
    "IssuerOfPatientID": "HOSP",
    "PatientBirthDate": "19700101",
    "AccessionNumber": "A123",
    "StudyInstanceUID": "1.2.3.4",
    "RequestedProcedureID": "RP1",
    "ReferencedStudySequence": [],
    "ScheduledProcedureStepSequence": [
        {
            "ScheduledStationAETitle": ["CT1", "CT2"],
            "ScheduledProcedureStepStartDate": "20261121",
            "ScheduledProcedureStepStartTime": "0930",
            "Modality": "CT",
            "ScheduledProcedureStepID": "S1",
            "ScheduledProtocolCodeSequence": [CODE],
        }
    ],
}
SYNTAXES = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG]


def request(tree: dict[str, Any], syntax: str = EXPLICIT_LITTLE) -> Request:
    return Request.parse(encode(tree, syntax), syntax)


def step(**keys: Any) -> Request:
    return request({"ScheduledProcedureStepSequence": [keys]})


def response(
    asked: Request, item: dict[str, Any] | None = None, syntax: str = EXPLICIT_LITTLE, charsets: tuple[str, ...] = ()
) -> tuple[int, Dataset]:
    status, raw = asked.answer(item or ITEM, syntax, charsets or ("ISO_IR 192",))
    assert len(raw) % 2 == 0
    data_set = read_dataset(io.BytesIO(raw), syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG)
    tags = list(data_set.keys())
    assert tags == sorted(tags)
    return status, data_set


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_only_what_was_asked_comes_back(syntax: str) -> None:
    asked = request(
        {
            "PatientName": "",
            "PatientWeight": "",
            "PregnancyStatus": "",
            "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledStationAETitle": "CT1"}],
        },
        syntax,
    )

    status, found = response(asked, syntax=syntax)

    assert asked.matches(ITEM)
    assert status == PENDING
    assert [element.keyword for element in found] == [
        "PatientName",
        "PatientWeight",
        "PregnancyStatus",
        "ScheduledProcedureStepSequence",
    ]
    assert found.PatientWeight is None
    assert [element.keyword for element in found.ScheduledProcedureStepSequence[0]] == [
        "Modality",
        "ScheduledStationAETitle",
    ]
    assert list(found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["CT1", "CT2"]


@pytest.mark.parametrize("sequence", [[], [{}]])
def test_an_empty_sequence_gets_the_whole_item(sequence: list[dict[str, Any]]) -> None:
    asked = request({"ScheduledProcedureStepSequence": sequence})

    _, found = response(asked)

    assert asked.matches(ITEM)
    assert len(found.ScheduledProcedureStepSequence) == 1
    assert len(found.ScheduledProcedureStepSequence[0]) == 6
    assert found.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence[0].CodeMeaning == "CT thorax"


def test_one_attribute_of_a_nested_sequence() -> None:
    asked = step(ScheduledProtocolCodeSequence=[{"CodeMeaning": ""}])

    _, found = response(asked)

    code = found.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence[0]
    assert [element.keyword for element in code] == ["CodeMeaning"]


def test_a_sequence_without_items_comes_back_empty() -> None:
    _, found = response(request({"ReferencedStudySequence": [], "ReferencedPatientSequence": []}))

    assert len(found.ReferencedStudySequence) == 0
    assert len(found.ReferencedPatientSequence) == 0


def test_all_keys_of_a_sequence_match_in_one_item() -> None:
    both = {**ITEM, "RequestedProcedureCodeSequence": [CODE, {"CodeValue": "B", "CodingSchemeDesignator": "L"}]}

    assert request({"RequestedProcedureCodeSequence": [{"CodeValue": "B"}]}).matches(both)
    assert not request(
        {"RequestedProcedureCodeSequence": [{"CodeValue": "B", "CodingSchemeDesignator": "99TEST"}]}
    ).matches(both)
    assert not request({"RequestedProcedureCodeSequence": [{"CodeValue": "B"}]}).matches(ITEM)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"ScheduledStationAETitle": "CT2"}, True),
        ({"ScheduledStationAETitle": "ct2"}, False),
        ({"ScheduledStationAETitle": "*"}, True),
        ({"ScheduledProcedureStepStartDate": "20261120-20261122"}, True),
        ({"ScheduledProcedureStepStartDate": "20261122-"}, False),
        ({"ScheduledProcedureStepStartTime": "2200-0600"}, False),
        # 08-10 h on both days, not from the first day's 08 h to the second day's 10 h
        (
            {"ScheduledProcedureStepStartDate": "20261120-20261122", "ScheduledProcedureStepStartTime": "10-12"},
            False,
        ),
    ],
)
def test_step_keys(keys: dict[str, str], expected: bool) -> None:
    assert step(**keys).matches(ITEM) is expected


def test_names_that_narrow_the_search() -> None:
    asked = request(
        {
            "PatientID": " 4711",
            "AccessionNumber": "A1*",
            "RequestedProcedureID": "",
            "StudyInstanceUID": ["1.2.3.4", "1.2.3.5"],
            "ScheduledProcedureStepSequence": [
                {
                    "ScheduledStationAETitle": "CT1",
                    "Modality": "*",
                    "ScheduledProcedureStepID": "S1",
                    "ScheduledProcedureStepStartDate": "20261121-",
                    "ScheduledProcedureStepStatus": "STARTED",
                }
            ],
        }
    )

    assert (asked.patient_id, asked.accession_number, asked.rp_id) == ("4711", None, None)
    assert asked.study_uids == ("1.2.3.4", "1.2.3.5")
    assert (asked.station_ae, asked.modality, asked.sps_id) == ("CT1", None, "S1")
    assert asked.start_date == ("20261121", None)
    assert asked.has_date_key
    assert asked.wants_status


def test_a_query_without_keys_narrows_nothing() -> None:
    asked = request({"PatientID": "", "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "*"}]})

    assert (asked.patient_id, asked.study_uids, asked.start_date) == (None, None, (None, None))
    assert not asked.has_date_key
    assert not asked.wants_status
    assert asked.matches(ITEM)


def test_a_merged_patient_id_finds_the_survivor() -> None:
    asked = request({"PatientID": "0815"})

    assert not asked.matches(ITEM)
    assert asked.matches(ITEM, {"PatientID": ["0815"]})
    assert response(asked)[1].PatientID == "4711"


def test_an_unsupported_key_with_a_value_is_told() -> None:
    asked = request({"PatientWeight": "80", "PatientID": "4711"})

    status, found = response(asked)

    assert asked.matches(ITEM)
    assert status == PENDING_WITH_UNSUPPORTED_KEYS
    assert found.PatientWeight is None
    assert asked.unsupported == ("PatientWeight",)


def test_an_unsupported_sequence_with_values_is_told() -> None:
    asked = request({"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2"}]})

    assert asked.matches(ITEM)
    assert response(asked)[0] == PENDING_WITH_UNSUPPORTED_KEYS


def test_a_supported_key_inside_an_unsupported_sequence_is_not_matched() -> None:
    asked = request({"OtherPatientIDsSequence": [{"PatientID": "0815", "ReferencedStudySequence": [{}]}]})

    assert asked.matches(ITEM)
    assert asked.unsupported == ("OtherPatientIDsSequence",)


def test_private_and_group_length_elements_do_not_disturb() -> None:
    encoder = Encoder(EXPLICIT_LITTLE)
    raw = (
        encoder.element(0x00090000, "UL", "10")
        + encoder.element(0x00090010, "LO", "TEST")
        + encoder.element(0x00091001, "LO", "X")
        + encoder.element(0x00100020, "LO", "4711")
    )

    asked = Request.parse(raw, EXPLICIT_LITTLE)

    assert asked.matches(ITEM)
    assert response(asked)[0] == PENDING_WITH_UNSUPPORTED_KEYS


@pytest.mark.parametrize(
    ("tree", "code", "status"),
    [
        ({"ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"Modality": "MR"}]}, "DCM-120", 0xA900),
        ({"ScheduledStationAETitle": "CT1"}, "DCM-120", 0xA900),
        ({"ScheduledProcedureStepStartDate": ""}, "DCM-120", 0xA900),
        ({"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "21.11.2026"}]}, "DCM-121", 0xC000),
    ],
)
def test_a_malformed_identifier_is_refused_with_its_status(tree: dict[str, Any], code: str, status: int) -> None:
    with pytest.raises(PeerError) as refused:
        request(tree)

    assert refused.value.code == code
    assert outcome_of(code).dimse == status
    assert refused.value.where is not None
    assert tag_of(refused.value.where) >= 0x00400000


def test_a_cut_or_large_identifier_is_refused() -> None:
    raw = encode({"PatientName": "TEST*"}, EXPLICIT_LITTLE)

    with pytest.raises(PeerError) as cut:
        Request.parse(raw[:-2], EXPLICIT_LITTLE)
    with pytest.raises(PeerError) as large:
        Request.parse(raw, EXPLICIT_LITTLE, replace(DEFAULT_LIMITS, identifier_bytes=4))

    assert (cut.value.code, large.value.code) == ("DCM-110", "DCM-123")


UMLAUT = {**ITEM, "PatientName": "MÜLLER^ÄNNE"}


@pytest.mark.parametrize(
    ("declared", "codec"), [("ISO_IR 100", "latin-1"), ("ISO_IR 192", "utf-8"), ("", "latin-1"), ("", "utf-8")]
)
def test_keys_are_read_in_the_charset_of_the_request(declared: str, codec: str) -> None:
    encoder = Encoder(EXPLICIT_LITTLE)
    name = "müller*".encode(codec)
    name += b" " * (len(name) % 2)
    raw = encoder.element(0x00080005, "CS", declared) if declared else b""
    raw += encoder.header(0x00100010, "PN", len(name)) + name

    assert Request.parse(raw, EXPLICIT_LITTLE).matches(UMLAUT)


def test_the_default_repertoire_is_not_declared() -> None:
    _, found = response(request({"PatientName": ""}), charsets=("ISO_IR 100",))

    assert "SpecificCharacterSet" not in found


@pytest.mark.parametrize(
    ("name", "preference", "declared", "shown"),
    [
        ("MÜLLER^Ä", ("ISO_IR 100",), "ISO_IR 100", "MÜLLER^Ä"),
        ("MÜLLER^Ä", ("ISO_IR 144", "ISO_IR 192"), "ISO_IR 192", "MÜLLER^Ä"),
        ("ŁUCJA^王", ("ISO_IR 100",), "ISO_IR 100", "LUCJA^?"),
        ("山田^太郎", ("ISO 2022 IR 6\\ISO 2022 IR 87",), ["ISO 2022 IR 6", "ISO 2022 IR 87"], "山田^太郎"),
    ],
)
def test_the_charset_of_the_answer(name: str, preference: tuple[str, ...], declared: object, shown: str) -> None:
    item = {**ITEM, "PatientName": name}

    _, found = response(request({"PatientName": ""}), item, charsets=preference)

    assert found.SpecificCharacterSet == declared
    assert str(found.PatientName) == shown


def test_an_identifier_is_never_transliterated() -> None:
    item = {**ITEM, "PatientID": "Ł-4711", "PatientName": "ŁUCJA^Ä"}

    _, found = response(request({"PatientName": "", "PatientID": ""}), item, charsets=("ISO_IR 100",))

    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientID == "Ł-4711"
    assert str(found.PatientName) == "ŁUCJA^Ä"
