"""Applies what was said about reports: keeps their documents, finds their orders, tells of them.

A report that fits no order waits, and is looked at again when an order, a study or a patient becomes known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.broker.decision import Applied, Desk, write_change
from engine.core.errors import InvariantError
from engine.core.ids import BlobKey, RowId
from engine.linkage.attached import Document, documents_of
from engine.linkage.change import Act, Change
from engine.linkage.evidence import Candidate
from engine.linkage.identity import KnownPatient
from engine.linkage.report import Revision, revise
from engine.linkage.report_identity import KnownReport, chosen, gathered, wanted_numbers
from engine.linkage.report_link import decide_report_links, flag_newer_images, report_action, tell_report
from engine.linkage.report_match import ReportMatch, ReportWorld, match_report, other_patient
from engine.linkage.transition import KnownOrder, move_order
from engine.records.fact import ReportFact
from engine.records.record import Study
from engine.records.report import ReportAttachment
from engine.records.state import OrderState
from engine.store import known as store
from engine.store import report as reports
from engine.store.unit import Unit


def apply_reports(unit: Unit, facts: Sequence[ReportFact], sender: str, cause: RowId, desk: Desk) -> list[Applied]:
    """Apply the reports of one message.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
    """
    act = Act(now=unit.now, cause_kind="message", cause_id=cause, new_id=unit.new_id)
    return [_apply(unit, said, sender, Change(act), desk) for said in gathered(facts)]


def _apply(unit: Unit, said: ReportFact, sender: str, change: Change, desk: Desk) -> Applied:
    documents = documents_of(said.results)
    known = chosen(said, reports.reports_named(unit, wanted_numbers(said)))
    if known is not None:
        hold = other_patient(known, said, _claimed(unit, said), change)
        if hold is not None:
            write_change(unit, change, desk)
            return Applied(held=True, notes=(f"held: {hold.reason}",))
    was_final = known is not None and known.report.state.is_final
    revision = revise(said, known, sender, change, [_key(each) for each in documents])
    if revision.version is not None:
        _attach(unit, revision, known, documents, change, desk)
    known = revision.known
    orders: tuple[KnownOrder, ...] = ()
    if revision.version is not None:
        known, orders = _placed(unit, revision, change, again=was_final)
    write_change(unit, change, desk)
    return Applied(
        held=bool(change.holds),
        notes=(*(f"held: {hold.reason}" for hold in change.holds), *change.notes),
        patient_id=known.report.patient_id,
        order_id=orders[0].order.id if orders else None,
    )


def _claimed(unit: Unit, said: ReportFact) -> tuple[KnownPatient, ...]:
    return store.patients_with(unit, [(each.value, each.issuer) for each in said.patient.identifiers])


def _key(of: Document) -> str:
    return of.pointer or hashlib.sha256(of.content).hexdigest()


def _attach(
    unit: Unit,
    revision: Revision,
    before: KnownReport | None,
    documents: Sequence[Document],
    change: Change,
    desk: Desk,
) -> None:
    """Write the documents of a version: those it keeps from the one before, then its own. Bytes are durable first."""
    version = revision.version
    assert version is not None
    current = before.current if before is not None and revision.keeps_attachments else None
    kept = reports.attachments(unit, current.id) if current is not None else ()
    there = {each.blob or each.pointer for each in kept}
    for each in kept:
        change.create(replace(each, id=unit.new_id(), version_id=version.id))
    position = len(kept)
    for document in documents:
        if _key(document) in there:
            continue
        position += 1
        attachment = ReportAttachment(
            id=unit.new_id(),
            report_id=version.report_id,
            version_id=version.id,
            position=position,
            title=document.title,
            media_type=document.media_type,
            said_type=document.said_type,
            pointer=document.pointer,
            blob=_stored(document, desk),
            size_bytes=len(document.content),
        )
        change.create(attachment)


def _stored(of: Document, desk: Desk) -> BlobKey:
    if of.pointer:
        return BlobKey("")
    if desk.blobs is None:
        raise InvariantError("a report with a document came where documents are not kept")
    return desk.blobs.put(of.content)


def _placed(
    unit: Unit, revision: Revision, change: Change, *, again: bool
) -> tuple[KnownReport, tuple[KnownOrder, ...]]:
    """Link a report that has no link yet, say that the version came, and tell the orders it is about."""
    known, version = revision.known, revision.version
    assert version is not None
    decision = None if known.links else match_report(known, report_world(unit, known))
    if isinstance(decision, ReportMatch):
        procedures = [each.procedure.id for each in decision.candidates]
        patient_id = decision.patient_id
    else:
        procedures = [link.procedure_id for link in known.links if link.procedure_id is not None]
        patient_id = known.report.patient_id
    orders = _orders(unit, procedures)
    detail = f"version {version.number}: {version.state.value.lower()}" + (", late" if version.is_late else "")
    about: list[RowId | None] = [each.order.id for each in orders]
    for order_id in about or [None]:
        change.event("report.received", detail, patient_id=patient_id, order_id=order_id, report_id=known.report.id)
    if decision is not None:
        known = decide_report_links(known, decision, change)
    if revision.is_current and known.links:
        tell_report(known, orders, change, again=again)
    return (known, orders)


def _orders(unit: Unit, procedures: Iterable[RowId]) -> tuple[KnownOrder, ...]:
    found = [store.procedure(unit, row) for row in dict.fromkeys(procedures)]
    return tuple(store.order(unit, row) for row in dict.fromkeys(each.order_id for each in found if each is not None))


def report_world(unit: Unit, known: KnownReport) -> ReportWorld:
    """Return everything known now that a report could be about."""
    by_filler = _numbered(unit, known, "filler")
    by_placer = _numbered(unit, known, "placer")
    by_accession = tuple(
        candidate
        for value, issuer in known.numbers("accession")
        for candidate in store.candidates_by_accession(unit, value, issuer)
    )
    studies: list[Study] = []
    by_study: list[Candidate] = []
    for uid, _ in known.numbers("study"):
        by_study.extend(store.candidates_by_uid(unit, uid))
        study = store.study_by_uid(unit, uid)
        if study is not None:
            studies.append(study)
            by_study.extend(_linked(unit, study))
    candidates = (*by_filler, *by_accession, *by_study, *by_placer)
    owners = {row: store.survivor(unit, row) for row in {each.order.patient_id for each in candidates}}
    return ReportWorld(
        patients=store.patients_with(unit, known.numbers("patient")),
        by_filler=by_filler,
        by_accession=by_accession,
        by_study=tuple(by_study),
        by_placer=by_placer,
        owners={row: owner for row, owner in owners.items() if owner is not None},
        studies=tuple(studies),
        held=_held(unit, studies, candidates),
    )


def _numbered(unit: Unit, known: KnownReport, kind: str) -> tuple[Candidate, ...]:
    return tuple(
        candidate
        for value, issuer in known.numbers(kind)
        for order in store.orders_with(unit, [(kind, value, issuer)])
        for candidate in _candidates(order)
    )


def _candidates(order: KnownOrder) -> list[Candidate]:
    return [
        Candidate(procedure=procedure, order=order.order, steps=order.steps_of(procedure.id))
        for procedure in order.procedures
    ]


def _linked(unit: Unit, study: Study) -> list[Candidate]:
    rows = {link.procedure_id for link in store.links_of_study(unit, study.id)}
    return [each for order in _orders(unit, sorted(rows)) for each in _candidates(order) if each.procedure.id in rows]


def _held(unit: Unit, studies: Sequence[Study], candidates: Sequence[Candidate]) -> frozenset[RowId]:
    held = {study.id for study in studies if reports.is_study_held(unit, study.id)}
    orders = {candidate.order.id for candidate in candidates}
    return frozenset(held | {row for row in orders if reports.is_order_held(unit, row)})


def rematch_reports(unit: Unit, values: Sequence[str], act: Act, desk: Desk) -> None:
    """Look again at reports that wait, because what one of these numbers, UIDs or patient IDs means became known."""
    for known in reports.waiting_reports(unit, values):
        change = Change(act)
        decision = match_report(known, report_world(unit, known))
        after = decide_report_links(known, decision, change)
        if after.links:
            procedures = [link.procedure_id for link in after.links if link.procedure_id is not None]
            tell_report(after, _orders(unit, procedures), change)
        if change.new or change.changed or change.events:
            write_change(unit, change, desk)


def settle_reports(unit: Unit, orders: Iterable[KnownOrder], act: Act, desk: Desk) -> None:
    """Let reports that came before the images were complete count now."""
    for order_id in dict.fromkeys(each.order.id for each in orders):
        states = reports.states_of_order(unit, order_id)
        if not states:
            continue
        order, change = store.order(unit, order_id), Change(act)
        for procedure in order.procedures:
            action = report_action(states.get(procedure.id, ()))
            if action is not None and procedure.state in (OrderState.ACQUIRED, OrderState.REPORTED):
                order = move_order(order, action, change, only=procedure)
        if change.changed or change.events:
            write_change(unit, change, desk)


def note_newer_images(unit: Unit, study: Study, act: Act, desk: Desk) -> None:
    """Flag the final reports of a study to which images came."""
    procedures = [link.procedure_id for link in store.links_of_study(unit, study.id)]
    change = Change(act)
    for known in reports.reports_of_study(unit, study.id, procedures):
        orders = _orders(unit, [link.procedure_id for link in known.links if link.procedure_id is not None])
        flag_newer_images(known, study.id, orders[0].order.id if orders else None, change)
    if change.events:
        write_change(unit, change, desk)
