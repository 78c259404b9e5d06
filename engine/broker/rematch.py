"""Looks again: at studies that wait, because an order or a patient has become known, and at worklist rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.broker.apply_report import rematch_reports, settle_reports
from engine.broker.decision import Desk, write_change
from engine.broker.worklist import worklist_items
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.evidence import StudyWorld, evidence_of
from engine.linkage.identity import KnownPatient
from engine.linkage.match import Decision, Match, match_study
from engine.linkage.step import patient_flaw, released_steps
from engine.linkage.study import decide_links, tell_completion
from engine.linkage.transition import KnownOrder
from engine.records.fact import RequestAttributes
from engine.records.record import Hold, Study
from engine.store import known, worklist
from engine.store.unit import Unit


def decide(unit: Unit, study: Study, requests: tuple[RequestAttributes, ...] = ()) -> Decision:
    """Return what the evidence of a study permits, given everything known now."""
    evidence = evidence_of(study, requests)
    by_uid = known.candidates_by_uid(unit, study.study_uid)
    stated = [study.accession_number] if study.accession_number else [each.accession_number for each in requests]
    by_accession = tuple(
        candidate
        for accession in dict.fromkeys(stated)
        for candidate in known.candidates_by_accession(unit, accession, study.accession_issuer)
    )
    owners = _owners(unit, {candidate.order.patient_id for candidate in (*by_uid, *by_accession)})
    world = StudyWorld(
        patients=known.patients_with_value(unit, study.dicom_patient_id) if study.dicom_patient_id else (),
        by_uid=by_uid,
        by_accession=by_accession,
        owners=owners,
    )
    return match_study(evidence, world, unit.now)


def _owners(unit: Unit, rows: Iterable[RowId]) -> tuple[KnownPatient, ...]:
    return tuple(owner for row in sorted(rows) if (owner := known.survivor(unit, row)) is not None)


def link_study(
    unit: Unit, study: Study, requests: tuple[RequestAttributes, ...], change: Change
) -> tuple[Study, tuple[KnownOrder, ...]]:
    """Decide about a study without a link and write the decision to `change`; return it and the orders it moved."""
    decision = decide(unit, study, requests)
    orders = _orders_of(unit, decision)
    holds = known.holds_of_study(unit, study.id)
    study, links, orders = decide_links(study, decision, orders, holds, change)
    if links and study.state.is_complete:
        still_open = [change.changed.get(hold.id, hold) for hold in holds]
        tell_completion(study, links, orders, [hold for hold in still_open if isinstance(hold, Hold)], change)
    return (study, orders if links else ())


def _orders_of(unit: Unit, decision: Decision) -> tuple[KnownOrder, ...]:
    if not isinstance(decision, Match):
        return ()
    return tuple(known.order(unit, row) for row in dict.fromkeys(each.order.id for each in decision.candidates))


def rematch(unit: Unit, studies: Sequence[Study], act: Act, desk: Desk) -> None:
    """Look again at studies that wait, because an order or a patient has become known."""
    for study in studies:
        change = Change(act)
        _, orders = link_study(unit, study, (), change)
        write_change(unit, change, desk)
        refresh_worklist(unit, orders, desk)
        settle_reports(unit, orders, act, desk)
        rematch_reports(unit, [study.study_uid], act, desk)


def refresh_worklist(unit: Unit, orders: Iterable[KnownOrder], desk: Desk) -> None:
    """Write the worklist rows of orders as they stand now in the database."""
    for order_id in [known_order.order.id for known_order in orders]:
        fresh = known.order(unit, order_id)
        patient = known.survivor(unit, fresh.order.patient_id)
        if patient is not None:
            worklist.put(unit, worklist_items(fresh, patient, desk.site.issuers))


def refresh_patient(unit: Unit, patient_id: RowId, act: Act, desk: Desk) -> None:
    """Serve a patient's open steps under the new description, and look again at studies that wait for it."""
    patient = known.survivor(unit, patient_id)
    assert patient is not None  # whoever asks has just written it
    for order_id in known.open_orders_of_patient(unit, patient.patient.id):
        order = known.order(unit, order_id)
        if order.holds and not patient_flaw(patient):
            change = Change(act)
            order = replace(order, steps=released_steps(order.steps, order.holds, change))
            write_change(unit, change, desk)
        worklist.put(unit, worklist_items(order, patient, desk.site.issuers))
    waiting = known.waiting_studies(unit, uids=(), accessions=(), patient_ids=values_of(patient))
    rematch(unit, waiting, act, desk)
    rematch_reports(unit, values_of(patient), act, desk)


def values_of(patient: KnownPatient) -> list[str]:
    """Return what a patient's identifiers are called, former ones too."""
    return [identifier.value for identifier in (*patient.identifiers, *patient.former)]
