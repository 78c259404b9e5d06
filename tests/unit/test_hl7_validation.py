"""Validation: what is found, where, how grave; and that hl7apy, which has its own parser, finds the same."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import hl7apy
import pytest
from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from engine.hl7.message import Message
from engine.hl7.validation import MOST_PROBLEMS, as_warnings, validate, validate_body
from engine.hl7.version_table import VERSIONS, message_structure, segment_fields

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
PID = "PID|1||4711^^^HOSP^MR||TEST^ALPHA||19800229|F"
ORDER = f"{PID}\rPV1|1|O\rORC|NW|P1^HIS\rOBR|1|P1^HIS||CT^CT chest^99TEST"


def found(segments: str, *, kind: str = "ORM^O01^ORM_O01", version: str = "2.5.1") -> list[tuple[str, str | None, str]]:
    head = f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121||{kind}|1|P|{version}\r"
    return [(each.code, each.where, each.severity) for each in validate(Message.parse((head + segments).encode()))]


@pytest.mark.parametrize(
    ("segments", "problems"),
    [
        (ORDER, []),
        (f"{ORDER}\rZDS|1.2.3^X^Application^DICOM\rZZZ|||^^", []),
        (ORDER.replace("ORC|NW|P1^HIS\r", ""), [("HL7-110", "ORC^1", "E")]),
        (f"{PID}\rPV1|1|O", [("HL7-110", "ORC^1", "E")]),
        (ORDER.replace("PV1|1|O\r", "").replace("OBR|", "PV1|1|O\rOBR|"), [("HL7-110", "PV1^1", "E")]),
        (f"{ORDER}\rPID|2||4712||TEST^BETA", [("HL7-110", "PID^2", "E")]),
        (f"{ORDER}\rORC|NW|P2\rOBR|2|P2||CT\rNTE|1||X\rOBX|1|ST|A||B||||||F", []),
        (f"{ORDER}\rTXA|1", [("HL7-110", "TXA^1", "E"), *(("HL7-111", f"TXA^1^{n}", "E") for n in (2, 12, 17))]),
        (ORDER.replace("4711^^^HOSP^MR", ""), [("HL7-111", "PID^1^3", "E")]),
        (ORDER.replace("TEST^ALPHA", '""'), []),
        (ORDER.replace("PV1|1|O", "PV1|1|O~I"), [("HL7-110", "PV1^1^2^2", "E")]),
        (ORDER.replace("19800229", "19800230"), [("HL7-112", "PID^1^7^1^1", "E")]),
        (ORDER.replace("19800229", "29.02.1980"), [("HL7-112", "PID^1^7^1^1", "E")]),
        (ORDER.replace("PID|1|", "PID|A|"), [("HL7-112", "PID^1^1^1", "E")]),
        (ORDER.replace("|F\r", "|X\r"), [("HL7-113", "PID^1^8^1", "E")]),
        (ORDER.replace("PV1|1|O", "PV1|1|Q"), [("HL7-113", "PV1^1^2^1", "W")]),
        (ORDER.replace("ORC|NW", "ORC|QQ"), [("HL7-113", "ORC^1^1^1", "E")]),
        (f"{ORDER}\rOBX|1|ZZ|A||x||||||F", [("HL7-113", "OBX^1^2^1", "E")]),
        (f"{ORDER}\rOBX|1|NM|A||12,5||||||F", [("HL7-112", "OBX^1^5^1", "E")]),
        (f"{ORDER}\rOBX|1|ED|A||X^AP^PDF^Base64^{'A' * 100_000}||||||F", [("HL7-113", "OBX^1^5^1^3", "W")]),
        (ORDER.replace("CT^CT", f"CT^{'x' * 200}"), [("HL7-114", "OBR^1^4^1^2", "E")]),
        (ORDER.replace("CT^CT", "C\\T\\T^C\\X54\\"), []),
        (f"{ORDER}|||||||||{'|' * 50}X", [("HL7-110", "OBR^1^63", "W")]),
        (ORDER.replace("^99TEST", "^99TEST^a^b^L^1^2^t^x"), [("HL7-110", "OBR^1^4^1^7", "W")]),
        ("no segment\r" + ORDER, [("HL7-110", None, "W")]),
    ],
)
def test_what_is_wrong_and_where(segments: str, problems: list[tuple[str, str | None, str]]) -> None:
    told = [each for each in found(segments) if each[1] != "OBR^1^4^1^3"]  # 99TEST is in no table of HL7's

    assert told == problems


@pytest.mark.parametrize(
    ("version", "problems"),
    [
        ("2.3.1", []),
        ("2.3.2", []),
        ("2.5^DEU^2.5", []),
        ("2.7.1", [("HL7-110", "ORC^1^7", "W")]),
        ("2.9", [("HL7-110", "ORC^1^7", "W")]),
        ("", [("HL7-113", "MSH^1^12^1^1", "W")]),
        ("2.x", [("HL7-113", "MSH^1^12^1^1", "W")]),
        ("3.0", [("HL7-113", "MSH^1^12^1^1", "W"), ("HL7-110", "ORC^1^7", "W")]),
    ],
)
def test_any_version_is_read_by_the_nearest_tables(version: str, problems: list[tuple[str, str | None, str]]) -> None:
    order = ORDER.replace("ORC|NW|P1^HIS", "ORC|NW|P1^HIS|||||^^^202611210930").replace("^^^HOSP^MR", "^^^HOSP^MR")
    told = found(order, version=version)

    assert [each for each in told if each[1] in ("ORC^1^7", "MSH^1^12^1^1")] == problems
    assert not [each for each in told if each[2] == "E" and each[0] == "HL7-110"]


@pytest.mark.parametrize(
    ("kind", "version", "structure"),
    [
        ("ADT^A08", "2.5.1", None),
        ("ADT^A08^ADT_A08", "2.5.1", "MSH^1^9^1^3"),
        ("ORM", "2.3", None),
        ("XYZ^Z99", "2.5.1", "MSH^1^9"),
    ],
)
def test_the_structure_is_ours_to_know(kind: str, version: str, structure: str | None) -> None:
    told = [each[1] for each in found("PID|1", kind=kind, version=version)]

    assert (structure in told) if structure else not any(where and where.startswith("MSH^1^9") for where in told)


def test_a_body_over_which_the_parser_of_hl7apy_raises_index_error_is_validated_all_the_same() -> None:
    body = "MSH|^~\\&#|HIS|HOSP|||20261121||ORM^O01"
    with pytest.raises(IndexError):
        parse_message(body)

    assert [each.code for each in validate_body(body.encode())] == [
        "HL7-113",
        "HL7-110",
        "HL7-111",
        "HL7-111",
        "HL7-111",
    ]


def test_rows_of_the_tables_that_are_cut_short_count_as_not_there() -> None:
    with pytest.raises(IndexError):
        _ = hl7apy.load_reference("QRD", "Segment", "2.7")[1][0][1]

    assert segment_fields("2.7", "QRD") is None
    assert all(message_structure(version, "ADT_A01") for version in VERSIONS)


def test_fields_are_counted_where_tables_leave_out_what_was_withdrawn() -> None:
    fields = segment_fields("2.6", "DG1")

    assert fields is not None
    assert [part.is_withdrawn for part in fields][:4] == [False, True, False, True]


def test_what_cannot_be_read_is_a_problem_too() -> None:
    assert [each.code for each in validate_body(b"hello")] == ["HL7-101"]


def test_problems_are_bounded_and_cross_processes() -> None:
    found = validate(
        Message.parse((f"MSH|^~\\&|A|B|||20261121||ORU^R01|1|P|2.5.1\r{PID}\rOBR|1|||A\r" + "OBX|X\r" * 500).encode())
    )

    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1].text == "more than 100 problems"
    assert pickle.loads(pickle.dumps(found)) == found
    assert {each.severity for each in as_warnings(found)} == {"W"}


def test_texts_hold_no_values() -> None:
    told = validate(
        Message.parse(f"MSH|^~\\&|A|B|||SECRET||ORM^O01|1|P|2.5.1\r{ORDER.replace('19800229', 'SECRET')}".encode())
    )

    assert told
    assert not [each for each in told if "SECRET" in each.text]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.hl7")), ids=lambda path: path.stem)
def test_where_hl7apy_finds_a_structure_whole_so_do_we(path: Path, tmp_path: Path) -> None:
    """Its groups lose Z segments, so they are left out; its findings about choices are wrong, so they do not count."""
    try:
        message = Message.parse(path.read_bytes())
        if any("\n" in segment.text or "\r" in segment.text for segment in message.segments) or not all(
            segment.name for segment in message.segments
        ):
            pytest.skip("lines inside a field")
        text = "".join(f"{segment.text}\r" for segment in message.segments if not segment.name.startswith("Z"))
        theirs = parse_message(text, find_groups=True)
    except Exception as cause:  # noqa: BLE001  # it raises whatever comes up
        pytest.skip(f"hl7apy cannot read it: {type(cause).__name__}")
    report = tmp_path / "report"
    wrong = ("SUPPGRP", "OBX_4", "ORC_7", "OBR_27")
    with contextlib.suppress(ValidationError):
        Validator.validate(theirs, report_file=str(report))
    missing = [line for line in report.read_text().splitlines() if "Missing required" in line and "CHOICE" not in line]

    ours = [each for each in validate(message) if each.severity == "E"]

    if not report.read_text().count("Error"):
        assert [each for each in ours if each.code in ("HL7-110", "HL7-111")] == []
    if not ours:
        assert [line for line in missing if not any(each in line for each in wrong)] == []
