"""How an order message changes the order, its requested procedures and its scheduled steps.

Source: spec/workflow.md sections 4, 6 and 7, spec/hl7.md section 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.linkage.change import Change
from engine.linkage.control import action_of
from engine.linkage.errors import IncompleteGroup, NoOrderNumber, UnknownOrder
from engine.linkage.order_number import SH, Number, add_numbers, order_numbers, parent_numbers, stated_numbers
from engine.linkage.place import place, place_again, place_another, update
from engine.linkage.policy import OrderPolicy
from engine.linkage.procedure import find_procedure, numbered
from engine.linkage.state_table import OrderAction
from engine.linkage.transition import KnownOrder, end_holds, move_order, move_steps
from engine.records.explicit import plain
from engine.records.fact import OrderFact
from engine.records.record import Hold, ImagingOrder, Patient, RequestedProcedure
from engine.records.schedule import OrderReplacement
from engine.records.state import Danger, OrderState, StepState

__all__ = [
    "SH",
    "KnownOrder",
    "OrderWorld",
    "apply_order",
    "move_order",
    "order_numbers",
    "parent_numbers",
]

_STEP_WISE = (OrderAction.CANCEL, OrderAction.DISCONTINUE, OrderAction.HOLD, OrderAction.RELEASE)
_GONE = (StepState.CANCELLED, StepState.DISCONTINUED, StepState.REPLACED, StepState.COMPLETED)
_PLACES = frozenset({OrderAction.PLACE, OrderAction.PLACE_OR_UPDATE, OrderAction.PLACE_REPLACEMENT, OrderAction.PARENT})
_WITH_IMAGES = frozenset({OrderState.IN_PROGRESS, OrderState.ACQUIRED, OrderState.REPORTED, OrderState.COMPLETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWorld:
    """What is known that an order message could mean."""

    hits: tuple[KnownOrder, ...] = ()
    """Orders that any of its numbers leads to, each once."""
    uid_owners: tuple[tuple[RequestedProcedure, ImagingOrder], ...] = ()
    """Procedures that already have the Study Instance UID of the message."""
    replaced: tuple[KnownOrder, ...] = ()
    """Orders that this one replaces: those of the RP groups before it in the message."""
    replacements: tuple[OrderReplacement, ...] = ()
    """What is known to have replaced what, of the orders here."""
    parent: KnownOrder | None = None
    """The order that a child belongs to."""


def apply_order(
    said: OrderFact, patient: Patient, world: OrderWorld, policy: OrderPolicy, change: Change
) -> KnownOrder | Hold:
    """Return the order after the message, or the hold that says why a person must look.

    Raises:
        UnknownControl: ORC-1/ORC-5 are not in the table.
        UnknownOrder: a change of an order that nobody placed.
        DuplicateOrder: NW under the numbers of an order with other content.
        NoOrderNumber: NW without any number.
        NoProcedure: NW that does not say what is to be done.
        IncompleteGroup: RO without RP before it.
    """
    action = action_of(said, policy.controls)
    numbers = stated_numbers(said)
    if action is OrderAction.PLACE_CHILD:
        world = _of_parent(world)
    elif not numbers and not (policy.numbers_orders and action in _PLACES):
        raise NoOrderNumber("one of ORC-2, ORC-3 or OBR-18 is required", where="ORC^1^2")
    hold = _conflict(patient, world, change)
    if hold is not None:
        return hold
    if action is OrderAction.PLACE_REPLACEMENT:
        after = _replacement(said, patient, world, numbers, policy, change)
    elif not world.hits:
        after = _unknown(said, patient, action, numbers, policy, change)
    else:
        after = _known(said, world.hits[0], action, numbers, policy, change)
        end_holds(world.hits[0].holds, after, change)
    return after


def _unknown(
    said: OrderFact, patient: Patient, action: OrderAction, numbers: list[Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    if action not in _PLACES:
        raise UnknownOrder("no order has these numbers", where="ORC^1^2")
    return place(said, patient, numbers, policy, change, with_procedure=action is not OrderAction.PARENT)


def _known(
    said: OrderFact, known: KnownOrder, action: OrderAction, numbers: list[Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    match action:
        case OrderAction.PLACE:
            return place_again(said, known, numbers, policy, change, may_update=policy.nw_as_update)
        case OrderAction.PLACE_OR_UPDATE:
            return place_again(said, known, numbers, policy, change, may_update=True)
        case OrderAction.PLACE_CHILD:
            return place_again(said, known, numbers, policy, change, is_child=True)
        case OrderAction.UPDATE:
            return update(said, known, numbers, policy, change)
        case OrderAction.ASSIGN_NUMBERS:
            return _numbered(said, known, numbers, change)
        case OrderAction.TELL_STATUS:
            change.notes.append(f"the order is {known.order.state.value}")
            return known
        case OrderAction.PARENT | OrderAction.IGNORE:
            return known
        case OrderAction.REPLACE:
            return _replaced(said, known, change)
        case _:
            return _move(said, known, action, change)


def _numbered(said: OrderFact, known: KnownOrder, numbers: list[Number], change: Change) -> KnownOrder:
    """Return an order with the numbers that somebody assigned to it (NA)."""
    order = replace(
        known.order,
        placer_number=known.order.placer_number or plain(said.placer_number),
        filler_number=known.order.filler_number or plain(said.filler_number),
    )
    added = add_numbers(order, numbers, known.identifiers, change)
    if order != known.order:
        change.alter(order)
    if added:
        change.event("order.updated", "numbers assigned", patient_id=order.patient_id, order_id=order.id)
    return replace(known, order=order, identifiers=(*known.identifiers, *added))


def _of_parent(world: OrderWorld) -> OrderWorld:
    """Return the world of a child: the order that it means is its parent's."""
    if world.parent is None:
        raise UnknownOrder("the parent order is not known", where="ORC^1^8")
    others = tuple(hit for hit in world.hits if hit.order.id != world.parent.order.id)
    return replace(world, hits=(world.parent, *others))


