"""What a matching key accepts (spec/worklist.md section 4.2)."""

from __future__ import annotations

import pytest

from engine.dicom.dataset_error import BadKeyValue, IdentifierTooLarge
from engine.dicom.dictionary import tag_of
from engine.dicom.matching import matcher, wildcard

DATE = tag_of("ScheduledProcedureStepStartDate")


def accepts(vr: str, key: str, *stored: str) -> bool:
    test = matcher(vr, DATE, key)
    return True if test is None else test(stored)


@pytest.mark.parametrize(
    ("vr", "key", "stored", "expected"),
    [
        ("LO", "", "anything", True),
        ("LO", "*", "", True),
        ("DA", "*", "20261121", True),
        ("SH", " A1 ", "A1", True),
        ("SH", "A1", "A1 ", True),
        ("SH", "a1", "A1", False),
        ("LT", " A1", "A1", False),
        ("AE", "CT1", "ct1", False),
        ("AE", "CT*", "CT1", True),
        ("CS", "C?", "CT", True),
        ("CS", "C?", "CTX", False),
        ("UI", "1.2*", "1.2*", True),  # no wildcard in a UID
        ("UI", "1.2*", "1.2.3", False),
        ("UI", "1.2\\1.3", "1.3", True),
        ("UI", "1.2\\1.3", "1.4", False),
        ("CS", "CT\\MR", "MR", True),
        ("IS", "1", "1", True),
        ("SH", "X", "", False),
        ("SH", "?*", "", False),
        ("SH", "A*C*E", "ABCDE", True),
        ("SH", "A*C*E", "ACE", True),
        ("SH", "A*B*A", "ABA", True),
        ("SH", "AB*BA", "ABA", False),
        ("SH", "A.C", "ABC", False),
        ("SH", "A.*", "A.B", True),
        ("SH", "**A**", "xAx", True),
        ("LT", "a*z", "a\r\nz", True),
    ],
)
def test_single_values_and_wildcards(vr: str, key: str, stored: str, expected: bool) -> None:
    assert accepts(vr, key, stored) is expected


def test_one_of_several_stored_values_is_enough() -> None:
    assert accepts("AE", "CT2", "CT1", "CT2")
    assert not accepts("AE", "CT3", "CT1", "CT2")
    assert not accepts("AE", "CT3")


@pytest.mark.parametrize(
    ("key", "stored", "expected"),
    [
        ("doe^john", "DOE^JOHN", True),
        ("DOE^JOHN^^^", "Doe^John", True),
        ("DOE^JOHN", "DOE^JOHN^^DR", False),
        ("DOE*", "DOE^JOHN", True),
        ("DOE", "DOE^JOHN", False),
        ("?OE^J*", "DOE^JOHN", True),
        ("*^JOHN", "DOE^JOHN", True),
        ("*^JOHN", "DOE^JOHN^M", False),
        ("DOE^*", "DOE", True),
        ("DOE*^^^", "DOE^JOHN", True),
        ("Müller*", "MÜLLER^ÄNNE", True),
        ("MU\u0308LLER^A", "Müller^A", True),  # composed and decomposed
        ("山田*", "YAMADA^TAROU=山田^太郎", True),
        ("YAMADA*=山田*", "YAMADA^TAROU=山田^太郎", True),
        ("YAMADA*=鈴木*", "YAMADA^TAROU=山田^太郎", False),
        ("=山田*", "YAMADA^TAROU=山田^太郎", True),
        ("YAMADA*=", "YAMADA^TAROU=山田^太郎", True),
        ("DOE ^ JOHN", "DOE^JOHN", True),
        ("DOE*", "", False),
    ],
)
def test_person_names(key: str, stored: str, expected: bool) -> None:
    assert accepts("PN", key, stored) is expected


@pytest.mark.parametrize(
    ("vr", "key", "stored", "expected"),
    [
        ("DA", "20261121", "20261121", True),
        ("DA", "2026.11.21", "20261121", True),
        ("DA", "20261121-20261121", "20261121", True),
        ("DA", "20261231-20270101", "20270101", True),
        ("DA", "20261122-", "20261121", False),
        ("DA", "-20261121", "20261121", True),
        ("DA", "20261101-", "20270101", True),
        ("DA", "20261201-20261101", "20261115", False),
        ("DA", "20261121", "", False),
        ("DA", "20261121", "soon", False),
        ("TM", "0930", "093015", True),
        ("TM", "093000", "0930", True),
        ("TM", "080000-100000", "0930", True),
        ("TM", "08-10", "105959.5", True),
        ("TM", "08-10", "11", False),
        ("TM", "22-06", "23", False),  # no wrap at midnight
        ("TM", "08:00-10:00", "09:30", True),
        ("TM", "-120000", "120000", True),
        ("TM", "-120000", "120001", False),
        ("DT", "20261121", "202611210930", True),
        ("DT", "202611210930-202611211030", "20261121100000.5", True),
        ("DT", "20261121093000+0100", "20261121093000", True),
        ("DT", "20261121-0500-20261122-0500", "2026112112", True),
        ("DT", "2026-2027", "2028", False),
    ],
)
def test_dates_and_times(vr: str, key: str, stored: str, expected: bool) -> None:
    assert accepts(vr, key, stored) is expected


@pytest.mark.parametrize(
    ("vr", "key"),
    [
        ("DA", "2026"),
        ("DA", "20261301"),
        ("DA", "20261121-2026"),
        ("DA", "-"),
        ("DA", "202611*"),
        ("DA", "20261121-20261122-20261123"),
        ("TM", "25"),
        ("TM", "9"),
        ("TM", "1260"),
        ("DT", "20261301"),
        ("DT", "x"),
    ],
)
def test_a_malformed_key_names_its_tag(vr: str, key: str) -> None:
    with pytest.raises(BadKeyValue) as refused:
        matcher(vr, DATE, key)

    assert refused.value.code == "DCM-121"
    assert refused.value.where == "ScheduledProcedureStepStartDate"
    assert refused.value.text == "value of key cannot be matched"


def test_a_wildcard_key_has_a_longest_length() -> None:
    with pytest.raises(IdentifierTooLarge):
        matcher("LT", DATE, "a*" * 1000)


def test_a_hostile_pattern_is_cheap() -> None:
    accepts_it = wildcard("*a" * 500 + "b")

    assert not accepts_it("a" * 10_000)


def test_names_are_compared_composed_unless_they_are_far_too_long() -> None:
    composed, decomposed = "M\u00fcller", "MU\u0308LLER"
    assert accepts("PN", composed, decomposed)
    assert accepts("PN", decomposed, composed)

    endless = decomposed + "\u0323\u0301" * 100_000
    assert accepts("PN", endless, endless.lower())
    assert not accepts("PN", composed, endless)
