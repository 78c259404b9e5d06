"""Whatever the bytes: the scanner returns or refuses with DCM-1xx, and what we write we read."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.archive.index import index
from engine.core.errors import PeerError
from engine.core.limits import DEFAULT_LIMITS
from engine.dicom.encode import encode
from engine.dicom.matching import KEY_CHARACTERS, wildcard
from engine.dicom.scanner import (
    EVERYTHING,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    scan,
    scan_to,
    value_range,
)
from engine.dicom.temporal import SPANS, key_span
from engine.dicom.text import character_sets, decode_text, encode_text
from engine.dicom.tree import tree_of
from engine.dicom.worklist import Request

SYNTAXES = st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
PIECES = st.sampled_from(
    [
        b"\xfe\xff\x00\xe0",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x40\x00\x75\x02SQ\0\0",
        b"\x08\x00\x18\x00UI\x04\x001.2\0",
        b"\x10\x00\x20\x00LO\x04\x004711",
        b"\x09\x00\x10\x10UN\0\0",
        b"\xe0\x7f\x10\x00OB\0\0",
        b"\x04\0\0\0",
        b"\0\0\0\0",
    ]
)
HOSTILE = st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=40).map(b"".join)


@given(HOSTILE, SYNTAXES)
def test_only_our_errors_come_out(content: bytes, syntax: str) -> None:
    for wanted in (None, frozenset({0x00100020, 0x00400275})):
        try:
            found = scan_to(content, syntax, wanted=wanted)
            value_range(content, found)
        except PeerError as error:
            assert error.code == "DCM-110"  # noqa: PT017
        else:
            assert found.end <= len(content)


@given(HOSTILE, SYNTAXES)
def test_indexing_refuses_by_name(content: bytes, syntax: str) -> None:
    try:
        index(content, syntax, DEFAULT_LIMITS)
    except PeerError as error:
        assert error.code in {"DCM-110", "DCM-111", "DCM-112", "DCM-113"}  # noqa: PT017


@given(HOSTILE, SYNTAXES)
def test_a_query_is_compiled_or_refused(content: bytes, syntax: str) -> None:
    try:
        request = Request.parse(content, syntax)
    except PeerError as error:
        assert error.code in {"DCM-110", "DCM-120", "DCM-121", "DCM-123"}  # noqa: PT017
        return
    item: dict[str, Any] = {"PatientID": "4711", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}
    request.matches(item)
    status, raw = request.answer(item, syntax)
    assert status in {0xFF00, 0xFF01}
    scan(raw, syntax, stop_before=EVERYTHING)


TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="\\\x7f=^"), max_size=20)
CODE = st.fixed_dictionaries({"CodeValue": TEXT, "CodeMeaning": TEXT})
TREES = st.fixed_dictionaries(
    {
        "PatientID": TEXT,
        "PatientName": TEXT,
        "MedicalAlerts": st.lists(TEXT.filter(bool), min_size=2, max_size=4),
        "PregnancyStatus": st.integers(0, 65535).map(str),
        "RequestedProcedureCodeSequence": st.lists(CODE, max_size=3),
    }
)


@given(TREES, SYNTAXES)
def test_what_we_write_we_read(tree: dict[str, Any], syntax: str) -> None:
    raw = encode(tree, syntax, ("ISO_IR 192",))

    assert tree_of(scan(raw, syntax), is_big_endian=syntax == EXPLICIT_BIG) == stripped(tree)


def stripped(tree: Any) -> Any:
    """Padding is not kept: Unicode has more spaces than DICOM, only U+0020 and NUL go."""
    if isinstance(tree, dict):
        return {key: stripped(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [stripped(value) for value in tree]
    return tree.strip(" \0")


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_wildcards_are_those_of_the_standard(key: str, value: str) -> None:
    pattern = "".join({"*": ".*", "?": "."}.get(character, character) for character in key)

    assert wildcard(key)(value) is (re.fullmatch(pattern, value) is not None)
    assert len(key) <= KEY_CHARACTERS


@given(st.sampled_from(sorted(SPANS)), st.text("0123456789-+.: ", max_size=40))
def test_date_and_time_keys_never_crash(vr: str, key: str) -> None:
    key_span(vr, key)
    SPANS[vr](key)


NAMES = st.sampled_from(
    [
        "ISO_IR 100",
        "ISO_IR 144",
        "ISO_IR 13",
        "ISO_IR 192",
        "GB18030",
        "GBK",
        "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 87",
        "\\ISO 2022 IR 149",
        "\\ISO 2022 IR 58",
        "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
    ]
)


@given(NAMES, st.text(st.one_of(st.sampled_from("äЛ山丂王洪ﾔ^=AZ "), st.characters(min_codepoint=32)), max_size=12))
def test_encoded_text_decodes_to_itself(name: str, text: str) -> None:
    sets = character_sets(name)

    raw = encode_text(text, sets)

    assert raw is None or decode_text(raw, sets) == text


@given(NAMES, st.binary(max_size=40))
def test_any_bytes_decode(name: str, raw: bytes) -> None:
    decode_text(raw, character_sets(name))
