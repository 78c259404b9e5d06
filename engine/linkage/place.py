"""Placing an order, its procedures and steps; placing it again; changing it.

Source: spec/workflow.md sections 4.1, 6.1 and 7.
"""

from __future__ import annotations

from dataclasses import replace

from engine.linkage.change import Change
from engine.linkage.clinical import clinical_facts
from engine.linkage.errors import DuplicateOrder, NoProcedure
from engine.linkage.order_number import Number, accession_of, add_numbers, stated_numbers
from engine.linkage.policy import OrderPolicy
from engine.linkage.procedure import find_procedure, has_number, placed_procedure, updated_procedure
from engine.linkage.state_table import TERMINAL, OrderAction
from engine.linkage.step import placed_steps, updated_steps
from engine.linkage.transition import KnownOrder, move_order, refuse, with_state
from engine.records.explicit import Stated, plain, updated
from engine.records.fact import OrderFact
from engine.records.record import ImagingOrder, Patient, RequestedProcedure, ScheduledStep
from engine.records.state import OrderState, StepState


def place(
    said: OrderFact,
    patient: Patient,
    numbers: list[Number],
    policy: OrderPolicy,
    change: Change,
    *,
    with_procedure: bool = True,
) -> KnownOrder:
    """Return a new order, written to `change`.

    Args:
        said: The message.
        patient: Whose it is.
        numbers: Those it states.
        policy: The site's maps.
        change: Where the decision is written.
        with_procedure: False for a parent, whose procedures are its children.

    Raises:
        NoProcedure: nothing says what is to be done.
    """
    act = change.act
    order_id = act.new_id()
    filler = plain(said.filler_number)
    if not numbers:
        filler = f"F{order_id:08d}"
        numbers = [("filler", filler, "")]
    accession, accession_issuer = accession_of(said, order_id)
    order = ImagingOrder(
        id=order_id,
        patient_id=patient.id,
        state=OrderState.SCHEDULED if with_procedure else OrderState.PLACED,
        accession_number=accession,
        accession_issuer=accession_issuer,
        placer_number=plain(said.placer_number),
        filler_number=filler,
        priority=plain(said.priority) or "ROUTINE",
        requesting_physician=plain(said.requesting_physician),
        referring_physician=plain(said.referring_physician),
        requesting_service=plain(said.requesting_service),
        reason=plain(said.reason),
        comments=plain(said.comments),
        admission_id=plain(said.visit.number) if said.visit else "",
        patient_location=plain(said.visit.location) if said.visit else "",
        clinical=clinical_facts(said.clinical, {}, change),
        placed_at=act.now,
        cause_id=act.cause_id,
    )
    change.create(order)
    wanted = dict.fromkeys([*numbers, ("accession", accession, accession_issuer)])
    known = KnownOrder(order=order, identifiers=add_numbers(order, wanted, (), change))
    change.event("order.placed", patient_id=patient.id, order_id=order.id)
    if not with_procedure:
        return known
    known = add_procedure(said, known, policy, change)
    if plain(said.status).upper() == "HD":
        return move_order(known, OrderAction.HOLD, change)
    return known


def add_procedure(said: OrderFact, known: KnownOrder, policy: OrderPolicy, change: Change) -> KnownOrder:
    """Return an order with another procedure and its steps.

    Raises:
        NoProcedure: nothing says what is to be done.
    """
    if not _says_what(said):
        raise NoProcedure("OBR-4 is required", where="OBR^1^4")
    procedure = placed_procedure(said, known.order, known.procedures, policy, change)
    steps = placed_steps(said, known.order, procedure, policy, change)
    known = replace(known, procedures=(*known.procedures, procedure), steps=(*known.steps, *steps))
    return with_state(known, change)


def _says_what(said: OrderFact) -> bool:
    named = (said.code, said.description, said.protocol_code, said.step_description)
    return any(map(plain, named)) or any(plain(step.description) or plain(step.protocol_code) for step in said.steps)


def place_another(
    said: OrderFact, known: KnownOrder, numbers: list[Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    """Return a known order with another procedure, under whatever numbers the message gives it."""
    identifiers = add_numbers(known.order, numbers, known.identifiers, change)
    change.event("order.updated", "another procedure", patient_id=known.order.patient_id, order_id=known.order.id)
    return add_procedure(said, replace(known, identifiers=(*known.identifiers, *identifiers)), policy, change)


def place_again(
    said: OrderFact,
    known: KnownOrder,
    numbers: list[Number],
    policy: OrderPolicy,
    change: Change,
    *,
    may_update: bool = False,
    is_child: bool = False,
) -> KnownOrder:
    """Return a known order after it was placed again: the same, with another procedure or step, or changed.

    Raises:
        DuplicateOrder: the content is another one, and the sender is not one whose repeats are changes.
        NoProcedure: nothing says what is to be done.
    """
    same_message = any(each.cause_id == change.act.cause_id for each in known.procedures)
    placers = {known.order.placer_number, *(each.placer_number for each in known.procedures)} - {""}
    other_placer = bool(placers and plain(said.placer_number)) and plain(said.placer_number) not in placers
    procedure = find_procedure(said, known.procedures, adding=same_message or other_placer or is_child)
    if is_child and stated_numbers(said) and not any(has_number(said, each) for each in known.procedures):
        procedure = None
    if procedure is None:
        # several OBR under one order, or one message for each
        return place_another(said, known, numbers, policy, change)
    is_reopened = may_update and procedure.state is OrderState.CANCELLED
    if is_reopened:
        known = _reopened(known, procedure, change)
    trial = Change(change.act)
    after = update(said, known, numbers, policy, trial)
    if procedure.state is OrderState.CANCELLED and not is_reopened:
        raise DuplicateOrder("the order was cancelled; place it again under a new number", where="ORC^1^2")
    if not trial.new and not trial.changed and not is_reopened:
        change.notes.extend(trial.notes or ["the order was already placed with the same content"])
        return known
    another_step = not trial.changed and any(isinstance(record, ScheduledStep) for record in trial.new.values())
    if not (another_step or may_update):
        raise DuplicateOrder(
            "an order with these numbers and other content exists; send XO to change it", where="ORC^1^1"
        )
    change.take(trial)
    return after


def _reopened(known: KnownOrder, procedure: RequestedProcedure, change: Change) -> KnownOrder:
    """Return an order whose cancelled procedure is placed again: for senders who change by CA and NW."""
    open_again = replace(procedure, state=OrderState.SCHEDULED)
    change.alter(open_again)
    steps = []
    for step in known.steps:
        if step.procedure_id == procedure.id and step.state is StepState.CANCELLED:
            step = replace(step, state=StepState.SCHEDULED)  # noqa: PLW2901  # the same step, open again
            change.alter(step)
        steps.append(step)
    change.event(
        "order.updated",
        "placed again after its cancellation",
        patient_id=known.order.patient_id,
        order_id=known.order.id,
        procedure_id=procedure.id,
    )
    procedures = tuple(open_again if each.id == procedure.id else each for each in known.procedures)
    return with_state(replace(known, procedures=procedures, steps=tuple(steps)), change)


def update(
    said: OrderFact, known: KnownOrder, numbers: list[Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    """Return an order after a change message; one that has ended is left alone, and a person told."""
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
    numbers: list[Number],
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
        clinical=clinical_facts(said.clinical, old.clinical, change),
    )
    added = add_numbers(order, numbers, known.identifiers, change)
    if procedure is None:
        known = replace(known, order=order, identifiers=(*known.identifiers, *added))
        if order != old:
            change.alter(order)
        return add_procedure(said, known, policy, change)
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
