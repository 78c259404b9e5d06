"""How an order message changes the order, its requested procedure and its scheduled steps.

Source: spec/workflow.md sections 4, 6 and 7, spec/hl7.md section 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.errors import DuplicateOrder, NoOrderNumber, UnknownControl, UnknownOrder
from engine.linkage.policy import OrderPolicy
from engine.linkage.procedure import find_procedure, placed_procedure, updated_procedure
from engine.linkage.state_table import ANY, CONTROL, TERMINAL, OrderAction
from engine.linkage.step import placed_steps, updated_steps
from engine.linkage.transition import KnownOrder, move_order, move_steps, refuse, with_state
from engine.records.explicit import Stated, plain, updated
from engine.records.fact import OrderFact
from engine.records.record import Hold, ImagingOrder, OrderIdentifier, Patient, RequestedProcedure, ScheduledStep
from engine.records.state import Danger, HoldState, OrderState, StepState

__all__ = ["SH", "KnownOrder", "OrderWorld", "apply_order", "move_order", "order_numbers"]

SH = 16
"""Most characters of a DICOM SH value."""

_NEW = "NW"
_STEP_WISE = (OrderAction.CANCEL, OrderAction.DISCONTINUE, OrderAction.HOLD, OrderAction.RELEASE)
_GONE = (StepState.CANCELLED, StepState.DISCONTINUED, StepState.REPLACED, StepState.COMPLETED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWorld:
    """What is known that an order message could mean."""

    hits: tuple[KnownOrder, ...] = ()
    """Orders that any of its numbers leads to, each once."""
    uid_owners: tuple[tuple[RequestedProcedure, ImagingOrder], ...] = ()
    """Procedures that already have the Study Instance UID of the message."""


_Number = tuple[str, str, str]


def order_numbers(said: OrderFact) -> list[_Number]:
    """Return the (kind, value, issuer) by which the order of a message can be found.

    A new order without an accession number gets one of its other numbers as such, so nobody else may have it.
    """
    numbers = _stated_numbers(said)
    made = _made_accession(said)
    if made is not None and not plain(said.accession_number) and _control(said) == _NEW:
        numbers.append(("accession", *made))
    return numbers


def _stated_numbers(said: OrderFact) -> list[_Number]:
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
    numbers = _stated_numbers(said)
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
        after = _place_again(said, known, numbers, policy, change)
    elif action is OrderAction.UPDATE:
        after = _update(said, known, numbers, policy, change)
    else:
        after = _move(said, known, action, change)
    _end_holds(known.holds, after, change)
    return after


def _move(said: OrderFact, known: KnownOrder, action: OrderAction, change: Change) -> KnownOrder:
    only = find_procedure(said, known.procedures)
    if only is None and (plain(said.rp_id) or plain(said.study_uid) or plain(said.code)):
        raise UnknownOrder("the order has no such procedure", where="OBR^1^4")
    named = {plain(fact.sps_id) for fact in said.steps} - {""}
    if only is not None and named and action in _STEP_WISE:
        steps = known.steps_of(only.id)
        meant = [step for step in steps if step.sps_id in named]
        others = [step for step in steps if step.sps_id not in named and step.state not in _GONE]
        if len(meant) < len(named):
            raise UnknownOrder("the procedure has no such step", where="IPC^1^4")
        if others:
            return move_steps(known, meant, action, change)
    return move_order(known, action, change, only=only)


def _end_holds(holds: Sequence[Hold], known: KnownOrder, change: Change) -> None:
    """Resolve what held a step back that lacks nothing any more, lacks something else now, or is not wanted."""
    incomplete = {step.id for step in known.steps if step.state is StepState.HELD_INCOMPLETE}
    again = {hold.step_id for hold in change.holds}
    for hold in holds:
        if hold.code != "step_incomplete" or (hold.step_id in incomplete and hold.step_id not in again):
            continue
        resolution = "the order was changed"
        change.alter(replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution))
        change.event("hold.resolved", resolution, order_id=hold.order_id, step_id=hold.step_id)


def _control(said: OrderFact) -> str:
    return plain(said.control).upper() or _NEW


def _action(said: OrderFact) -> OrderAction:
    control = _control(said)
    status = plain(said.status).upper()
    action = CONTROL.get((control, status)) or CONTROL.get((control, ANY))
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


def _made_accession(said: OrderFact) -> tuple[str, str] | None:
    """Return (value, issuer) of the number that stands in for an accession number; None when none is short enough."""
    for number, issuer in ((said.filler_number, said.filler_issuer), (said.placer_number, said.placer_issuer)):
        if 0 < len(plain(number)) <= SH:
            return (plain(number), plain(issuer))
    return None


def _accession(said: OrderFact, order_id: RowId) -> tuple[str, str]:
    stated = plain(said.accession_number)
    if stated:
        return (stated, plain(said.accession_issuer))
    return _made_accession(said) or (f"A{order_id:08d}", "")


def _place(
    said: OrderFact, patient: Patient, numbers: list[_Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    act = change.act
    order_id = act.new_id()
    accession, accession_issuer = _accession(said, order_id)
    order = ImagingOrder(
        id=order_id,
        patient_id=patient.id,
        state=OrderState.SCHEDULED,
        accession_number=accession,
        accession_issuer=accession_issuer,
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
    wanted = dict.fromkeys([*numbers, ("accession", accession, accession_issuer)])
    identifiers = _add_numbers(order, wanted, (), change)
    known = KnownOrder(order=order, identifiers=identifiers)
    change.event("order.placed", patient_id=patient.id, order_id=order.id)
    known = _add_procedure(said, known, policy, change)
    if plain(said.status).upper() == "HD":
        return move_order(known, OrderAction.HOLD, change)
    return known


def _add_numbers(
    order: ImagingOrder, numbers: Iterable[_Number], there: Sequence[OrderIdentifier], change: Change
) -> tuple[OrderIdentifier, ...]:
    known = {(each.kind, each.value, each.issuer) for each in there}
    added = tuple(
        OrderIdentifier(id=change.act.new_id(), order_id=order.id, kind=kind, value=value, issuer=issuer)
        for kind, value, issuer in numbers
        if (kind, value, issuer) not in known
    )
    for identifier in added:
        change.create(identifier)
    return added


def _add_procedure(said: OrderFact, known: KnownOrder, policy: OrderPolicy, change: Change) -> KnownOrder:
    procedure = placed_procedure(said, known.order, known.procedures, policy, change)
    steps = placed_steps(said, known.order, procedure, policy, change)
    known = replace(known, procedures=(*known.procedures, procedure), steps=(*known.steps, *steps))
    return with_state(known, change)


def _place_again(
    said: OrderFact, known: KnownOrder, numbers: list[_Number], policy: OrderPolicy, change: Change
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
        change.notes.extend(trial.notes or ["the order was already placed with the same content"])
        return known
    another_step = not trial.changed and any(isinstance(record, ScheduledStep) for record in trial.new.values())
    if not (another_step or policy.nw_as_update):
        raise DuplicateOrder(
            "an order with these numbers and other content exists; send XO to change it", where="ORC^1^1"
        )
    change.notes.extend(trial.notes)
    change.new.update(trial.new)
    change.changed.update(trial.changed)
    change.events.extend(trial.events)
    change.holds.extend(trial.holds)
    return after


def _update(
    said: OrderFact, known: KnownOrder, numbers: list[_Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    procedure = find_procedure(said, known.procedures)
    ended = procedure.state if procedure else known.order.state
    if ended not in TERMINAL:
        return _updated(said, known, procedure, numbers, policy, change)
    trial = Change(change.act)
    _updated(said, known, procedure, numbers, policy, trial)
    if trial.new or trial.changed:
        refuse(known, ended, OrderAction.UPDATE, change)
    return known


def _updated(
    said: OrderFact,
    known: KnownOrder,
    procedure: RequestedProcedure | None,
    numbers: list[_Number],
    policy: OrderPolicy,
    change: Change,
) -> KnownOrder:
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
    if procedure is None:
        known = replace(known, order=order, identifiers=(*known.identifiers, *added))
        if order != old:
            change.alter(order)
        return _add_procedure(said, known, policy, change)
    new_procedure = updated_procedure(said, procedure, change)
    old_steps = known.steps_of(procedure.id)
    recoded = new_procedure.code != procedure.code
    steps = updated_steps(said, order, new_procedure, old_steps, policy, change, recoded=recoded)
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


def _visit(said: OrderFact, name: str) -> Stated:
    stated: Stated = getattr(said.visit, name) if said.visit else None
    return stated
