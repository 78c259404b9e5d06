"""How a report comes to be and gains versions. What was final is never overwritten by what came before it.

Source: spec/workflow.md sections 4.5 and 9, spec/hl7.md sections 7.9 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.linkage.change import Change
from engine.linkage.errors import NoReportNumber, UnknownReport
from engine.linkage.report_state import ADDENDUM, REPLACE, RESULT, WITHDRAW, act_of, is_late, stated_state
from engine.linkage.result import (
    UNCHANGED,
    WITHDRAWN,
    Reference,
    Row,
    as_content,
    references_of,
    resulting,
    rows_in,
    rows_of,
    text_of,
)
from engine.records.explicit import plain
from engine.records.fact import OrderReferenceFact, ReportFact, ResultFact
from engine.records.record import Hold
from engine.records.report import Report, ReportIdentifier, ReportLink, ReportVersion
from engine.records.state import Danger, HoldState, ReportState

Number = tuple[str, str, str]
"""(kind, value, issuer)."""
_OLD = ("replaced", "addendum")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a message made of a report."""

    known: KnownReport
    version: ReportVersion | None
    """The new version; None when the message said nothing new."""
    is_current: bool = True
    keeps_attachments: bool = False
    """The documents of the version before belong to this one too."""


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
    named = [hit for hit in hits if own in hit.numbers("report", *_OLD)] or list(hits)
    if not rp_id:
        return named[-1] if named else None
    same = [hit for hit in named if rp_id in [value for value, _ in hit.numbers("procedure")]]
    return next(iter(same or [hit for hit in named if not hit.numbers("procedure")]), None)


def revise(
    said: ReportFact, known: KnownReport | None, sender: str, change: Change, documents: Sequence[str] = ()
) -> Revision:
    """Return a report after a message, written to `change`; nothing is linked or told yet.

    Args:
        said: The message.
        known: The report it is about; None for a new one.
        sender: `MSH-3/MSH-4`.
        change: Where the decision is written.
        documents: Keys of the documents in the message: digests, or pointers.

    Raises:
        UnknownReport: HL7-120, the message takes back, or confirms without content, what never came.
    """
    if known is None:
        return _first(said, sender, change, has_documents=bool(documents))
    if act_of(said) == RESULT and report_number(said) not in known.numbers("report", *_OLD):
        said = replace(said, act=REPLACE)  # a document of its own number that names this one as its parent
    return _next(said, known, change, documents)


def _first(said: ReportFact, sender: str, change: Change, *, has_documents: bool) -> Revision:
    act = act_of(said)
    rows = _rows(said, report_number(said)[0] if act == ADDENDUM else "")
    if act == WITHDRAW or (rows and not has_documents and all(row.status == WITHDRAWN for row in rows)):
        raise UnknownReport("no report has this number", where="TXA^1^12" if act == WITHDRAW else "OBR^1^3")
    if plain(said.status) == UNCHANGED and not rows and not has_documents:
        raise UnknownReport("the report that this confirms never came", where="OBR^1^3")
    kept, _ = resulting((), rows)
    state = stated_state(said, rows, None)
    if state is ReportState.WITHDRAWN:
        raise UnknownReport("no report has this number", where="OBR^1^3")
    if not plain(said.status) and not any(row.status for row in rows):
        change.notes.append("the report states no status; it is taken for a draft")
    now, row = change.act.now, change.act.new_id()
    is_orphan_addendum = act == ADDENDUM and bool(plain(said.parent_number))
    report = Report(
        id=row,
        state=state,
        version=1,
        title=plain(said.title),
        code=plain(said.code),
        code_system=plain(said.code_system),
        issued=plain(said.issued),
        said_name=plain(said.patient.name),
        said_birth_date=plain(said.patient.birth_date),
        said_sex=plain(said.patient.sex),
        sender=sender,
        parent_missing=is_orphan_addendum,
        received_at=now,
        changed_at=now,
        cause_id=change.act.cause_id,
    )
    change.create(report)
    known = _with_numbers(KnownReport(report=report), _named(said, is_new=True), change)
    version = _version(said, known, state, kept, (), change)
    if is_orphan_addendum:
        hold = change.hold(
            "report_parent_unknown",
            Danger.YELLOW,
            "an addendum came to a report that is not here yet",
            report_id=row,
        )
        known = replace(known, holds=(hold,))
    return Revision(known=replace(known, versions=(version,)), version=version)


