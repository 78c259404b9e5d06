"""Applies what was said: loads what linkage needs to decide, and writes what it decided, in one unit of work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.broker.outbox import Wake, tell
from engine.broker.policy import order_policy
from engine.broker.worklist import worklist_items
from engine.config.site import Site
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.evidence import StudyWorld, evidence_of
from engine.linkage.identity import KnownPatient
from engine.linkage.match import Decision, Match, match_study
from engine.linkage.order import OrderWorld, apply_order, order_numbers
from engine.linkage.patient import note_visit, register
from engine.linkage.study import decide_links, tell_completion
from engine.linkage.transition import KnownOrder
from engine.records.explicit import plain
from engine.records.fact import OrderFact, PatientFact, RequestAttributes, VisitFact
from engine.records.record import Hold, ImagingOrder, Patient, RequestedProcedure, Study
from engine.store import known, worklist
from engine.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What applying needs besides the unit: the site's files, and whom to wake after the commit."""

    site: Site
    wake: Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of one fact. `held` when a person must look first; `notes` are for the sender."""

    held: bool
    notes: tuple[str, ...] = ()
    patient_id: RowId | None = None
    order_id: RowId | None = None


def apply_fact(unit: Unit, fact: OrderFact | PatientFact, sender: str, cause: RowId, desk: Desk) -> Applied:
    """Apply one fact of a message.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
    """
    change = Change(Act(now=unit.now, cause_kind="message", cause_id=cause, new_id=unit.new_id))
    if isinstance(fact, PatientFact):
        applied = _apply_patient(unit, fact, change, desk)
    else:
        applied = _apply_order(unit, fact, sender, change, desk)
    return applied


def write_change(unit: Unit, change: Change, desk: Desk) -> None:
    """Write a decision: records, events, and the notices that the events call for."""
    unit.insert(change.new.values())
    unit.update(change.changed.values())
    unit.insert(change.events)
    tell(unit, change.events, desk.site, desk.wake)


def _register(unit: Unit, fact: PatientFact, change: Change, *, registrar: bool) -> KnownPatient | Hold:
    hits = known.patients_with(unit, [(each.value, each.issuer) for each in fact.identifiers])
    return register(fact, hits, change, registrar=registrar)


def _note_visit(unit: Unit, said: VisitFact | None, patient: Patient, change: Change) -> None:
    if said is not None and said.number:
        note_visit(said, known.visit(unit, plain(said.number), plain(said.issuer)), patient.id, change)


def _apply_patient(unit: Unit, fact: PatientFact, change: Change, desk: Desk) -> Applied:
    patient = _register(unit, fact, change, registrar=True)
    if isinstance(patient, Hold):
        write_change(unit, change, desk)
        return Applied(held=True, notes=(f"held: {patient.reason}",))
    _note_visit(unit, fact.visit, patient.patient, change)
    write_change(unit, change, desk)
    if change.changed or len(change.new) > 1:
        _refresh_patient(unit, patient, change.act, desk)
    return Applied(held=False, notes=tuple(change.notes), patient_id=patient.patient.id)


def _refresh_patient(unit: Unit, patient: KnownPatient, act: Act, desk: Desk) -> None:
    """Serve the patient's open steps under the new description, and look again at studies that wait for it."""
    for order_id in known.open_orders_of_patient(unit, patient.patient.id):
        worklist.put(unit, worklist_items(known.order(unit, order_id), patient, desk.site.issuers))
    waiting = known.waiting_studies(unit, uids=(), accessions=(), patient_ids=_values(patient))
    rematch(unit, waiting, act, desk)


def _apply_order(unit: Unit, fact: OrderFact, sender: str, change: Change, desk: Desk) -> Applied:
    patient = _register(unit, fact.patient, change, registrar=False)
    if isinstance(patient, Hold):
        write_change(unit, change, desk)
        return Applied(held=True, notes=(f"held: {patient.reason}",))
    _note_visit(unit, fact.visit or fact.patient.visit, patient.patient, change)
    world = _order_world(unit, fact)
    result = apply_order(fact, patient.patient, world, order_policy(desk.site, sender), change)
    write_change(unit, change, desk)
    if isinstance(result, Hold):
        return Applied(held=True, notes=(f"held: {result.reason}",), patient_id=patient.patient.id)
    worklist.put(unit, worklist_items(result, patient, desk.site.issuers), new=change.new)
    waiting = known.waiting_studies(
        unit,
        uids=[procedure.study_uid for procedure in result.procedures],
        accessions=[each.value for each in result.identifiers if each.kind == "accession"],
        patient_ids=_values(patient),
    )
    rematch(unit, waiting, change.act, desk)
    return Applied(
        held=bool(change.holds),
        notes=tuple(change.notes),
        patient_id=patient.patient.id,
        order_id=result.order.id,
    )


def _values(patient: KnownPatient) -> list[str]:
    return [identifier.value for identifier in patient.identifiers]


def _order_world(unit: Unit, fact: OrderFact) -> OrderWorld:
    owners: list[tuple[RequestedProcedure, ImagingOrder]] = []
    study_uid = plain(fact.study_uid)
    if study_uid:
        owners = [
            (procedure, known.order(unit, procedure.order_id).order)
            for procedure in known.procedures_with_uid(unit, study_uid)
        ]
    return OrderWorld(hits=known.orders_with(unit, order_numbers(fact)), uid_owners=tuple(owners))


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


def refresh_worklist(unit: Unit, orders: Iterable[KnownOrder], desk: Desk) -> None:
    """Write the worklist rows of orders as they stand now in the database."""
    for order_id in [known_order.order.id for known_order in orders]:
        fresh = known.order(unit, order_id)
        patient = known.survivor(unit, fresh.order.patient_id)
        if patient is not None:
            worklist.put(unit, worklist_items(fresh, patient, desk.site.issuers))
