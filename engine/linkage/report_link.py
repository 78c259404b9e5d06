"""Ties a report to what it is about, tells of it, and moves the orders.

Source: spec/workflow.md sections 4.1 and 6.3, spec/reconcile.md section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.match import Conflict
from engine.linkage.report_identity import KnownReport
from engine.linkage.report_match import REPORT_HOLDS, ReportDecision, ReportMatch
from engine.linkage.report_state import EVENTS
from engine.linkage.state_table import OrderAction
from engine.linkage.transition import KnownOrder, move_order
from engine.records.record import Hold, RequestedProcedure
from engine.records.report import ReportLink
from engine.records.state import Danger, HoldState, OrderState, ReportState


def decide_report_links(known: KnownReport, decision: ReportDecision, change: Change) -> KnownReport:
    """Write what a decision about a report without a link means; return the report with its links.

    Holds of an earlier decision that this one no longer shares are resolved.
    """
    if isinstance(decision, Conflict):
        red = decision.danger is Danger.RED
        patient_id = decision.patient.id if decision.patient and not red else None
        known = _of_patient(known, patient_id, change)
        known = _resolved(known, "another reason now", change, but=decision.code)
        return _held(known, decision, change)
    known = _of_patient(known, decision.patient_id, change)
    if isinstance(decision, ReportMatch):
        known = _linked(known, decision, change)
        return _resolved(known, "linked later", change)
    known = _resolved(known, "no longer in conflict", change, but="report_orphaned")
    if any(hold.code == "report_orphaned" for hold in known.holds):
        return known
    change.event("report.orphaned", "no order fits yet", patient_id=decision.patient_id, report_id=known.report.id)
    hold = change.hold(
        "report_orphaned",
        Danger.YELLOW,
        "no order fits the report yet; it is looked at again with every new order",
        report_id=known.report.id,
        patient_id=decision.patient_id,
    )
    return replace(known, holds=(*known.holds, hold))


def _of_patient(known: KnownReport, patient_id: RowId | None, change: Change) -> KnownReport:
    if known.report.patient_id == patient_id:
        return known
    report = replace(known.report, patient_id=patient_id)
    change.alter(report)
    return replace(known, report=report)


def _held(known: KnownReport, conflict: Conflict, change: Change) -> KnownReport:
    if any(hold.code == conflict.code for hold in known.holds):
        return known
    hold = change.hold(
        conflict.code,
        conflict.danger,
        conflict.reason,
        conflict.evidence,
        patient_id=conflict.patient.id if conflict.patient else None,
        order_id=conflict.candidate.order.id if conflict.candidate else None,
        report_id=known.report.id,
    )
    return replace(known, holds=(*known.holds, hold))


def _resolved(known: KnownReport, resolution: str, change: Change, *, but: str = "") -> KnownReport:
    still: list[Hold] = []
    for hold in known.holds:
        if hold.code not in REPORT_HOLDS or hold.code == but:
            still.append(hold)
            continue
        change.alter(replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution))
        change.event("hold.resolved", resolution, order_id=hold.order_id, report_id=known.report.id)
    return replace(known, holds=tuple(still))


def _linked(known: KnownReport, match: ReportMatch, change: Change) -> KnownReport:
    act = change.act
    study_id = match.study.id if match.study else None
    targets: list[tuple[RowId | None, RowId | None]] = [(each.procedure.id, each.order.id) for each in match.candidates]
    links = []
    for procedure_id, order_id in targets or [(None, None)]:
        link = ReportLink(
            id=act.new_id(),
            report_id=known.report.id,
            procedure_id=procedure_id,
            study_id=study_id,
            rule=match.rule,
            reason=match.reason,
            evidence=match.evidence,
            at=act.now,
            cause_id=act.cause_id,
        )
        change.create(link)
        links.append(link)
        change.event(
            "report.linked",
            f"{match.rule}: {match.reason}",
            patient_id=match.patient_id,
            order_id=order_id,
            procedure_id=procedure_id,
            study_id=study_id,
            report_id=known.report.id,
        )
    return replace(known, links=tuple(links))


def tell_report(known: KnownReport, orders: Sequence[KnownOrder], change: Change, *, again: bool = False) -> None:
    """Say what a linked report has become, once for each of its orders, and move their procedures.

    `again` when it was final before, so that another final version is a correction to those who read the first.
    """
    state = known.report.state
    name = "report.corrected" if again and state is ReportState.FINAL else EVENTS.get(state)
    by_study = [link for link in known.links if link.procedure_id is None]
    for link in by_study[:1] if name else ():
        change.event(name or "", patient_id=known.report.patient_id, study_id=link.study_id, report_id=known.report.id)
    linked = {link.procedure_id: link for link in known.links}
    for order in orders:
        procedures = [each for each in order.procedures if each.id in linked]
        if not procedures:
            continue
        if name:
            change.event(
                name,
                "final again, with other content" if name == "report.corrected" and state is ReportState.FINAL else "",
                patient_id=known.report.patient_id,
                order_id=order.order.id,
                procedure_id=procedures[0].id,
                study_id=linked[procedures[0].id].study_id,
                report_id=known.report.id,
            )
        _move(known, order, procedures, change)


def _move(known: KnownReport, order: KnownOrder, procedures: Sequence[RequestedProcedure], change: Change) -> None:
    state = known.report.state
    if state.is_void:
        _void(known, order, procedures, change)
        return
    action = report_action([state])
    if action is None:
        return
    for procedure in procedures:
        order = move_order(order, action, change, only=procedure)


def _void(known: KnownReport, order: KnownOrder, procedures: Sequence[RequestedProcedure], change: Change) -> None:
    """An order that ended with a report which is void now needs a person: nothing says that it was read."""
    done = [each for each in procedures if each.state in (OrderState.COMPLETED, OrderState.REPORTED)]
    if not done or any(hold.code == "report_withdrawn" for hold in known.holds):
        return
    change.hold(
        "report_withdrawn",
        Danger.AMBER,
        f"the order is {done[0].state.value.lower()} but its report was {known.report.state.value.lower()}",
        order_id=order.order.id,
        patient_id=order.order.patient_id,
        report_id=known.report.id,
    )


def report_action(states: Sequence[ReportState]) -> OrderAction | None:
    """Return what the reports of a procedure ask of it; None when none of them counts yet."""
    if any(state.is_final for state in states):
        return OrderAction.REPORT_FINAL
    return OrderAction.REPORT_PRELIMINARY if ReportState.PRELIMINARY in states else None


def flag_newer_images(known: KnownReport, study_id: RowId, order_id: RowId | None, change: Change) -> KnownReport:
    """Say once that images came which a final report cannot have seen; its next version takes the flag off."""
    if not known.report.state.is_final or known.report.newer_images_at is not None:
        return known
    report = replace(known.report, newer_images_at=change.act.now)
    change.alter(report)
    change.event(
        "report.images_after_final",
        "images arrived after the report was final",
        patient_id=report.patient_id,
        order_id=order_id,
        study_id=study_id,
        report_id=report.id,
    )
    return replace(known, report=report)
