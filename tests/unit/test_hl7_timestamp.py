"""TS and DTM to DICOM DT and back: precision and offset are kept."""

import pytest

from engine.core.errors import PeerError
from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.timestamp import from_dicom, to_dicom, to_dicom_date


@pytest.mark.parametrize(
    ("raw", "dt"),
    [
        ("2026", "2026"),
        ("202601", "202601"),
        ("20260102", "20260102"),
        ("2026010203", "2026010203"),
        ("202601020304", "202601020304"),
        ("20260102030405", "20260102030405"),
        ("20260102030405.6", "20260102030405.6"),
        ("20260102030405.1234567", "20260102030405.123456"),
        ("20260102030405.", "20260102030405"),
        ("20260102030405-0500", "20260102030405-0500"),
        ("20260102+0100", "20260102+0100"),
        ("202601020304-0000", "202601020304+0000"),
        ("202601020304+1400", "202601020304+1400"),
        (" 20260102 ", "20260102"),
        ("20260102^D", "20260102"),
        ("202601022400", "202601030000"),
        ("20261231240000", "20270101000000"),
        ("2026-01-02", "20260102"),
        ("2026-01-02T03:04:05.5Z", "20260102030405.5+0000"),
        ("2026-01-02 03:04+01:00", "202601020304+0100"),
        ("20240229", "20240229"),
        ("20260102030460", "20260102030460"),
        ("", ""),
        ("^D", ""),
        ('""', ""),
        ("0000", ""),
        ("00000000", ""),
        ("00000000000000", ""),
        ("99991231", ""),
        ("99991231235959", ""),
    ],
)
def test_to_dicom(raw: str, dt: str) -> None:
    assert to_dicom(raw, DEFAULT_DELIMITERS) == dt


@pytest.mark.parametrize(
    "raw",
    ["x", "26", "20261301", "20260230", "2026010225", "202601020360", "202601022401", "2026010", "20260102030405+2500",
     "20260102-1300", "20260102+0160", "١٩٨٠٠١٠١", "2026/01/02", "1980-02-29T",
     "20260102\\T\\", "20250229", "20260102030461"],
)  # fmt: skip
def test_what_is_no_date(raw: str) -> None:
    with pytest.raises(PeerError) as refused:
        to_dicom(raw, DEFAULT_DELIMITERS, where="PID^1^7")
    assert str(refused.value) == "HL7-112: PID-7 is not a date and time at PID^1^7"


def test_the_error_names_no_place_when_it_is_told_none() -> None:
    with pytest.raises(PeerError, match=r"^HL7-112: value is not a date and time$"):
        to_dicom("tomorrow", DEFAULT_DELIMITERS)
    with pytest.raises(PeerError, match="HL7-112"):
        from_dicom("tomorrow")


@pytest.mark.parametrize(
    ("raw", "da"),
    [
        ("19800229", "19800229"),
        ("198002291200+0100", "19800229"),
        ("1980", "1980"),
        ("0000", ""),
        ("190001010000", ""),
        ("19000102", "19000102"),
        ("1900", "1900"),
    ],
)
def test_to_dicom_date(raw: str, da: str) -> None:
    assert to_dicom_date(raw, DEFAULT_DELIMITERS) == da


@pytest.mark.parametrize(
    ("dt", "ts"),
    [
        ("", ""),
        ("20260102", "20260102"),
        ("202601", "202601"),
        ("20260102030405.123456+0100", "20260102030405.1234+0100"),
        ("2026010203-0500 ", "2026010203-0500"),
        ("20260102030405.5\0", "20260102030405.5"),
    ],
)
def test_from_dicom(dt: str, ts: str) -> None:
    assert from_dicom(dt) == ts
