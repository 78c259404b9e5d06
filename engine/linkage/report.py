"""How a report comes to be and gains versions. What was final is never overwritten by what came before it.

Source: spec/workflow.md sections 4.5 and 9, spec/hl7.md sections 7.9 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.linkage.change import Change
from engine.linkage.errors import UnknownReport
from engine.linkage.report_identity import OLD, KnownReport, Number, named, report_number
from engine.linkage.report_state import ADDENDUM, REPLACE, RESULT, WITHDRAW, act_of, is_late, stated_state
from engine.linkage.result import UNCHANGED, WITHDRAWN, Row, as_content, resulting, rows_in, rows_of, text_of
from engine.records.explicit import plain
from engine.records.fact import ReportFact, ResultFact
from engine.records.report import Report, ReportIdentifier, ReportVersion
from engine.records.state import Danger, HoldState, ReportState


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a message made of a report."""

    known: KnownReport
    version: ReportVersion | None
    """The new version; None when the message said nothing new."""
    is_current: bool = True
    keeps_attachments: bool = False
    """The documents of the version before belong to this one too."""


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
    if act_of(said) == RESULT and report_number(said) not in known.numbers("report", *OLD):
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
    known = _with_numbers(KnownReport(report=report), named(said, is_new=True), change)
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
    is_known = number in known.numbers("report", *OLD)
    if is_known and not gone and _is_there(known, state, kept, documents, late=late):
        change.notes.append("the report was already here with the same content")
        return Revision(known=known, version=None)
    known = _with_numbers(known, named(said, is_new=False, known=known), change)
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
