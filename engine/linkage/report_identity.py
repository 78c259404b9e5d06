"""What a report is called and what it refers to: which messages, and which groups of one, are about the same report.

Source: spec/hl7.md sections 7.9 and 10, spec/workflow.md section 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.linkage.errors import NoReportNumber
from engine.linkage.report_state import ADDENDUM, REPLACE, act_of
from engine.linkage.result import Reference, references_of
from engine.records.explicit import plain
from engine.records.fact import OrderReferenceFact, ReportFact, ResultFact
from engine.records.record import Hold
from engine.records.report import Report, ReportIdentifier, ReportLink, ReportVersion

Number = tuple[str, str, str]
"""(kind, value, issuer)."""
OLD = ("replaced", "addendum")
"""Kinds of numbers that lead to a report without being its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReport:
    """A report with all that hangs on it."""

    report: Report
    identifiers: tuple[ReportIdentifier, ...] = ()
    versions: tuple[ReportVersion, ...] = ()
    links: tuple[ReportLink, ...] = ()
    """Standing ones."""
    holds: tuple[Hold, ...] = ()
    """Open ones."""
    documents: tuple[str, ...] = ()
    """Keys of the documents of the current version: digests, or pointers."""

    @property
    def current(self) -> ReportVersion | None:
        """The version that counts."""
        return next((each for each in self.versions if each.number == self.report.version), None)

    def numbers(self, *kinds: str) -> list[tuple[str, str]]:
        """Return (value, issuer) of its identifiers of these kinds."""
        return [(each.value, each.issuer) for each in self.identifiers if each.kind in kinds]


def report_number(said: ReportFact) -> tuple[str, str]:
    """Return (value, issuer) by which a report is found again.

    Raises:
        NoReportNumber: HL7-111, it has neither a number of its own nor one of its order or study.
    """
    studies = [each.uid for each in _references(said) if each.kind == "study"]
    for number, issuer in (
        (said.report_number, said.report_issuer),
        (said.filler_number, said.filler_issuer),
        (said.placer_number, said.placer_issuer),
        (said.accession_number, said.accession_issuer),
        (studies[0] if studies else None, ""),
    ):
        if plain(number):
            return (plain(number), plain(issuer))
    raise NoReportNumber("a number of the report or of its order is required", where="OBR^1^3")


def _references(said: ReportFact) -> tuple[Reference, ...]:
    """Return the DICOM objects that a report names, in a field or in rows of their own; what is no UID is left out."""
    stated = ResultFact(code="113014", value=said.study_uid)
    return references_of((stated, *said.results))[0]


def wanted_numbers(said: ReportFact) -> list[tuple[str, str]]:
    """Return the (value, issuer) by which the report that a message is about may be known: its own, then its parent."""
    numbers = [report_number(said)]
    if plain(said.parent_number):
        numbers.append((plain(said.parent_number), plain(said.parent_issuer)))
    return numbers


def gathered(facts: Sequence[ReportFact]) -> list[ReportFact]:
    """Return the reports of one message: groups of one report number are one, and so is a group without any content.

    One report about several orders is sent with an OBR for each and the text under one of them.
    """
    gathered_facts: list[ReportFact] = []
    for said in facts:
        before = next((i for i, one in enumerate(gathered_facts) if _is_same_report(one, said)), None)
        if before is None:
            gathered_facts.append(said)
        else:
            gathered_facts[before] = _joined(gathered_facts[before], said)
    return gathered_facts


def _is_same_report(one: ReportFact, other: ReportFact) -> bool:
    if report_number(one) == report_number(other):
        return plain(one.rp_id) == plain(other.rp_id) or not (one.results and other.results)
    return plain(one.status) == plain(other.status) and bool(one.results) != bool(other.results)


def _joined(one: ReportFact, other: ReportFact) -> ReportFact:
    """Return one fact of two groups; that with content comes first."""
    first, second = (one, other) if one.results or not other.results else (other, one)
    return replace(
        first,
        orders=(*first.orders, reference_of(second), *second.orders),
        results=(*first.results, *second.results),
    )


def reference_of(said: ReportFact) -> OrderReferenceFact:
    """Return the order that the fields of a report itself name."""
    return OrderReferenceFact(
        placer_number=said.placer_number,
        placer_issuer=said.placer_issuer,
        filler_number=said.filler_number,
        filler_issuer=said.filler_issuer,
        accession_number=said.accession_number,
        accession_issuer=said.accession_issuer,
        rp_id=said.rp_id,
        code=said.code,
    )


def chosen(said: ReportFact, hits: Sequence[KnownReport]) -> KnownReport | None:
    """Return which of the reports with the same number a message is about; None when it is a new one.

    One filler number may stand for several procedures: then the requested procedure tells their reports apart.
    """
    rp_id = plain(said.rp_id)
    own = report_number(said)
    named = [hit for hit in hits if own in hit.numbers("report", *OLD)] or list(hits)
    if not rp_id:
        return named[-1] if named else None
    same = [hit for hit in named if rp_id in [value for value, _ in hit.numbers("procedure")]]
    return next(iter(same or [hit for hit in named if not hit.numbers("procedure")]), None)


def named(said: ReportFact, *, is_new: bool, known: KnownReport | None = None) -> list[Number]:
    """Return the identifiers that a message gives to a report."""
    own, act = report_number(said), act_of(said)
    parent = (plain(said.parent_number), plain(said.parent_issuer))
    numbers: list[Number] = []
    if act == ADDENDUM and parent[0]:
        numbers += [("addendum", *own), ("report", *parent)]
    elif act == REPLACE and is_new and parent[0]:
        numbers += [("report", *own), ("replaced", *parent)]
    elif known is None or own not in known.numbers("addendum", "replaced"):
        numbers.append(("report", *own))
    for order in (reference_of(said), *said.orders):
        numbers += [
            ("filler", plain(order.filler_number), plain(order.filler_issuer)),
            ("placer", plain(order.placer_number), plain(order.placer_issuer)),
            ("accession", plain(order.accession_number), plain(order.accession_issuer)),
            ("procedure", plain(order.rp_id), ""),
        ]
    numbers += [(each.kind, each.uid, "") for each in _references(said)]
    numbers += [("patient", each.value, each.issuer) for each in said.patient.identifiers]
    return [number for number in numbers if number[1]]
