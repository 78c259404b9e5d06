"""Applies the orders of one message, group after group: replaced ones before replacements, parents before children.

All groups or none: what raises undoes the unit of the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.broker.apply_appointment import apply_waiting
from engine.broker.apply_patient import named_patient
from engine.broker.apply_report import rematch_reports
from engine.broker.decision import Applied, Desk, write_change
from engine.broker.policy import order_policy
from engine.broker.rematch import rematch, values_of
from engine.broker.worklist import worklist_items
from engine.config.sender import USUAL_WAYS, Ways
from engine.core.errors import PeerError
from engine.core.ids import RowId
from engine.hl7.message import Segment
from engine.linkage.change import Act, Change
from engine.linkage.control import action_of, control_of
from engine.linkage.errors import IncompleteGroup
from engine.linkage.identity import KnownPatient
from engine.linkage.order import KnownOrder, OrderWorld, apply_order, order_numbers, parent_numbers
from engine.linkage.policy import OrderPolicy
from engine.linkage.state_table import OrderAction
from engine.linkage.step import patient_flaw
from engine.linkage.visit import note_visit
from engine.records.explicit import plain
from engine.records.fact import OrderFact
from engine.records.record import Hold, Patient
from engine.store import known, schedule, worklist
from engine.store.unit import Unit
from engine.store.waiting import may_wait

_ASKS_FOR_NUMBER = "SN"


@dataclass(slots=True)
class _Groups:
    """What the groups of a message so far have to do with those that follow."""

    replaced: list[RowId] = field(default_factory=list)
    parent: RowId | None = None
    waiting: dict[OrderAction, str] = field(default_factory=dict)
    """Groups whose counterpart has not come yet, with their place."""


def apply_orders(  # one keyword more than five: a message, and where it came from
    unit: Unit,
    facts: Sequence[OrderFact],
    sender: str,
    cause: RowId,
    desk: Desk,
    *,
    ways: Ways = USUAL_WAYS.usual,
    members: Sequence[Sequence[Segment]] = (),
) -> list[Applied]:
    """Apply the orders of one message, in their order.

    Args:
        unit: Of the message.
        facts: What it says.
        sender: `MSH-3/MSH-4`.
        cause: Row of the message.
        desk: The site.
        ways: What the sender means and how it is answered.
        members: The segments of each fact's group, so that a refusal names the right one.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
    """
    policy = order_policy(desk.site, sender, ways)
    groups = _Groups()
    applied = []
    for position, fact in enumerate(facts):
        segments = members[position] if position < len(members) else ()
        try:
            applied.append(_apply(unit, fact, cause, policy, ways, groups, desk))
        except PeerError as error:
            error.where = located(error.where, segments)
            raise
        _note_counterpart(action_of(fact, policy.controls), located("ORC^1^1", segments) or "", groups)
    if len(applied) > 1:
        applied = [replace(one, order=None) for one in applied]
    if OrderAction.REPLACE in groups.waiting:
        raise IncompleteGroup("RO is required after RP", where=groups.waiting[OrderAction.REPLACE])
    if OrderAction.PARENT in groups.waiting:
        raise IncompleteGroup("CH is required after PA", where=groups.waiting[OrderAction.PARENT])
    return applied


def located(where: str | None, segments: Sequence[Segment]) -> str | None:
    """Return a place with the occurrence of its segment in the message: `ORC^1^2` of the third group is ORC^3^2."""
    if where is None:
        return None
    name, _, rest = where.partition("^")
    occurrence, _, field_and_more = rest.partition("^")
    found = next((segment for segment in segments if segment.name == name), None)
    if found is None or not occurrence:
        return where
    return "^".join(part for part in (name, str(found.occurrence), field_and_more) if part)


def _note_counterpart(action: OrderAction, where: str, groups: _Groups) -> None:
    if action in (OrderAction.REPLACE, OrderAction.PARENT):
        groups.waiting[action] = where
    elif action is OrderAction.PLACE_REPLACEMENT:
        groups.waiting.pop(OrderAction.REPLACE, None)
    elif action is OrderAction.PLACE_CHILD:
        groups.waiting.pop(OrderAction.PARENT, None)


def _apply(
    unit: Unit, fact: OrderFact, cause: RowId, policy: OrderPolicy, ways: Ways, groups: _Groups, desk: Desk
) -> Applied:
    action = action_of(fact, policy.controls)
    if action is OrderAction.IGNORE:
        return Applied(held=False, ignored=True, notes=("nothing was done: the route leaves this order control alone",))
    if control_of(fact) == _ASKS_FOR_NUMBER and ways.answers != "ack":
        policy = replace(policy, numbers_orders=True)
    change = Change(Act(now=unit.now, cause_kind="message", cause_id=cause, new_id=unit.new_id))
    patient = named_patient(unit, fact.patient, change, registrar=False)
    if isinstance(patient, Hold):
        write_change(unit, change, desk)
        return Applied(held=True, declined=True, notes=(f"held: {patient.reason}",))
    policy = replace(policy, patient_flaw=patient_flaw(patient))
    fact = _with_visit(unit, fact, patient.patient, change)
    result = apply_order(fact, patient.patient, _world(unit, fact, action, groups), policy, change)
    write_change(unit, change, desk)
    if isinstance(result, Hold):
        return Applied(held=True, declined=True, notes=(f"held: {result.reason}",), patient_id=patient.patient.id)
    if action is OrderAction.REPLACE:
        groups.replaced.append(result.order.id)
    elif action is OrderAction.PARENT:
        groups.parent = result.order.id
    is_settled = _follow_up(unit, result, patient, change, desk)
    return Applied(
        held=bool(change.holds),
        declined=change.declined,
        notes=tuple(change.notes),
        patient_id=patient.patient.id,
        order_id=result.order.id,
        order=result.order if is_settled else None,
    )


def _follow_up(unit: Unit, result: KnownOrder, patient: KnownPatient, change: Change, desk: Desk) -> bool:
    """Put the order's steps on the worklist, and look again at what waited for it: appointments, studies, reports.

    Returns whether nothing waited.
    """
    worklist.put(unit, worklist_items(result, patient, desk.site.issuers), new=change.new)
    if not may_wait(unit, result, patient):
        return True
    apply_waiting(unit, result, patient, change.act, desk)
    waiting = known.waiting_studies(
        unit,
        uids=[procedure.study_uid for procedure in result.procedures],
        accessions=[each.value for each in result.identifiers if each.kind == "accession"],
        patient_ids=values_of(patient),
    )
    rematch(unit, waiting, change.act, desk)
    numbers = [each.value for each in result.identifiers]
    rematch_reports(unit, [*numbers, *(each.study_uid for each in result.procedures)], change.act, desk)
    return False


def _with_visit(unit: Unit, fact: OrderFact, patient: Patient, change: Change) -> OrderFact:
    """Note the visit that an order names; return the order with the number that the visit has today."""
    said = fact.visit or fact.patient.visit
    if said is None or not said.number:
        return fact
    visit = note_visit(said, known.visit(unit, plain(said.number), plain(said.issuer)), patient.id, change)
    if visit is None or fact.visit is None or visit.patient_id != patient.id or visit.number == said.number:
        return fact
    return replace(fact, visit=replace(fact.visit, number=visit.number, issuer=visit.issuer))


def _world(unit: Unit, fact: OrderFact, action: OrderAction, groups: _Groups) -> OrderWorld:
    world = OrderWorld()
    numbers, study_uid = order_numbers(fact), plain(fact.study_uid)
    if known.knows(unit, numbers, study_uid):
        procedures = known.procedures_with_uid(unit, study_uid) if study_uid else ()
        owners = [(procedure, known.order(unit, procedure.order_id).order) for procedure in procedures]
        world = OrderWorld(hits=known.orders_with(unit, numbers), uid_owners=tuple(owners))
    if action is OrderAction.PLACE_REPLACEMENT:
        rows = dict.fromkeys(groups.replaced)
        return replace(
            world,
            replaced=tuple(known.order(unit, row) for row in rows),
            replacements=tuple(each for row in rows for each in schedule.replacements_of(unit, row)),
        )
    if action is OrderAction.PLACE_CHILD:
        return replace(world, parent=_parent(unit, fact, groups))
    return world


def _parent(unit: Unit, fact: OrderFact, groups: _Groups) -> KnownOrder | None:
    """Return the order that a child names, else that of the PA group before it."""
    named = known.orders_with(unit, parent_numbers(fact))
    if named:
        return named[0]
    return known.order(unit, groups.parent) if groups.parent is not None else None