def _replaced(said: OrderFact, known: KnownOrder, change: Change) -> KnownOrder:
    """Return an order that gives way to another; images it has stay with it until a person moves them."""
    only = find_procedure(said, known.procedures)
    if only is None and any(each.state is OrderState.REPLACED for each in known.procedures):
        return known  # it was replaced before, by a procedure of the same order
    meant = [only] if only is not None else known.procedures
    if any(each.state in _WITH_IMAGES for each in meant):
        change.hold(
            "order_replaced_after_start",
            Danger.AMBER,
            "the order was replaced after its examination had begun; its images stay with it",
            order_id=known.order.id,
            patient_id=known.order.patient_id,
        )
        change.notes.append("the examination of the replaced order has begun; a person decides about its images")
    return move_order(known, OrderAction.REPLACE, change, only=only)


def _replacement(
    said: OrderFact, patient: Patient, world: OrderWorld, numbers: list[Number], policy: OrderPolicy, change: Change
) -> KnownOrder:
    """Return the order that replaces others, linked with them; under the same numbers it is another procedure there."""
    if not world.replaced:
        raise IncompleteGroup("RP is required before RO", where="ORC^1^1")
    if not world.hits:
        after = place(said, patient, numbers, policy, change)
    else:
        known = world.hits[0]
        standing = [each for each in known.procedures if each.state is not OrderState.REPLACED]
        if standing and find_procedure(said, standing, adding=True) is not None:
            after = place_again(said, known, numbers, policy, change)
        else:
            after = place_another(said, known, numbers, policy, change)
        end_holds(known.holds, after, change)
    there = {(each.old_id, each.new_id) for each in world.replacements}
    for old in world.replaced:
        pair = (old.order.id, after.order.id)
        if old.order.id != after.order.id and pair not in there:
            change.create(
                OrderReplacement(
                    id=change.act.new_id(),
                    old_id=pair[0],
                    new_id=pair[1],
                    at=change.act.now,
                    cause_id=change.act.cause_id,
                )
            )
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
    if only is not None:
        return move_order(known, action, change, only=only)
    under = numbered(said, known.procedures)
    if len(under) == len(known.procedures):
        return move_order(known, action, change)
    for procedure in under:
        known = move_order(known, action, change, only=procedure)
    return known


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
    ours = {hit.order.id for hit in (*world.hits, *world.replaced) if hit.order.patient_id == patient.id}
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
