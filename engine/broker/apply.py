"""Applies what was said: loads what linkage needs to decide, and writes what it decided, in one unit of work."""

from __future__ import annotations

from collections.abc import Sequence

from engine.broker.apply_appointment import apply_appointments
from engine.broker.apply_merge import apply_merge_message
from engine.broker.apply_order import apply_orders
from engine.broker.apply_patient import apply_patient
from engine.broker.apply_report import apply_reports
from engine.broker.decision import Applied, Desk, write_change
from engine.broker.rematch import decide, link_study, refresh_worklist, rematch
from engine.config.sender import USUAL_WAYS, Ways
from engine.core.errors import InvariantError
from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.mapping.result import Result
from engine.records.fact import AppointmentFact, MergeFact, OrderFact, PatientFact, ReportFact
from engine.store.unit import Unit

__all__ = [
    "Applied",
    "Desk",
    "apply_fact",
    "apply_facts",
    "decide",
    "link_study",
    "refresh_worklist",
    "rematch",
    "write_change",
]


def apply_facts(
    unit: Unit, results: Sequence[Result], sender: str, cause: RowId, desk: Desk, ways: Ways = USUAL_WAYS.usual
) -> list[Applied]:
    """Apply what a route made of one message; its reports, and its orders, are looked at together.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
        InvariantError: a mapping made what nothing here applies.
    """
    facts = [result.fact for result in results]
    reports = [fact for fact in facts if isinstance(fact, ReportFact)]
    orders = [fact for fact in facts if isinstance(fact, OrderFact)]
    appointments = [fact for fact in facts if isinstance(fact, AppointmentFact)]
    applied = apply_reports(unit, reports, sender, cause, desk)
    if orders:
        members = [result.members for result in results if isinstance(result.fact, OrderFact)]
        applied.extend(apply_orders(unit, orders, sender, cause, desk, ways=ways, members=members))
    applied.extend(apply_appointments(unit, appointments, sender, cause, desk, ways))
    for fact in facts:
        if isinstance(fact, PatientFact | MergeFact):
            applied.append(apply_fact(unit, fact, sender, cause, desk))
        elif not isinstance(fact, ReportFact | OrderFact | AppointmentFact):
            raise InvariantError("a route applies what its mapping does not make")
    return applied


def apply_fact(unit: Unit, fact: OrderFact | PatientFact | MergeFact, sender: str, cause: RowId, desk: Desk) -> Applied:
    """Apply one fact of a message.

    Raises:
        PeerError: the sender must act; nothing of this unit is kept then.
    """
    change = Change(Act(now=unit.now, cause_kind="message", cause_id=cause, new_id=unit.new_id))
    match fact:
        case PatientFact():
            return apply_patient(unit, fact, change, desk)
        case MergeFact():
            return apply_merge_message(unit, fact, change, desk)
        case _:
            return apply_orders(unit, [fact], sender, cause, desk)[0]
