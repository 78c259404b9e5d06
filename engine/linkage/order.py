"""How an order message changes the order, its requested procedure and its scheduled steps.

Source: spec/workflow.md sections 4, 6 and 7, spec/hl7.md section 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.errors import DuplicateOrder, NoOrderNumber, UnknownControl, UnknownOrder
from engine.linkage.policy import OrderPolicy
from engine.linkage.procedure import find_procedure, placed_procedure, updated_procedure
from engine.linkage.state_table import CONTROL, ORDER_TRANSITIONS, STEP_AFTER, OrderAction, order_state
from engine.linkage.step import placed_steps, updated_steps
from engine.records.explicit import Stated, plain, updated
from engine.records.fact import OrderFact
from engine.records.record import Hold, ImagingOrder, OrderIdentifier, Patient, RequestedProcedure, ScheduledStep
from engine.records.state import Danger, HoldState, OrderState

SH = 16
"""Most characters of a DICOM SH value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrder:
    """An order with all that hangs on it."""

    order: ImagingOrder
    identifiers: tuple[OrderIdentifier, ...] = ()
    procedures: tuple[RequestedProcedure, ...] = ()
    steps: tuple[ScheduledStep, ...] = ()
    holds: tuple[Hold, ...] = ()
    """Open holds of an order with an incomplete step."""

    def steps_of(self, procedure_id: RowId) -> tuple[ScheduledStep, ...]:
        """Return the steps of one of its procedures."""
        return tuple(step for step in self.steps if step.procedure_id == procedure_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWorld:
    """What is known that an order message could mean."""

    hits: tuple[KnownOrder, ...] = ()
    """Orders that any of its numbers leads to, each once."""
    uid_owners: tuple[tuple[RequestedProcedure, ImagingOrder], ...] = ()
    """Procedures that already have the Study Instance UID of the message."""


def order_numbers(said: OrderFact) -> list[tuple[str, str, str]]:
    """Return the (kind, value, issuer) by which the order of a message can be found."""
    numbers = [
        ("placer", plain(said.placer_number), plain(said.placer_issuer)),
        ("filler", plain(said.filler_number), plain(said.filler_issuer)),
        ("accession", plain(said.accession_number), plain(said.accession_issuer)),
    ]
    return [number for number in numbers if number[1]]


def apply_order(
    said: OrderFact, patient: Patient, world: OrderWorld, policy: OrderPolicy, change: Change
) -> KnownOrder | Hold:
    """Return the order after the message, or the hold that says why a person must look.

    Raises:
        UnknownControl: ORC-1/ORC-5 are not in the table.
        UnknownOrder: a change of an order that nobody placed.
        DuplicateOrder: NW under the numbers of an order with other content.
        NoOrderNumber: NW without any number.
    """
    action = _action(said)
    numbers = order_numbers(said)
    if not numbers:
        raise NoOrderNumber("one of ORC-2, ORC-3 or OBR-18 is required", where="ORC^1^2")
    hold = _conflict(patient, world, change)
    if hold is not None:
        return hold
    if not world.hits:
        if action is not OrderAction.PLACE:
            raise UnknownOrder("no order has these numbers", where="ORC^1^2")
        return _place(said, patient, numbers, policy, change)
    (known,) = world.hits
    if action is OrderAction.PLACE:
        return _place_again(said, known, numbers, policy, change)
    if action is OrderAction.UPDATE:
        return _update(said, known, numbers, policy, change)
    return move_order(known, action, change, only=find_procedure(said, known.procedures))


def _action(said: OrderFact) -> OrderAction:
    control = plain(said.control).upper() or "NW"
    status = plain(said.status).upper()
    action = CONTROL.get((control, status))
    if action is None:
        known = any(code == control for code, _ in CONTROL)
        raise UnknownControl(
            "order control and status are not in the table of actions" if known else "order control is not taken here",
            where="ORC^1^5" if known else "ORC^1^1",
        )
    return action


def _conflict(patient: Patient, world: OrderWorld, change: Change) -> Hold | None:
    for hit in world.hits:
        if hit.order.patient_id != patient.id:
            return change.hold(
                "order_of_another_patient",
                Danger.RED,
                "the order numbers of the message belong to an order of another patient",
                {"order": hit.order.id, "patient": hit.order.patient_id, "message_patient": patient.id},
                order_id=hit.order.id,
                patient_id=patient.id,
            )
    if len(world.hits) > 1:
        return change.hold(
            "numbers_of_several_orders",
            Danger.AMBER,
            f"the order numbers of the message belong to {len(world.hits)} orders",
            {"orders": [hit.order.id for hit in world.hits]},
            order_id=world.hits[0].order.id,
            patient_id=patient.id,
        )
    ours = {hit.order.id for hit in world.hits}
    for procedure, order in world.uid_owners:
        if order.id in ours:
            continue
        other_patient = order.patient_id != patient.id
        return change.hold(
            "uid_of_another_patient" if other_patient else "uid_shared_by_unrelated_orders",
            Danger.RED if other_patient else Danger.AMBER,
            f"the Study Instance UID of the message belongs to an order of {'another' if other_patient else 'the same'}"
            " patient",
            {"procedure": procedure.id, "order": order.id},
            order_id=order.id,
            patient_id=patient.id,
        )
    return None


def _accession(said: OrderFact, order_id: RowId) -> str:
    for number in (said.accession_number, said.filler_number, said.placer_number):
        if number and (number is said.accession_number or len(plain(number)) <= SH):
            return plain(number)
    return f"A{order_id:08d}"


def _place(
    said: OrderFact, patient: Patient, numbers: list[tuple[str, str, str]], policy: OrderPolicy, change: Change
) -> KnownOrder:
    act = change.act
    order_id = act.new_id()
    accession = _accession(said, order_id)
    order = ImagingOrder(
        id=order_id,
        patient_id=patient.id,
        state=OrderState.SCHEDULED,
        accession_number=accession,
        accession_issuer=plain(said.accession_issuer),
        placer_number=plain(said.placer_number),
        filler_number=plain(said.filler_number),
        priority=plain(said.priority) or "ROUTINE",
        requesting_physician=plain(said.requesting_physician),
        referring_physician=plain(said.referring_physician),
        requesting_service=plain(said.requesting_service),
        reason=plain(said.reason),
        comments=plain(said.comments),
        admission_id=plain(said.visit.number) if said.visit else "",
        patient_location=plain(said.visit.location) if said.visit else "",
        placed_at=act.now,
        cause_id=act.cause_id,
    )
    change.create(order)
    identifiers = _add_numbers(order, numbers, (), change)
    known = KnownOrder(order=order, identifiers=identifiers)
    change.event("order.placed", patient_id=patient.id, order_id=order.id)
    known = _add_procedure(said, known, policy, change)
    if plain(said.status).upper() == "HD":
        return move_order(known, OrderAction.HOLD, change)
    return known


def _add_numbers(
    order: ImagingOrder, numbers: list[tuple[str, str, str]], there: Sequence[OrderIdentifier], change: Change
) -> tuple[OrderIdentifier, ...]:
    known = {(each.kind, each.value, each.issuer) for each in there}
    wanted = list(numbers)
    if not any(kind == "accession" for kind, _, _ in numbers) and not any(each.kind == "accession" for each in there):
        wanted.append(("accession", order.accession_number, order.accession_issuer))
    added = []
    for kind, value, issuer in wanted:
        if (kind, value, issuer) not in known:
            known.add((kind, value, issuer))
            identifier = OrderIdentifier(
                id=change.act.new_id(), order_id=order.id, kind=kind, value=value, issuer=issuer
            )
            change.create(identifier)
            added.append(identifier)
    return tuple(added)


def _add_procedure(said: OrderFact, known: KnownOrder, policy: OrderPolicy, change: Change) -> KnownOrder:
    procedure = placed_procedure(said, known.order, known.procedures, policy, change)
    steps = placed_steps(said, known.order, procedure, policy, change)
    known = replace(known, procedures=(*known.procedures, procedure), steps=(*known.steps, *steps))
    return _with_state(known, change)


def _place_again(
    said: OrderFact, known: KnownOrder, numbers: list[tuple[str, str, str]], policy: OrderPolicy, change: Change
) -> KnownOrder:
    same_message = any(each.cause_id == change.act.cause_id for each in known.procedures)
    other_placer = known.order.placer_number not in ("", plain(said.placer_number)) and bool(said.placer_number)
    procedure = find_procedure(said, known.procedures, adding=same_message or other_placer)
    if procedure is None:
        # another procedure under the same order: several OBR, or one message for each
        identifiers = _add_numbers(known.order, numbers, known.identifiers, change)
        change.event("order.updated", "another procedure", patient_id=known.order.patient_id, order_id=known.order.id)
        return _add_procedure(said, replace(known, identifiers=(*known.identifiers, *identifiers)), policy, change)
    trial = Change(change.act)
    after = _update(said, known, numbers, policy, trial)
    if not trial.new and not trial.changed:
        change.notes.append("the order was already placed with the same content")
        return known
    if not policy.nw_as_update:
        raise DuplicateOrder(
            "an order with these numbers and other content exists; send XO to change it", where="ORC^1^1"
        )
    change.new.update(trial.new)
    change.changed.update(trial.changed)
    change.events.extend(trial.events)
    change.holds.extend(trial.holds)
    return after


def _update(
    said: OrderFact, known: KnownOrder, numbers: list[tuple[str, str, str]], policy: OrderPolicy, change: Change
) -> KnownOrder:
    if known.order.state in (OrderState.COMPLETED, OrderState.CANCELLED, OrderState.DISCONTINUED):
        raise DuplicateOrder("the order has ended and is not changed any more", where="ORC^1^1")
    old = known.order
    order = replace(
        old,
        placer_number=old.placer_number or plain(said.placer_number),
        filler_number=old.filler_number or plain(said.filler_number),
        accession_number=plain(said.accession_number) or old.accession_number,
        accession_issuer=plain(said.accession_issuer) or old.accession_issuer,
        priority=updated(old.priority, said.priority) or "ROUTINE",
        requesting_physician=updated(old.requesting_physician, said.requesting_physician),
        referring_physician=updated(old.referring_physician, said.referring_physician),
        requesting_service=updated(old.requesting_service, said.requesting_service),
        reason=updated(old.reason, said.reason),
        comments=updated(old.comments, said.comments),
        admission_id=updated(old.admission_id, _visit(said, "number")),
        patient_location=updated(old.patient_location, _visit(said, "location")),
    )
    added = _add_numbers(order, numbers, known.identifiers, change)
    procedure = find_procedure(said, known.procedures)
    if procedure is None:
        known = replace(known, order=order, identifiers=(*known.identifiers, *added))
        if order != old:
            change.alter(order)
        return _add_procedure(said, known, policy, change)
    new_procedure = updated_procedure(said, procedure, change)
    old_steps = known.steps_of(procedure.id)
    steps = updated_steps(said, order, new_procedure, old_steps, policy, change)
    _release_holds(known, steps, change)
    if order != old:
        change.alter(order)
    if order != old or added or new_procedure != procedure or steps != old_steps:
        change.event("order.updated", patient_id=order.patient_id, order_id=order.id, procedure_id=procedure.id)
    return replace(
        known,
        order=order,
        identifiers=(*known.identifiers, *added),
        procedures=tuple(new_procedure if each.id == procedure.id else each for each in known.procedures),
        steps=(*(step for step in known.steps if step.procedure_id != procedure.id), *steps),
    )


def _release_holds(known: KnownOrder, steps: Sequence[ScheduledStep], change: Change) -> None:
    """Resolve what held a step back that lacks nothing any more."""
    complete = {step.id for step in steps if not step.missing}
    for hold in known.holds:
        if hold.step_id in complete:
            resolved = replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution="completed")
            change.alter(resolved)
            change.event("hold.resolved", "the step is complete now", order_id=known.order.id, step_id=hold.step_id)