def _rows(said: ReportFact, document: str) -> tuple[Row, ...]:
    """Return the rows of a message; prose beside them counts where there are none."""
    results = said.results
    if not results and plain(said.comments):
        results = (ResultFact(value_type="TX", value=said.comments),)
    return rows_of(results, document=document)


def _next(said: ReportFact, known: KnownReport, change: Change, documents: Sequence[str]) -> Revision:
    act, number, has_documents = act_of(said), report_number(said), bool(documents)
    report, current = known.report, known.current
    previous = rows_in(current.content) if current else ()
    is_addendum_number = number in known.numbers("addendum")
    if act == WITHDRAW and number in known.numbers("replaced"):
        change.notes.append("the document was replaced before; there is nothing to withdraw")
        return Revision(known=known, version=None)
    document = number[0] if act == ADDENDUM or is_addendum_number else ""
    said_rows = _rows(said, document)
    state = stated_state(said, said_rows, report.state)
    keeps = not has_documents and not any(row.text for row in said_rows)
    if act == WITHDRAW and is_addendum_number:
        kept = tuple(row for row in previous if row.document != number[0])
        gone = tuple(row for row in previous if row.document == number[0])
        state, keeps = (ReportState.ADDENDUM if any(row.document for row in kept) else ReportState.CORRECTED), True
    elif act == WITHDRAW or state is ReportState.CANCELLED:
        kept, gone, keeps = previous, (), True
    elif document or _only_adds(said_rows):
        kept, gone = _added(previous, said_rows, document), ()
        keeps = True
    else:
        kept, gone = resulting(previous, said_rows)
        if report.parent_missing:
            kept = (*kept, *(row for row in previous if row.document))
        if gone and not kept and not has_documents:
            state = ReportState.WITHDRAWN
    if report.parent_missing and not document and state.is_final:
        state = ReportState.ADDENDUM
    late = _comes_late(said, known, number, state)
    if late:
        kept, gone = resulting((), said_rows)
    is_known = number in known.numbers("report", *_OLD)
    if is_known and not gone and _is_there(known, state, kept, documents, late=late):
        change.notes.append("the report was already here with the same content")
        return Revision(known=known, version=None)
    known = _with_numbers(known, _named(said, is_new=False, known=known), change)
    version = _version(said, known, state, kept, gone, change, is_late=late)
    known = replace(known, versions=(*known.versions, version))
    if late:
        _alarm(known, state, change)
        return Revision(known=known, version=version, is_current=False)
    return Revision(known=_moved(said, known, version, change), version=version, keeps_attachments=keeps)


def _is_there(
    known: KnownReport, state: ReportState, rows: Sequence[Row], documents: Sequence[str], *, late: bool
) -> bool:
    """Whether a version says nothing that the report does not say already."""
    if late:
        text = text_of(rows)
        return any(each.state is state and each.text == text for each in known.versions)
    current = known.current
    same_rows = current is not None and rows_in(current.content) == tuple(rows)
    return state is known.report.state and same_rows and set(documents) <= set(known.documents)


def _only_adds(rows: Sequence[Row]) -> bool:
    stated = [row for row in rows if row.status != WITHDRAWN]
    return bool(stated) and all(row.is_addendum for row in stated)


def _added(previous: Sequence[Row], said: Sequence[Row], document: str) -> tuple[Row, ...]:
    """Return the rows before with an addendum behind them; the same document sent again replaces itself."""
    before = [row for row in previous if not document or row.document != document]
    return (*before, *(row for row in said if row.status != WITHDRAWN and row not in before))


