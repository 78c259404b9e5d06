"""The rows of a report: sections, values, what replaces and what takes back."""

from __future__ import annotations

import pytest

from engine.linkage.result import (
    Reference,
    Row,
    as_content,
    references_of,
    resulting,
    rows_in,
    rows_of,
    section_text,
    text_of,
)
from engine.records.fact import ResultFact


def said(value: str = "", **more: str) -> ResultFact:
    return ResultFact(**{"value_type": "TX", "value": value, "status": "FINAL", **more})


def row(text: str = "", **more: str) -> Row:
    return Row(**{"text": text, "suffix": "GDT", "status": "FINAL", **more})


def test_lines_of_one_code_and_suffix_are_one_section_wherever_they_stand() -> None:
    rows = rows_of(
        [
            said("A", code="71260", suffix="GDT"),
            said("B", code="71260", suffix="IMP"),
            said("C", code="71260", suffix="GDT"),
        ]
    )

    assert text_of(rows) == "Description\nA\nC\n\nImpression\nB"
    assert section_text(rows, "IMP") == "B"


def test_a_report_of_one_plain_section_has_no_heading() -> None:
    assert text_of(rows_of([said("A", code="71260", name="CT"), said("B", code="71260", name="CT")])) == "A\nB"


@pytest.mark.parametrize(("code", "heading"), [("IMP", "Impression"), ("GDT", "Description"), ("ADT", "Addendum")])
def test_a_suffix_that_stands_as_the_code_means_the_same(code: str, heading: str) -> None:
    assert text_of(rows_of([said("A", code=code)])) == f"{heading}\nA"


def test_values_stand_on_a_line_with_name_and_unit() -> None:
    rows = rows_of(
        [
            said("NOTHING SEEN", code="T"),
            said("12", value_type="NM", code="SIZE", name="Size", units="mm"),
            said("3", value_type="NM", code="COUNT", name="Count"),
            said("", value_type="NM", code="NONE", units="mm"),
        ]
    )

    assert text_of(rows) == "T\nNOTHING SEEN\n\nSize: 12 mm\nCount: 3\nNONE: "


def test_a_note_stands_under_its_row() -> None:
    assert text_of(rows_of([said("A", comments="NOTE")])) == "A\nNOTE"


def test_documents_and_uids_are_no_text() -> None:
    assert rows_of([said("X", value_type="ED"), said("X", value_type="RP"), said("1.2.3", code="113014")]) == ()


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        ("113014", "DICOM Study", "study"),
        ("113015", "DICOM Series", "series"),
        ("", "Study Instance UID", "study"),
        ("", "series instance uid", "series"),
        ("", "SOP Instance UID", "instance"),
        ("", "SR Instance UID", "instance"),
    ],
)
def test_both_conventions_of_uids_are_read(code: str, name: str, kind: str) -> None:
    found, wrong = references_of([said("1.2.3^^Application^DICOM", code=code, name=name)])

    assert (found, wrong) == ((Reference(kind=kind, uid="1.2.3"),), 0)


def test_what_is_no_uid_is_counted_and_left_out() -> None:
    assert references_of([said("1.02", code="113014"), said("", code="113014"), said("A", code="A")]) == ((), 1)


def test_rows_that_say_something_replace_all_before() -> None:
    assert resulting([row("A"), row("B", suffix="IMP")], [row("C")]) == ((row("C"),), ())


def test_rows_taken_back_leave_the_others() -> None:
    before = [row("A"), row("B", suffix="IMP")]

    kept, gone = resulting(before, [row(suffix="IMP", status="WITHDRAWN")])

    assert (kept, gone) == ((before[0],), (before[1],))


def test_a_sub_id_narrows_what_is_taken_back() -> None:
    before = [row("A", sub_id="1"), row("B", sub_id="2")]

    assert resulting(before, [row(sub_id="2", status="WITHDRAWN")])[0] == (before[0],)
    assert resulting(before, [row(status="WITHDRAWN")])[0] == ()


def test_a_row_confirmed_without_text_stands_for_the_one_before() -> None:
    kept, _ = resulting([row("A", status="PRELIMINARY")], [row(status="UNCHANGED"), row("NEW", suffix="IMP")])

    assert kept == (row("A"), row("NEW", suffix="IMP"))


def test_rows_survive_their_way_through_the_record() -> None:
    rows = (row("A", sub_id="1", document="DOC1"), row("12", value_type="NM", units="mm"))

    assert rows_in(as_content(rows, rows[:1])) == rows
    assert as_content(rows, rows[:1])["withdrawn"] == as_content(rows[:1])["results"]
    assert rows_in({}) == ()
