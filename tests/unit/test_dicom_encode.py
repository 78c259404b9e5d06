"""Trees become data sets that pydicom reads back, in three encodings."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydicom.filereader import read_dataset

from engine.core.errors import InvariantError
from engine.dicom.encode import encode
from engine.dicom.scanner import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, scan
from engine.dicom.tree import tree_of

SYNTAXES = [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG]
TREE: dict[str, Any] = {
    "StudyInstanceUID": "1.2.3",
    "PatientName": "TEST^ALPHA",
    "PatientID": "471",
    "MedicalAlerts": ["LATEX", "IODINE"],
    "PregnancyStatus": "4",
    "PatientWeight": "81.5",
    "RecommendedDisplayFrameRateInFloat": "2.5",
    "AccessionNumber": "",
    "ReferencedStudySequence": [],
    "ScheduledProcedureStepSequence": [
        {"Modality": "CT", "ScheduledStationAETitle": ["CT1", "CT2"]},
        {"Modality": "MR", "ScheduledProtocolCodeSequence": [{"CodeValue": "A", "LongCodeValue": "B"}]},
    ],
    "TextValue": "long\\text",
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pydicom_reads_what_we_write(syntax: str) -> None:
    raw = encode({key: value for key, value in TREE.items() if "Float" not in key}, syntax)

    found = read_dataset(io.BytesIO(raw), syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG)

    assert found.StudyInstanceUID == "1.2.3"
    assert str(found.PatientName) == "TEST^ALPHA"
    assert list(found.MedicalAlerts) == ["LATEX", "IODINE"]
    assert found.PregnancyStatus == 4
    assert found.PatientWeight == 81.5
    assert found.AccessionNumber == ""
    assert len(found.ReferencedStudySequence) == 0
    assert list(found.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["CT1", "CT2"]
    assert found.ScheduledProcedureStepSequence[1].ScheduledProtocolCodeSequence[0].LongCodeValue == "B"
    assert found.TextValue == "long\\text"
    assert "SpecificCharacterSet" not in found
    assert list(found.keys()) == sorted(found.keys())


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_tree_survives_there_and_back(syntax: str) -> None:
    tree = {key: value for key, value in TREE.items() if "Float" not in key}

    assert tree_of(scan(encode(tree, syntax), syntax), is_big_endian=syntax == EXPLICIT_BIG) == tree


def test_text_declares_its_character_set() -> None:
    raw = encode({"PatientName": "MÜLLER"}, EXPLICIT_LITTLE, ("ISO_IR 100",))

    assert tree_of(scan(raw, EXPLICIT_LITTLE)) == {"PatientName": "MÜLLER"}
    assert b"ISO_IR 100" in raw


def test_without_a_character_set_foreign_text_is_utf8() -> None:
    assert b"ISO_IR 192" in encode({"PatientName": "MÜLLER"}, EXPLICIT_LITTLE)


def test_codes_have_no_character_set() -> None:
    raw = encode({"Modality": "CÄT", "PatientName": "Ä"}, EXPLICIT_LITTLE)

    assert tree_of(scan(raw, EXPLICIT_LITTLE)) == {"Modality": "C?T", "PatientName": "Ä"}


def test_a_value_too_long_for_its_vr_is_written_as_unknown() -> None:
    raw = encode({"RequestedProcedureComments": "x" * 70_000}, EXPLICIT_LITTLE)

    (element,) = scan(raw, EXPLICIT_LITTLE).values()

    assert (element.vr, len(element.value)) == ("UN", 70_000)
    assert encode({"RequestedProcedureComments": "x" * 0xFFFE}, EXPLICIT_LITTLE)[4:6] == b"LT"


@pytest.mark.parametrize("tree", [{"NoSuchKeyword": "x"}, {"PregnancyStatus": "x"}, {"PregnancyStatus": "70000"}])
def test_a_wrong_tree_is_our_fault_and_is_not_quoted(tree: dict[str, str]) -> None:
    with pytest.raises(InvariantError) as wrong:
        encode(tree, EXPLICIT_LITTLE)

    assert not any(value in wrong.value.text for value in tree.values() if len(value) > 1)