def _comes_late(said: ReportFact, known: KnownReport, number: tuple[str, str], state: ReportState) -> bool:
    if number in known.numbers("replaced") and act_of(said) != REPLACE:
        return True
    if known.report.parent_missing or act_of(said) in (ADDENDUM, REPLACE):
        return False
    return is_late(state, plain(said.issued), known.report.state, known.report.issued)


def _alarm(known: KnownReport, state: ReportState, change: Change) -> None:
    what = f"a {state.value.lower()} version came after the report was {known.report.state.value.lower()}"
    reason = f"{what}; it is kept as an older version"
    if any(hold.code == "report_out_of_order" for hold in known.holds):
        change.notes.append(reason)
        return
    change.hold(
        "report_out_of_order",
        Danger.YELLOW,
        reason,
        report_id=known.report.id,
        patient_id=known.report.patient_id,
    )


def _moved(said: ReportFact, known: KnownReport, version: ReportVersion, change: Change) -> KnownReport:
    old = known.report
    arrived = old.parent_missing and act_of(said) != ADDENDUM
    report = replace(
        old,
        state=version.state,
        version=version.number,
        title=plain(said.title) or old.title,
        code=plain(said.code) or old.code,
        code_system=plain(said.code_system) or old.code_system,
        issued=plain(said.issued) or old.issued,
        parent_missing=old.parent_missing and not arrived,
        newer_images_at=None,
        changed_at=change.act.now,
    )
    change.alter(report)
    holds = list(known.holds)
    for hold in known.holds:
        if arrived and hold.code == "report_parent_unknown":
            resolution = "the report that the addendum belongs to came"
            change.alter(replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution))
            change.event("hold.resolved", resolution, report_id=report.id, order_id=hold.order_id)
            holds.remove(hold)
    return replace(known, report=report, holds=tuple(holds))


def _version(
    said: ReportFact,
    known: KnownReport,
    state: ReportState,
    rows: Sequence[Row],
    gone: Sequence[Row],
    change: Change,
    *,
    is_late: bool = False,
) -> ReportVersion:
    before = known.current
    number = max((each.number for each in known.versions), default=0) + 1
    version = ReportVersion(
        id=change.act.new_id(),
        report_id=known.report.id,
        number=number,
        state=state,
        text=text_of(rows),
        content=as_content(rows, gone),
        is_late=is_late,
        issued=plain(said.issued),
        observed=plain(said.observed) or (before.observed if before else ""),
        interpreter=plain(said.interpreter) or (before.interpreter if before else ""),
        assistant=plain(said.assistant) or (before.assistant if before else ""),
        author=plain(said.author) or (before.author if before else ""),
        at=change.act.now,
        cause_id=change.act.cause_id,
    )
    change.create(version)
    return version


def _named(said: ReportFact, *, is_new: bool, known: KnownReport | None = None) -> list[Number]:
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


def _with_numbers(known: KnownReport, numbers: Sequence[Number], change: Change) -> KnownReport:
    there = {(each.kind, each.value, each.issuer) for each in known.identifiers}
    identifiers = list(known.identifiers)
    own = [number for number in numbers if number[0] == "report"]
    for kind, value, issuer in dict.fromkeys(numbers):
        if (kind, value, issuer) in there:
            continue
        added = ReportIdentifier(
            id=change.act.new_id(), report_id=known.report.id, kind=kind, value=value, issuer=issuer
        )
        change.create(added)
        identifiers.append(added)
    if there and own and own[0] not in there:  # a replacement has a number of its own; the old ones lead here still
        for i, each in enumerate(identifiers):
            if each.kind == "report" and ("report", each.value, each.issuer) not in own:
                identifiers[i] = replace(each, kind="replaced")
                change.alter(identifiers[i])
    return replace(known, identifiers=tuple(identifiers))


__all__ = ["RESULT", "KnownReport", "Revision", "chosen", "gathered", "report_number", "revise", "wanted_numbers"]