def _visit(said: OrderFact, name: str) -> Stated:
    stated: Stated = getattr(said.visit, name) if said.visit else None
    return stated


def move_order(
    known: KnownOrder, action: OrderAction, change: Change, *, only: RequestedProcedure | None = None
) -> KnownOrder:
    """Move one procedure (or all) and its steps through the state tables; what the table lacks becomes a hold."""
    procedures: list[RequestedProcedure] = []
    steps = {step.id: step for step in known.steps}
    touched = False
    for procedure in known.procedures:
        if only is not None and procedure.id != only.id:
            procedures.append(procedure)
            continue
        target = ORDER_TRANSITIONS.get((procedure.state, action))
        if target is None:
            _refuse_move(known, procedure, action, change)
            procedures.append(procedure)
            continue
        moved = replace(procedure, state=target)
        touched = touched or moved != procedure
        if moved != procedure:
            change.alter(moved)
        procedures.append(moved)
        for step in known.steps_of(procedure.id):
            after = _moved_step(step, action)
            if after != step:
                touched = True
                change.alter(after)
                steps[step.id] = after
    known = replace(known, procedures=tuple(procedures), steps=tuple(steps.values()))
    if touched:
        change.event(_EVENT_OF[action], patient_id=known.order.patient_id, order_id=known.order.id)
    return _with_state(known, change)


