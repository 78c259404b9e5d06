"""How a visit comes to be and changes: what registration says decides, orders only mention it.

Source: spec/hl7.md sections 6 and 7.2, spec/workflow.md section 4.2 (arrival).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.recency import Recorded
from engine.linkage.transition import KnownOrder
from engine.records.explicit import plain, updated
from engine.records.fact import VisitFact
from engine.records.record import Visit
from engine.records.state import StepState, VisitState


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEffect:
    """What an event of registration does to a visit."""

    state: VisitState | None = None
    """None leaves it; a visit nobody knew is then ACTIVE."""
    name: str = "visit.updated"
    """The event that is told when something changed."""
    class_code: str = ""
    """What PV1-2 means when it is left empty."""


EFFECTS: dict[str, VisitEffect] = {
    "A01": VisitEffect(state=VisitState.ACTIVE, name="visit.admitted"),
    "A02": VisitEffect(name="visit.transferred"),
    "A03": VisitEffect(state=VisitState.DISCHARGED, name="visit.discharged"),
    "A04": VisitEffect(state=VisitState.ACTIVE, name="visit.registered"),
    "A05": VisitEffect(state=VisitState.PLANNED, name="visit.planned"),
    "A06": VisitEffect(name="visit.class_changed", class_code="I"),
    "A07": VisitEffect(name="visit.class_changed", class_code="O"),
    "A08": VisitEffect(),
    "A09": VisitEffect(name="visit.departed"),
    "A10": VisitEffect(name="visit.arrived"),
    "A11": VisitEffect(state=VisitState.CANCELLED, name="visit.cancelled"),
    "A12": VisitEffect(name="visit.transfer_cancelled"),
    "A13": VisitEffect(state=VisitState.ACTIVE, name="visit.reopened"),
    "A38": VisitEffect(state=VisitState.CANCELLED, name="visit.cancelled"),
}
"""ADT trigger → effect. A28 and A31 speak of the person only and are not here."""

_BEGINS = frozenset({"A01", "A04"})
ARRIVALS = {
    "A04": (StepState.SCHEDULED, StepState.ARRIVED),
    "A10": (StepState.SCHEDULED, StepState.ARRIVED),
    "A11": (StepState.ARRIVED, StepState.SCHEDULED),
}
"""ADT trigger → (step state it finds, step state it leaves), for those by which patients come or do not come."""


def note_visit(said: VisitFact | None, known: Visit | None, patient_id: RowId, change: Change) -> Visit | None:
    """Return the visit that an order mentions, created or updated; None when no visit number was said.

    A visit of another patient is left as it is, and the sender is told; so is one whose number is history.
    """
    if said is None or not said.number:
        return known
    if known is None:
        return _create(said, VisitState.ACTIVE, patient_id, change)
    if not _may_change(said, known, patient_id, change):
        return known
    visit = replace(
        known,
        class_code=updated(known.class_code, said.class_code),
        location=updated(known.location, said.location),
        attending=updated(known.attending, said.attending),
    )
    if visit != known:
        change.alter(visit)
    return visit


def register_visit(
    said: VisitFact | None,
    event: str,
    known: Visit | None,
    patient_id: RowId,
    change: Change,
    *,
    said_at: Recorded | None = None,
    occurred: str = "",
) -> Visit | None:
    """Return the visit after an event of registration; None when no visit number was said or the event is of a person.

    Args:
        said: What the message says about the visit.
        event: ADT trigger.
        known: The visit under that number, or the one that it was merged into.
        patient_id: Whose the message says it is.
        change: Where the decision is written.
        said_at: When registration recorded it; older than what is kept: nothing is applied, the sender is told.
        occurred: The same as it was said: when the visit began or ended, if nothing else says that.
    """
    effect = EFFECTS.get(event)
    if said is None or not said.number or effect is None:
        return known
    if known is None:
        known = _create(said, effect.state or VisitState.ACTIVE, patient_id, change)
    elif not _may_change(said, known, patient_id, change):
        return known
    elif said_at is not None and said_at.is_older_than(known.registered_at):
        change.notes.append("not applied to the visit: what is kept of it was recorded later")
        return known
    visit = replace(
        known,
        state=_state(effect, known),
        class_code=updated(known.class_code, said.class_code or effect.class_code or None),
        location=updated(known.location, said.location),
        attending=updated(known.attending, said.attending),
        admitted=updated(known.admitted, said.admitted) or (occurred if event in _BEGINS else ""),
        discharged=_discharged(said, event, known, occurred),
    )
    differs = visit != known or known.id in change.new
    if said_at is not None:
        visit = replace(visit, registered_at=max(said_at.first, known.registered_at or said_at.first))
    if visit != known:
        change.alter(visit)
    if differs:
        change.event(effect.name, patient_id=patient_id)
    return visit


def _state(effect: VisitEffect, known: Visit) -> VisitState:
    if effect.state is VisitState.PLANNED and known.state is not VisitState.CANCELLED:
        return known.state  # a pre-admission says nothing new about a patient who is there
    return effect.state or known.state


def _discharged(said: VisitFact, event: str, known: Visit, occurred: str) -> str:
    if event == "A13":
        return ""
    stated = updated(known.discharged, said.discharged)
    return stated or (occurred if event == "A03" else "")


def _create(said: VisitFact, state: VisitState, patient_id: RowId, change: Change) -> Visit:
    visit = Visit(
        id=change.act.new_id(),
        patient_id=patient_id,
        number=plain(said.number),
        issuer=plain(said.issuer),
        state=state,
        class_code=plain(said.class_code),
        location=plain(said.location),
        attending=plain(said.attending),
        admitted=plain(said.admitted),
        discharged=plain(said.discharged),
        cause_id=change.act.cause_id,
    )
    change.create(visit)
    return visit


def _may_change(said: VisitFact, known: Visit, patient_id: RowId, change: Change) -> bool:
    if known.patient_id != patient_id:  # moving a visit is an act of registration (ADT^A44, A45), never a side effect
        change.notes.append("the visit number is that of another patient's visit, which stays as it was")
        return False
    return (known.number, known.issuer) == (plain(said.number), plain(said.issuer))


def follow_patient(
    before: Visit | None, visit: Visit, orders: Sequence[KnownOrder], change: Change
) -> tuple[KnownOrder, ...]:
    """Return those orders of a visit that must be shown anew because the patient is elsewhere now."""
    if visit.location == (before.location if before else ""):
        return ()
    after = []
    for known in orders:
        order = known.order
        if order.admission_id == visit.number and order.patient_location != visit.location:
            order = replace(order, patient_location=visit.location)
            change.alter(order)
            change.event("order.updated", "the patient's location", patient_id=order.patient_id, order_id=order.id)
            after.append(replace(known, order=order))
    return tuple(after)


def note_arrival(
    event: str, visit: Visit | None, orders: Sequence[KnownOrder], today: str, change: Change
) -> tuple[KnownOrder, ...]:
    """Return the order whose steps of today are those of a patient who arrived (or did not, after all); else nothing.

    It must be clear which order is meant: the only one of the visit with such steps, else the only one of the patient.

    Args:
        event: ADT trigger.
        visit: The visit that the message names, if it names one.
        orders: Open orders of the patient.
        today: The day at the site, YYYYMMDD.
        change: Where the decision is written.
    """
    if event not in ARRIVALS:
        return ()
    found, becomes = ARRIVALS[event]
    due = [
        known
        for known in orders
        if any(step.state is found and step.start[:8] == today for step in known.steps)
        and (visit is None or known.order.admission_id in ("", visit.number))
    ]
    of_visit = [known for known in due if visit is not None and known.order.admission_id == visit.number]
    meant = of_visit or due
    if len(meant) != 1:
        return ()
    (known,) = meant
    steps = []
    for step in known.steps:
        if step.state is not found or step.start[:8] != today:
            steps.append(step)
            continue
        moved = replace(step, state=becomes)
        steps.append(moved)
        change.alter(moved)
        change.event(
            "step.arrived" if becomes is StepState.ARRIVED else "step.arrival_cancelled",
            patient_id=known.order.patient_id,
            order_id=known.order.id,
            procedure_id=step.procedure_id,
            step_id=step.id,
        )
    return (replace(known, steps=tuple(steps)),)
