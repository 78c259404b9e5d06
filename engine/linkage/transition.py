"""How an order with its procedures and steps moves through the state tables, and what happens when it may not.

Source: spec/workflow.md sections 4.1, 4.2 and 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.state_table import ORDER_TRANSITIONS, STEP_AFTER, OrderAction, order_state
from engine.records.record import Hold, ImagingOrder, OrderIdentifier, RequestedProcedure, ScheduledStep
from engine.records.state import Danger, HoldState, OrderState, StepState


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
            refuse(known, procedure.state, action, change)
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
        change.event(
            _EVENT_OF[action],
            patient_id=known.order.patient_id,
            order_id=known.order.id,
            procedure_id=only.id if only is not None else None,
        )
    return with_state(known, change)


_EVENT_OF = {
    OrderAction.START: "order.started",
    OrderAction.ACQUIRE: "order.acquired",
    OrderAction.COMPLETE: "order.completed",
    OrderAction.CANCEL: "order.cancelled",
    OrderAction.DISCONTINUE: "order.discontinued",
    OrderAction.HOLD: "order.held",
    OrderAction.RELEASE: "order.released",
    OrderAction.REPORT_PRELIMINARY: "order.reported",
    OrderAction.REPORT_FINAL: "order.completed",
    OrderAction.REPLACE: "order.replaced",
}


def _moved_step(step: ScheduledStep, action: OrderAction) -> ScheduledStep:
    touched, becomes = STEP_AFTER[action]
    return replace(step, state=becomes) if step.state in touched else step


def move_steps(known: KnownOrder, steps: Sequence[ScheduledStep], action: OrderAction, change: Change) -> KnownOrder:
    """Move some steps of an order and leave its procedures as they are; what the table lacks becomes a hold."""
    after = {step.id: step for step in known.steps}
    for step in steps:
        moved = _moved_step(step, action)
        if moved != step:
            change.alter(moved)
            after[step.id] = moved
            change.event(
                "order.updated",
                f"one step: {action}",
                patient_id=known.order.patient_id,
                order_id=known.order.id,
                step_id=step.id,
            )
        elif step.state is not STEP_AFTER[action][1]:
            refuse(known, step.state, action, change, what="step")
    return replace(known, steps=tuple(after.values()))


def refuse(
    known: KnownOrder, state: OrderState | StepState, action: OrderAction, change: Change, *, what: str = "order"
) -> None:
    """Hold what the table does not allow, and tell the sender that it was not applied."""
    change.hold(
        f"order_{action.value}_after_{state.value.lower()}",
        Danger.AMBER,
        f"the {what} is {state.value.replace('_', ' ').lower()}; to {action.value} it needs a person",
        order_id=known.order.id,
        patient_id=known.order.patient_id,
    )
    change.notes.append(f"not applied: the {what} is {state.value}; a person decides")
    change.declined = True


def end_holds(holds: Sequence[Hold], known: KnownOrder, change: Change) -> None:
    """Resolve what held a step back that lacks nothing any more, lacks something else now, or is not wanted."""
    incomplete = {step.id for step in known.steps if step.state is StepState.HELD_INCOMPLETE}
    again = {hold.step_id for hold in change.holds}
    for hold in holds:
        if hold.code != "step_incomplete" or (hold.step_id in incomplete and hold.step_id not in again):
            continue
        resolution = "the order was changed"
        change.alter(replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution))
        change.event("hold.resolved", resolution, order_id=hold.order_id, step_id=hold.step_id)


def with_state(known: KnownOrder, change: Change) -> KnownOrder:
    """Return an order in the state that its procedures have led it to."""
    state = order_state(procedure.state for procedure in known.procedures)
    if state is known.order.state:
        return known
    order = replace(known.order, state=state)
    change.alter(order)
    return replace(known, order=order)
