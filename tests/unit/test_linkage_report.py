"""Reports and their versions on the pure core; tests/contract/test_broker_report.py has them on a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.errors import NoReportNumber, UnknownReport
from engine.linkage.report import Revision, revise
from engine.linkage.report_identity import KnownReport, chosen, gathered, report_number, wanted_numbers
from engine.records.fact import IdentifierFact, OrderReferenceFact, PatientFact, ReportFact, ResultFact
from engine.records.state import HoldState, ReportState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
_rows = iter(range(1000, 1_000_000))


def change() -> Change:
    return Change(Act(now=NOW, cause_kind="message", cause_id=RowId(900), new_id=lambda: RowId(next(_rows))))


def row(text: str = "A", **more: str) -> ResultFact:
    return ResultFact(**{"value_type": "TX", "suffix": "GDT", "value": text, "status": "FINAL", **more})


def said(*rows: ResultFact, **more: Any) -> ReportFact:
    patient = PatientFact(identifiers=(IdentifierFact(value="P1", issuer="HOSP"),), name="TEST^ALPHA")
    values = {"status": "FINAL", "filler_number": "F1", "filler_issuer": "RIS", "results": rows, **more}
    return ReportFact(patient=patient, **values)


def after(*facts: ReportFact, documents: tuple[str, ...] = ()) -> Revision:
    """Return the last revision of a report after several messages about it."""
    known: KnownReport | None = None
    for fact in facts:
        revision = revise(fact, known, "RIS/RAD", change(), documents)
        known = revision.known
    return revision


@pytest.mark.parametrize(
    ("fact", "number"),
    [
        (said(report_number="R1", report_issuer="X"), ("R1", "X")),
        (said(), ("F1", "RIS")),
        (said(filler_number=None, placer_number="P1"), ("P1", "")),
        (said(filler_number=None, accession_number="A1"), ("A1", "")),
        (said(row("1.2.3", code="113014"), filler_number=None), ("1.2.3", "")),
        (said(filler_number=None, study_uid="1.2.4"), ("1.2.4", "")),
    ],
)
def test_a_report_is_called_by_its_own_number_else_by_what_it_is_about(
    fact: ReportFact, number: tuple[str, str]
) -> None:
    assert report_number(fact) == number


def test_a_report_without_any_number_is_refused() -> None:
    with pytest.raises(NoReportNumber) as raised:
        report_number(said(row(), filler_number=None))

    assert (raised.value.code, raised.value.where) == ("HL7-111", "OBR^1^3")


def test_a_parent_is_looked_for_too() -> None:
    assert wanted_numbers(said(parent_number="D0", parent_issuer="RIS")) == [("F1", "RIS"), ("D0", "RIS")]


def test_groups_of_one_number_are_one_report() -> None:
    (found,) = gathered([said(row("A")), said(row("B"))])

    assert [each.value for each in found.results] == ["A", "B"]


def test_a_group_without_content_is_about_the_text_beside_it() -> None:
    for facts in ([said(row()), said(filler_number="F2")], [said(filler_number="F2"), said(row())]):
        (found,) = gathered(facts)

        assert found.filler_number == "F1"
        assert found.orders == (OrderReferenceFact(filler_number="F2", filler_issuer="RIS"),)


@pytest.mark.parametrize(
    "other",
    [
        said(row("B"), filler_number="F2"),
        said(filler_number="F2", status="CANCELLED"),
        said(row("B"), rp_id="RP2"),
    ],
)
def test_other_groups_are_reports_of_their_own(other: ReportFact) -> None:
    assert len(gathered([said(row("A"), rp_id="RP1" if other.rp_id else None), other])) == 2


def test_one_filler_number_of_two_procedures_is_told_apart_by_the_procedure() -> None:
    one, two = after(said(row(), rp_id="RP1")).known, after(said(row(), rp_id="RP2")).known

    assert chosen(said(rp_id="RP1"), [one, two]) is one
    assert chosen(said(rp_id="RP2"), [one, two]) is two
    assert chosen(said(rp_id="RP3"), [one, two]) is None
    assert chosen(said(), [one, two]) is two
    assert chosen(said(), []) is None


def test_versions_are_numbered_and_the_last_one_counts() -> None:
    known = after(said(row("A"), status="PRELIMINARY"), said(row("B")), said(row("C"), status="CORRECTED")).known

    assert [(each.number, each.state.value, each.text) for each in known.versions] == [
        (1, "PRELIMINARY", "Description\nA"),
        (2, "FINAL", "Description\nB"),
        (3, "CORRECTED", "Description\nC"),
    ]
    assert known.current is known.versions[-1]


def test_a_late_version_is_kept_once() -> None:
    late = said(row("A"), status="PRELIMINARY")

    revision = after(said(row("B")), late, late)

    assert [(each.number, each.is_late) for each in revision.known.versions] == [(1, False), (2, True)]
    assert (revision.known.report.version, revision.version) == (1, None)


def test_a_version_may_come_late_and_be_followed_by_a_newer_one() -> None:
    known = after(said(row("B")), said(row("A"), status="PRELIMINARY"), said(row("C"), status="CORRECTED")).known

    assert (known.report.version, known.report.state) == (3, ReportState.CORRECTED)


def test_who_read_it_stays_when_a_version_does_not_say() -> None:
    version = after(
        said(row(), interpreter="READ^TESTD", observed="20261121"), said(row("B"), status="CORRECTED")
    ).version

    assert version is not None
    assert (version.interpreter, version.observed) == ("READ^TESTD", "20261121")


def test_documents_count_as_content() -> None:
    first = after(said(), documents=("digest",))
    again = revise(said(), first.known, "", change(), ("digest",))
    other = revise(said(), first.known, "", change(), ("another",))

    assert first.version is not None
    assert again.version is not None  # nobody told the core that the digest is there
    assert other.version is not None


@pytest.mark.parametrize(
    "fact",
    [
        said(act="WITHDRAW", report_number="D1"),
        said(row(status="WITHDRAWN")),
        said(status="UNCHANGED"),
    ],
)
def test_what_never_came_cannot_be_taken_back_or_confirmed(fact: ReportFact) -> None:
    with pytest.raises(UnknownReport) as raised:
        after(fact)

    assert raised.value.code == "HL7-120"


def test_a_report_without_a_status_is_a_draft_and_the_sender_hears_so() -> None:
    notes = change()

    revision = revise(said(row(status=""), status=None), None, "", notes)

    assert revision.known.report.state is ReportState.DRAFT
    assert notes.notes == ["the report states no status; it is taken for a draft"]


def document(number: str, *rows: ResultFact, **more: Any) -> ReportFact:
    return said(*rows, report_number=number, report_issuer="RIS", **more)


def test_a_replaced_document_leads_to_its_replacement() -> None:
    known = after(document("D1", row("A")), document("D2", row("B"), act="REPLACE", parent_number="D1")).known

    assert known.report.state is ReportState.CORRECTED
    assert known.numbers("report") == [("D2", "RIS")]
    assert known.numbers("replaced") == [("D1", "RIS")]


def test_an_original_that_names_its_parent_replaces_it() -> None:
    known = after(document("D1", row("A")), document("D2", row("B"), parent_number="D1")).known

    assert (known.report.state, known.numbers("replaced")) == (ReportState.CORRECTED, [("D1", "RIS")])


def test_a_replacement_of_an_unknown_document_takes_its_place() -> None:
    known = after(document("D2", row("B"), act="REPLACE", parent_number="D1", parent_issuer="RIS")).known
    late = revise(document("D1", row("A")), known, "", change())

    assert known.report.state is ReportState.CORRECTED
    assert (late.is_current, late.known.report.version) == (False, 1)


def test_the_end_of_a_replaced_document_ends_nothing() -> None:
    notes = change()
    known = after(document("D1", row("A")), document("D2", row("B"), act="REPLACE", parent_number="D1")).known

    assert revise(document("D1", act="WITHDRAW"), known, "", notes).version is None
    assert notes.notes == ["the document was replaced before; there is nothing to withdraw"]


def test_an_addendum_sent_again_replaces_itself() -> None:
    addendum = {"act": "ADDENDUM", "parent_number": "D1", "parent_issuer": "RIS"}
    known = after(
        document("D1", row("A")), document("D1A", row("B"), **addendum), document("D1A", row("C"), **addendum)
    )

    assert known.version is not None
    assert known.version.text == "Description\nA\n\nAddendum\nC"


def test_a_waiting_addendum_is_put_behind_its_report() -> None:
    changes = change()
    waiting = after(document("D1A", row("B"), act="ADDENDUM", parent_number="D1", parent_issuer="RIS")).known
    assert [hold.code for hold in waiting.holds] == ["report_parent_unknown"]

    revision = revise(document("D1", row("A")), waiting, "", changes)

    assert revision.version is not None
    assert (revision.version.state, revision.version.text) == (ReportState.ADDENDUM, "Description\nA\n\nAddendum\nB")
    assert revision.known.holds == ()
    resolved = [each for each in changes.changed.values() if getattr(each, "state", None) is HoldState.RESOLVED]
    assert len(resolved) == 1


def test_prose_beside_no_results_is_the_text() -> None:
    version = after(said(comments="FIRST\nSECOND")).version

    assert version is not None
    assert version.text == "FIRST\nSECOND"


def test_a_report_keeps_what_it_refers_to() -> None:
    known = after(
        said(
            row("1.2.3", code="113014"), row("1.2.3.4", name="Series Instance UID"), accession_number="A1", rp_id="RP1"
        )
    ).known

    assert {(each.kind, each.value) for each in known.identifiers} == {
        ("report", "F1"),
        ("filler", "F1"),
        ("accession", "A1"),
        ("procedure", "RP1"),
        ("study", "1.2.3"),
        ("series", "1.2.3.4"),
        ("patient", "P1"),
    }
