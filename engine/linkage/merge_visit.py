"""Visits and accounts that are one, get another number, or go to another patient: only what hangs on a visit follows.

Source: spec/hl7.md section 8; HL7 v2.5.1 chapter 3.3 (A35, A41, A42, A44, A45, A49, A50).
"""

from __future__ import annotations

from dataclasses import replace

from engine.core.ids import RowId
from engine.linkage.errors import IdentifierInUse, NoVisitNumber, SamePatient
from engine.linkage.merge import Merger
from engine.linkage.merge_world import Objection
from engine.records.explicit import plain
from engine.records.fact import MergePairFact, VisitFact
from engine.records.record import Patient, Visit
from engine.records.state import Danger, VisitState


def merge_visits(merger: Merger, pair: MergePairFact) -> Objection | RowId:
    """Lead a visit number of a patient to another visit of the same patient; return the patient.

    Raises:
        NoVisitNumber: one of both numbers is missing.
        SamePatient: both numbers are the same.
    """
    return _lead_visit(merger, pair, renames=False)


def rename_visit(merger: Merger, pair: MergePairFact) -> Objection | RowId:
    """Give a visit another number; the old one still leads to it. Return the patient.

    Raises:
        NoVisitNumber: one of both numbers is missing.
        SamePatient: both numbers are the same.
        IdentifierInUse: the new number is that of another visit.
    """
    return _lead_visit(merger, pair, renames=True)


def move_visit(merger: Merger, pair: MergePairFact) -> Objection | RowId:
    """Give a visit with its orders to the patient of PID; held when images or reports hang on them.

    Raises:
        NoVisitNumber: MRG names no visit.
    """
    number, issuer = _prior(merger, pair)
    patient = merger.describe(pair)
    if isinstance(patient, Objection):
        return patient
    world = merger.world
    visit = world.visit(number, issuer)
    if visit is None:
        merger.change.notes.append("no visit has the number in MRG; nothing was moved")
        return patient.id
    if visit.patient_id == patient.id:
        merger.change.notes.append("the visit was moved before")
        return patient.id
    owners = {world.survivor(each).id for each in world.owners(pair.prior_identifiers)}
    if visit.patient_id not in owners:
        return _of_another(patient)
    orders = [
        order for order in world.orders_of(world.patients[visit.patient_id]) if order.admission_id == visit.number
    ]
    if any(order.id in world.imaged for order in orders):
        return Objection(
            code="visit_has_images",
            reason="the visit has orders with images or reports; to give them to another patient needs a person",
            evidence={"orders": [order.id for order in orders]},
            patient_id=visit.patient_id,
        )
    merger.alter(replace(visit, patient_id=patient.id))
    for order in orders:
        merger.alter(replace(order, patient_id=patient.id))
        merger.change.event("order.patient_changed", "visit moved", patient_id=patient.id, order_id=order.id)
    moved = {"visit": [visit.id], "imaging_order": [order.id for order in orders]}
    merger.remember("visit", patient.id, visit.patient_id, moved)
    merger.change.event("visit.moved", patient_id=patient.id)
    return patient.id


def _lead_visit(merger: Merger, pair: MergePairFact, *, renames: bool) -> Objection | RowId:
    prior_number, prior_issuer = _prior(merger, pair)
    said = pair.patient.visit or VisitFact()
    number, issuer = plain(said.number), plain(said.issuer)
    if not number:
        raise NoVisitNumber("PV1-19 or PID-18 is required", where="PV1^1^19")
    if (number, issuer) == (prior_number, prior_issuer):
        raise SamePatient("MRG names the visit that survives", where=f"MRG^{merger.position}")
    patient = merger.describe(pair)
    if isinstance(patient, Objection):
        return patient
    world = merger.world
    prior, target = world.visit(prior_number, prior_issuer), world.visit(number, issuer)
    if any(visit is not None and visit.patient_id != patient.id for visit in (prior, target)):
        return _of_another(patient)
    if target is not None and prior is not None:
        if _leads(merger, prior, target):
            merger.change.notes.append("the visits were merged before")
            return patient.id
        if _leads(merger, target, prior):
            return Objection(
                code="merge_reversed",
                reason="the visits were merged before; now the other way round",
                danger=Danger.AMBER,
                patient_id=patient.id,
            )
        if renames:
            raise IdentifierInUse("another visit has this number", where="PV1^1^19")
    target = _last(merger, target) if target is not None else _made(merger, said, prior, patient)
    _merge_into(merger, prior or _former(merger, prior_number, prior_issuer, patient), target)
    return patient.id


def _prior(merger: Merger, pair: MergePairFact) -> tuple[str, str]:
    number = plain(pair.prior_visit_number)
    if not number:
        raise NoVisitNumber("MRG-5 or MRG-3 is required", where=f"MRG^{merger.position}^5")
    return (number, plain(pair.prior_visit_issuer))


def _of_another(patient: Patient) -> Objection:
    return Objection(
        code="visit_of_another_patient",
        reason="the visit numbers of the message are those of another patient's visit",
        patient_id=patient.id,
    )


def _last(merger: Merger, visit: Visit) -> Visit:
    while visit.merged_into is not None:
        found = merger.world.hanging[visit.merged_into]
        assert isinstance(found, Visit)
        visit = found
    return visit


def _leads(merger: Merger, visit: Visit, target: Visit) -> bool:
    """Whether a visit was merged into another, or both into a third."""
    ahead = visit.merged_into is not None
    return ahead and _last(merger, visit).id == _last(merger, target).id and target.merged_into != visit.id


def _made(merger: Merger, said: VisitFact, prior: Visit | None, patient: Patient) -> Visit:
    act = merger.change.act
    visit = Visit(
        id=act.new_id(),
        patient_id=patient.id,
        number=plain(said.number),
        issuer=plain(said.issuer),
        state=prior.state if prior else VisitState.ACTIVE,
        class_code=plain(said.class_code) or (prior.class_code if prior else ""),
        location=plain(said.location) or (prior.location if prior else ""),
        attending=plain(said.attending) or (prior.attending if prior else ""),
        admitted=plain(said.admitted) or (prior.admitted if prior else ""),
        discharged=plain(said.discharged) or (prior.discharged if prior else ""),
        registered_at=prior.registered_at if prior else None,
        cause_id=act.cause_id,
    )
    merger.change.create(visit)
    merger.world.learn([visit])
    return visit


def _former(merger: Merger, number: str, issuer: str, patient: Patient) -> Visit:
    act = merger.change.act
    visit = Visit(id=act.new_id(), patient_id=patient.id, number=number, issuer=issuer, cause_id=act.cause_id)
    merger.change.create(visit)
    return visit


def _merge_into(merger: Merger, prior: Visit, target: Visit) -> None:
    merger.alter(replace(prior, state=VisitState.MERGED, merged_into=target.id))
    for order in merger.world.orders_of(merger.world.patients[target.patient_id]):
        if order.admission_id == prior.number:
            merger.alter(replace(order, admission_id=target.number))
            merger.change.event("order.updated", "visit number", patient_id=order.patient_id, order_id=order.id)
    merger.change.event("visit.merged", patient_id=target.patient_id)
