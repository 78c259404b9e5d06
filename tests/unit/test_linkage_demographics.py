"""Names, birth dates and sex as two sources give them: every row of spec/reconcile.md section 2."""

from __future__ import annotations

import pytest

from engine.linkage.demographics import Agreement, Person, compare, compare_birth_dates, compare_names

EQUAL, CLOSE, DIFFERENT, EMPTY = Agreement.EQUAL, Agreement.CLOSE, Agreement.DIFFERENT, Agreement.EMPTY


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("TEST^ALPHA", "TEST^ALPHA", EQUAL, id="the same"),
        pytest.param("TEST^ALPHA", "test^alpha", EQUAL, id="case"),
        pytest.param("TEST^ALPHA", " TEST ^ ALPHA ", EQUAL, id="blanks"),
        pytest.param("TEST^ALPHA^MIDDLE^DR^JR", "TEST^ALPHA", EQUAL, id="middle name, prefix and suffix left out"),
        pytest.param("TEST^ALPHA BETA", "TEST^ALPHA", EQUAL, id="second given name left out"),
        pytest.param("TÉST^ÀLPHA", "TEST^ALPHA", EQUAL, id="diacritics"),
        pytest.param("GROẞ^JØRN", "GROSS^JORN", EQUAL, id="sharp s and stroked o"),
        pytest.param("ﬁeld^Œdipe", "FIELD^OEDIPE", EQUAL, id="ligatures"),
        pytest.param("TEST-PROBE^ALPHA", "TEST PROBE^ALPHA", EQUAL, id="hyphen"),
        pytest.param("ＴＥＳＴ^ＡＬＰＨＡ", "TEST^ALPHA", EQUAL, id="full width letters"),
        pytest.param("TEST", "TEST", EQUAL, id="family name alone on both sides"),
        pytest.param("O'TEST^ALPHA", "OTEST^ALPHA", CLOSE, id="apostrophe, one edit"),
        pytest.param("TÜST^ALPHA", "TUEST^ALPHA", CLOSE, id="umlaut written out, one edit"),
        pytest.param("TEST^ALPHA", "TESD^ALPHA", CLOSE, id="one letter changed"),
        pytest.param("TEST^ALPHA", "TESTT^ALPHA", CLOSE, id="one letter added"),
        pytest.param("TEST^ALPHAS", "TEST^ALPHA", CLOSE, id="one letter removed at the end"),
        pytest.param("TEST^ALPHA", "TEST^LAPHA", CLOSE, id="neighbours swapped"),
        pytest.param("TEST^ALPHA", "ALPHA^TEST", CLOSE, id="family and given swapped"),
        pytest.param("TEST^ALPHA", "TEST", CLOSE, id="given name missing"),
        pytest.param("TI^A", "TU^A", DIFFERENT, id="too short for one letter of difference"),
        pytest.param("TEST^ALPHA", "TEST^BETA", DIFFERENT, id="other given name"),
        pytest.param("TEST^ALPHA", "PROBE^ALPHA", DIFFERENT, id="other family name"),
        pytest.param("TEST^ALPHA", "TESTING^ALPHA", DIFFERENT, id="three letters more"),
        pytest.param("TEST^ALPHA", "TSET^ALPAH", DIFFERENT, id="two swaps"),
        pytest.param("", "TEST^ALPHA", EMPTY, id="absent"),
        pytest.param("^^^", "TEST^ALPHA", EMPTY, id="separators only"),
        pytest.param("", "", EMPTY, id="absent on both sides"),
    ],
)
def test_names_of_one_group_are_compared_by_family_and_first_given_name(
    one: str, other: str, expected: Agreement
) -> None:
    assert compare_names(one, other) is expected
    assert compare_names(other, one) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("TEST^ALPHA=試験^一", "TEST^ALPHA", EQUAL, id="only one source writes ideographs"),
        pytest.param("=試験^一", "TEST^ALPHA=試験^一", EQUAL, id="only the ideographic group in common"),
        pytest.param("TEST^ALPHA", "=試験^一", EMPTY, id="no group in common proves nothing"),
        pytest.param("TEST^ALPHA=試験^一", "TESTO^ALFA I=試験^一", CLOSE, id="other transliteration, same ideographs"),
        pytest.param("=試験^太郎=シケン^タロウ", "=試験^太朗=シケン^タロウ", CLOSE, id="same sound, other person"),
        pytest.param("TEST^ALPHA=試験^一", "PROBE^BETA=検査^二", DIFFERENT, id="nothing agrees"),
        pytest.param("TEST^ALPHA=試験^一", "PROBE^BETA", DIFFERENT, id="the common group differs"),
    ],
)
def test_name_groups_are_compared_with_their_own_kind(one: str, other: str, expected: Agreement) -> None:
    assert compare_names(one, other) is expected
    assert compare_names(other, one) is expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("शर्मा^किरण", "शर्मा^कुमार", id="Hindi vowel signs are letters"),
        pytest.param("ทดสอบ^กิตติ", "ทดสอบ^กุมาร", id="Thai vowel signs are letters"),
    ],
)
def test_vowel_signs_tell_people_apart(one: str, other: str) -> None:
    assert compare_names(one, other) is DIFFERENT


def test_voicing_marks_of_kana_are_one_letter_of_difference() -> None:
    assert compare_names("タカダ^イチ", "タカタ^イチ") is CLOSE


def test_a_name_of_marks_without_end_is_compared_by_its_beginning() -> None:
    marks = "\u0301\u0323" * 200_000

    assert compare_names(f"TEST{marks}^ALPHA", f"TEST{marks}^BETA") is Agreement.EQUAL


def test_hebrew_points_are_optional() -> None:
    assert compare_names("שָׁלוֹם^א", "שלום^א") is EQUAL


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("19800229", "19800229", EQUAL),
        (" 19800229", "19800229 ", EQUAL),
        ("1980", "19800229", CLOSE),
        ("198002", "19800229", CLOSE),
        ("1980", "1980", EQUAL),
        ("19800504", "19800405", CLOSE),
        ("19800504", "19810405", DIFFERENT),
        ("1981", "19800229", DIFFERENT),
        ("19800229", "19800228", DIFFERENT),
        ("19000101", "19800229", EMPTY),
        ("00000000", "19800229", EMPTY),
        ("99991231", "19800229", EMPTY),
        ("", "19800229", EMPTY),
        ("", "", EMPTY),
    ],
)
def test_birth_dates_are_compared_at_the_precision_they_share(one: str, other: str, expected: Agreement) -> None:
    assert compare_birth_dates(one, other) is expected
    assert compare_birth_dates(other, one) is expected


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("M", "F", True),
        ("f", "M ", True),
        ("M", "M", False),
        ("O", "M", False),
        ("", "F", False),
        ("O", "", False),
        ("", "", False),
    ],
)
def test_only_male_against_female_is_a_conflict_of_sex(one: str, other: str, conflict: bool) -> None:
    assert compare(Person(sex=one), Person(sex=other)).sex_conflict is conflict
    assert compare(Person(sex=other), Person(sex=one)).sex_conflict is conflict


def test_the_evidence_names_classes_and_no_values() -> None:
    one = Person(name="TEST^ALPHA", birth_date="19800229", sex="F")
    other = Person(name="TEST^ALPHA", birth_date="19800301", sex="M")

    found = compare(one, other)

    assert found.same_birth_year
    assert found.as_evidence == {"name": "equal", "birth_date": "different", "sex": "conflict"}
    assert compare(one, one).as_evidence == {"name": "equal", "birth_date": "equal", "sex": "no conflict"}
    assert not compare(Person(), Person()).same_birth_year