_EVENT_OF = {
    OrderAction.START: "order.started",
    OrderAction.ACQUIRE: "order.acquired",
    OrderAction.COMPLETE: "order.completed",
    OrderAction.CANCEL: "order.cancelled",
    OrderAction.DISCONTINUE: "order.discontinued",
    OrderAction.HOLD: "order.held",
    OrderAction.RELEASE: "order.released",
}


def _moved_step(step: ScheduledStep, action: OrderAction) -> ScheduledStep:
    rule = STEP_AFTER.get(action)
    if rule is None or step.state not in rule[0]:
        return step
    return replace(step, state=rule[1])


def _refuse_move(known: KnownOrder, procedure: RequestedProcedure, action: OrderAction, change: Change) -> None:
    change.hold(
        f"order_{action.value}_after_{procedure.state.value.lower()}",
        Danger.AMBER,
        f"the order is {procedure.state.value.replace('_', ' ').lower()}; to {action.value} it needs a person",
        {"procedure": procedure.id},
        order_id=known.order.id,
        patient_id=known.order.patient_id,
    )
    change.notes.append(f"not applied: the order is {procedure.state.value}; a person decides")


def _with_state(known: KnownOrder, change: Change) -> KnownOrder:
    state = order_state(procedure.state for procedure in known.procedures)
    if state is known.order.state:
        return known
    order = replace(known.order, state=state)
    change.alter(order)
    return replace(known, order=order)
