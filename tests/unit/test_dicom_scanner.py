"""The scanner on hand-made bytes: encodings, lengths, odd senders, limits."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from engine.core.limits import DEFAULT_LIMITS
from engine.dicom.dataset_error import UnreadableDataSet
from engine.dicom.dictionary import keyword_of, tag_of, vr_of
from engine.dicom.encode import encode
from engine.dicom.scanner import (
    EVERYTHING,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    DataSet,
    scan,
    scan_to,
    value_range,
)

PATIENT_ID = 0x00100020
REQUEST = tag_of("RequestAttributesSequence")
UNDEFINED = b"\xff\xff\xff\xff"
ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0" + bytes(4)
SEQUENCE_END = b"\xfe\xff\xdd\xe0" + bytes(4)


def explicit(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in {"SQ", "OB", "OW", "UN", "UT"}:
        return head + bytes(2) + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def undefined(tag: int, vr: str, content: bytes) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + bytes(2) + UNDEFINED + content + SEQUENCE_END


def item(content: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(content)) + content


def open_item(content: bytes) -> bytes:
    return ITEM + UNDEFINED + content + ITEM_END


ID = explicit(PATIENT_ID, "LO", b"4711")
SPS = 0x00400009
STEP = explicit(SPS, "SH", b"S1")


def ids(found: DataSet) -> bytes:
    assert found[PATIENT_ID].value == b"4711"
    items = found[REQUEST].items
    assert items is not None
    return items[0][SPS].value


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, "1.2.840.10008.1.2.4.90"])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_three_encodings(syntax: str, kind: type) -> None:
    tree: dict[str, Any] = {"PatientID": "4711", "RequestAttributesSequence": [{"ScheduledProcedureStepID": "S1"}]}

    found = scan(kind(encode(tree, syntax)), syntax)

    assert ids(found) == b"S1"
    assert found[PATIENT_ID].vr == "LO"


@pytest.mark.parametrize(
    "sequence",
    [
        explicit(REQUEST, "SQ", item(STEP)),
        explicit(REQUEST, "SQ", open_item(STEP)),
        undefined(REQUEST, "SQ", item(STEP)),
        undefined(REQUEST, "SQ", open_item(STEP)),
        undefined(REQUEST, "SQ", open_item(implicit(SPS, b"S1"))),  # implicit item among explicit ones
        undefined(REQUEST, "UN", open_item(implicit(SPS, b"S1"))),  # PS3.5 6.2.2 note: UN is implicit inside
        explicit(REQUEST, "UN", item(implicit(SPS, b"S1"))),
        undefined(REQUEST, "SQ", open_item(STEP) + open_item(b"") + item(b"")),
    ],
)
def test_every_way_to_write_a_sequence(sequence: bytes) -> None:
    assert ids(scan(ID + sequence, EXPLICIT_LITTLE)) == b"S1"
    assert ids(scan(ID + sequence, EXPLICIT_LITTLE, wanted=frozenset({PATIENT_ID, REQUEST}))) == b"S1"


@pytest.mark.parametrize(
    "before",
    [
        undefined(0x00081140, "SQ", open_item(undefined(0x00081199, "SQ", open_item(STEP)) + STEP)),
        undefined(0x00081140, "SQ", item(b"\x01" * 5)),  # skipped by length, never looked into
        undefined(0x000A1001, "UN", open_item(implicit(SPS, b"S1"))),
        undefined(0x00091002, "OB", item(b"") + item(b"\xff" * 8)),
        explicit(0x00091003, "ZZ", b"later"),  # VR of a later edition, and an odd length
        explicit(0x00091004, "  ", b"ab"),
        explicit(0x00091005, "??", b"ab"),
        implicit(0x00091006, b"abcd"),  # somebody forgot the VR
        explicit(0x00080018, "UI", b"1.2.3"),
    ],
)
def test_what_stands_before_is_jumped_over(before: bytes) -> None:
    first = explicit(0x00080016, "UI", b"1.2")

    found = scan(first + before + ID, EXPLICIT_LITTLE, wanted=frozenset({PATIENT_ID}))

    assert set(found) == {PATIENT_ID}
    assert found[PATIENT_ID].value == b"4711"


def test_the_encoding_is_seen_when_it_is_not_the_declared_one() -> None:
    assert scan(ID, IMPLICIT_LITTLE)[PATIENT_ID].value == b"4711"
    assert scan(implicit(PATIENT_ID, b"4711"), EXPLICIT_LITTLE)[PATIENT_ID].value == b"4711"


def test_an_empty_data_set_is_empty() -> None:
    assert scan(b"", EXPLICIT_LITTLE) == {}


def test_it_stops_before_the_pixels() -> None:
    native = explicit(0x7FE00010, "OW", b"\x01" * 8)
    fragments = undefined(0x7FE00010, "OB", item(b"") + item(b"\x02" * 6))

    for pixels, value in ((native, b"\x01" * 8), (fragments, item(b"") + item(b"\x02" * 6))):
        content = ID + pixels + explicit(0xFFFCFFFC, "OB", b"\0" * 4)
        found = scan_to(content, EXPLICIT_LITTLE)
        located = value_range(content, found)
        assert found.end == len(ID)
        assert located is not None
        assert content[located[1] : located[2]] == value

    assert value_range(ID, scan_to(ID, EXPLICIT_LITTLE)) is None


@pytest.mark.parametrize("length", range(1, len(ID)))
def test_a_cut_data_set_is_refused(length: int) -> None:
    with pytest.raises(UnreadableDataSet) as refused:
        scan(ID[:length], EXPLICIT_LITTLE)

    assert refused.value.code == "DCM-110"
    assert not refused.value.may_fall_back


@pytest.mark.parametrize(
    "content",
    [
        undefined(REQUEST, "SQ", open_item(STEP))[:-8],
        undefined(REQUEST, "SQ", open_item(STEP))[:-16],
        explicit(REQUEST, "SQ", item(STEP + b"\0\0")),
        explicit(REQUEST, "SQ", STEP),
        explicit(REQUEST, "SQ", item(STEP)[:-2]),
        ITEM_END[:4] + b"\0\0\0\0" + ITEM,
        SEQUENCE_END + ID,
        item(STEP),
        undefined(0x7FE00009, "OB", ID),
    ],
)
def test_a_broken_structure_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableDataSet):
        scan(ID + content, EXPLICIT_LITTLE, stop_before=EVERYTHING)


def test_pixels_that_are_cut_are_refused() -> None:
    for pixels in (explicit(0x7FE00010, "OW", b"\x01" * 8), undefined(0x7FE00010, "OB", item(b"") + item(b"abcd"))):
        for cut in range(1, 9):
            content = ID + pixels[:-cut]
            with pytest.raises(UnreadableDataSet):
                value_range(content, scan_to(content, EXPLICIT_LITTLE))


def test_depth_is_bounded() -> None:
    deep = STEP
    for _ in range(33):
        deep = undefined(REQUEST, "SQ", open_item(deep))

    for wanted in (None, frozenset({PATIENT_ID})):
        with pytest.raises(UnreadableDataSet) as refused:
            scan(deep, EXPLICIT_LITTLE, wanted=wanted)
        assert not refused.value.may_fall_back


def test_elements_and_items_are_counted() -> None:
    limits = replace(DEFAULT_LIMITS, dataset_elements=10)

    assert len(scan(STEP * 10, EXPLICIT_LITTLE, limits=limits)) == 1
    for content in (
        STEP * 11,
        undefined(REQUEST, "SQ", item(b"") * 11),
        undefined(REQUEST, "SQ", open_item(STEP * 11)),
    ):
        with pytest.raises(UnreadableDataSet):
            scan(content, EXPLICIT_LITTLE, limits=limits)
    with pytest.raises(UnreadableDataSet):
        scan(implicit(SPS, b"") * 11, IMPLICIT_LITTLE, limits=limits)


def test_keywords_and_tags() -> None:
    assert keyword_of(PATIENT_ID) == "PatientID"
    assert keyword_of(0x00091001) == "00091001"
    assert tag_of("00091001") == 0x00091001
    assert vr_of(0x00280106) == "US"
    assert vr_of(0x00091001) == "UN"
    for nonsense in ("Patient", "ZZZZZZZZ"):
        with pytest.raises(KeyError):
            tag_of(nonsense)
