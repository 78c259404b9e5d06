"""How a study comes to be, is linked, held, and declared complete.

Source: spec/workflow.md sections 4.4 and 5, spec/reconcile.md sections 6 and 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.linkage.change import Change
from engine.linkage.collision import COLLISIONS
from engine.linkage.evidence import contradicts
from engine.linkage.match import MATCH_HOLDS, Conflict, Decision, Match, Unmatched
from engine.linkage.state_table import OrderAction
from engine.linkage.transition import KnownOrder, move_order
from engine.records.fact import InstanceFact
from engine.records.record import Hold, Link, Study
from engine.records.state import Danger, HoldState, StudyState

INCONSISTENT = "internally_inconsistent"
"""Hold of a study whose instances disagree about the patient or the order: nothing is linked while it is open."""
_NOT_DECIDED_HERE = (INCONSISTENT, *sorted(COLLISIONS))


def new_study(said: InstanceFact, issuer: str, quiet_due_at: datetime, change: Change) -> Study:
    """Return the study that a first instance brings, not yet linked to anything."""
    act = change.act
    study = Study(
        id=act.new_id(),
        study_uid=said.study_uid,
        state=StudyState.RECEIVING,
        dicom_patient_id=said.patient_id.strip(),
        dicom_issuer=issuer,
        dicom_name=said.patient_name,
        dicom_birth_date=said.birth_date,
        dicom_sex=said.sex,
        accession_number=said.accession_number.strip(),
        accession_issuer=said.accession_issuer,
        dicom_study_id=said.study_id,
        study_date=said.study_date,
        study_time=said.study_time,
        description=said.study_description,
        modalities=(said.modality,) if said.modality else (),
        source_ae=said.source_ae,
        first_received_at=act.now,
        last_received_at=act.now,
        quiet_due_at=quiet_due_at,
        cause_id=act.cause_id,
    )
    change.create(study)
    change.event("study.received", study_id=study.id)
    return study


def grown_study(
    study: Study,
    said: InstanceFact,
    *,
    new_series: bool,
    quiet_due_at: datetime,
    holds: Sequence[Hold],
    change: Change,
    issuer: str = "",
) -> Study:
    """Return a study after one more instance: counts, quiet timer, and a hold when the instance contradicts it.

    `issuer` is the key of the issuer of the instance's patient ID, as `new_study` takes it; what the instance itself
    says is another name for the same, and is not compared.
    """
    modalities = study.modalities
    if said.modality and said.modality not in modalities:
        modalities = (*modalities, said.modality)
    grown = replace(
        study,
        state=StudyState.RECEIVING,
        modalities=modalities,
        series_count=study.series_count + new_series,
        instance_count=study.instance_count + 1,
        accession_number=study.accession_number or said.accession_number.strip(),
        last_received_at=change.act.now,
        quiet_due_at=quiet_due_at,
    )
    if study.state.is_complete:
        change.event("study.reopened", "an instance arrived after completion", study_id=study.id)
    keyword = contradicts(study, said, issuer)
    if keyword and not _has_open(holds, INCONSISTENT):
        change.hold(
            INCONSISTENT,
            Danger.RED,
            f"instances of the study disagree about {keyword}",
            {"attribute": keyword},
            study_id=study.id,
            patient_id=study.patient_id,
        )
    change.alter(grown)
    return grown


def _has_open(holds: Sequence[Hold], code: str) -> bool:
    return any(hold.code == code and hold.state is HoldState.OPEN for hold in holds)


def decide_links(
    study: Study,
    decision: Decision,
    known_orders: Sequence[KnownOrder],
    holds: Sequence[Hold],
    change: Change,
) -> tuple[Study, tuple[Link, ...], tuple[KnownOrder, ...]]:
    """Write what a match decision means; return the study, the new links and the orders as they are now.

    A study is of a patient when nothing contradicts that, also while its order is in doubt (amber); a red hold leaves
    it without. Holds of an earlier decision that this one no longer shares are resolved.
    """
    if any(_has_open(holds, code) for code in _NOT_DECIDED_HERE):
        return (study, (), tuple(known_orders))
    red = isinstance(decision, Conflict) and decision.danger is Danger.RED
    patient_id = decision.patient.id if decision.patient and not red else None
    if study.patient_id != patient_id:
        study = replace(study, patient_id=patient_id)
        change.alter(study)
    if isinstance(decision, Conflict):
        _resolve(holds, "another reason now", change, but=decision.code)
        if not _has_open(holds, decision.code):
            _hold_study(study, decision, change)
        return (study, (), tuple(known_orders))
    if isinstance(decision, Unmatched):
        _resolve(holds, "no longer in conflict", change)
        return (study, (), tuple(known_orders))
    links, orders = _link(study, decision, known_orders, change)
    _resolve(holds, "linked later", change)
    return (study, links, orders)


def _resolve(holds: Sequence[Hold], resolution: str, change: Change, *, but: str = "") -> None:
    for hold in holds:
        if hold.state is HoldState.OPEN and hold.code in MATCH_HOLDS and hold.code != but:
            resolved = replace(hold, state=HoldState.RESOLVED, resolved_at=change.act.now, resolution=resolution)
            change.alter(resolved)
            change.event("hold.resolved", resolution, study_id=hold.study_id, order_id=hold.order_id)


def _hold_study(study: Study, conflict: Conflict, change: Change) -> None:
    candidate = conflict.candidate
    change.hold(
        conflict.code,
        conflict.danger,
        conflict.reason,
        conflict.evidence,
        study_id=study.id,
        patient_id=conflict.patient.id if conflict.patient else None,
        order_id=candidate.order.id if candidate else None,
    )


def _link(
    study: Study, match: Match, known_orders: Sequence[KnownOrder], change: Change
) -> tuple[tuple[Link, ...], tuple[KnownOrder, ...]]:
    act = change.act
    orders = {known.order.id: known for known in known_orders}
    links = []
    for candidate in match.candidates:
        link = Link(
            id=act.new_id(),
            procedure_id=candidate.procedure.id,
            study_id=study.id,
            rule=match.rule,
            reason=match.reason,
            evidence=match.evidence,
            at=act.now,
            cause_id=act.cause_id,
        )
        change.create(link)
        links.append(link)
        change.event(
            "study.linked",
            f"{match.rule}: {match.reason}",
            patient_id=match.patient.id,
            order_id=candidate.order.id,
            procedure_id=candidate.procedure.id,
            study_id=study.id,
        )
        known = orders.get(candidate.order.id)
        if known is not None:
            orders[candidate.order.id] = move_order(known, OrderAction.START, change, only=candidate.procedure)
    return (tuple(links), tuple(orders.values()))


def complete_study(
    study: Study, links: Sequence[Link], orders: Sequence[KnownOrder], holds: Sequence[Hold], change: Change
) -> Study:
    """Return a study whose quiet timer fired; tell it for each linked procedure, unless a person must decide first."""
    completed = replace(
        study,
        state=StudyState.COMPLETE_ASSUMED,
        quiet_due_at=None,
        completed_at=change.act.now,
        completions=study.completions + 1,
    )
    change.alter(completed)
    tell_completion(completed, links, orders, holds, change, again=completed.completions > 1)
    return completed


_GRAVE = (Danger.RED, Danger.AMBER)
_ASIDE = frozenset({"instance_header_differs"})
"""Holds about a copy that was set aside: whose the study is, and what was ordered, is not in doubt."""


def tell_completion(
    study: Study,
    links: Sequence[Link],
    orders: Sequence[KnownOrder],
    holds: Sequence[Hold],
    change: Change,
    *,
    again: bool = False,
) -> None:
    """Say that a complete study is complete: one `study.completed` for each linked procedure.

    `again` when it was complete before and more instances came.
    """
    if any(hold.state is HoldState.OPEN and hold.danger in _GRAVE and hold.code not in _ASIDE for hold in holds):
        change.event("study.completed_on_hold", "nobody is notified until the hold is resolved", study_id=study.id)
        return
    if not links:
        change.event("study.completed_unlinked", "no order fits yet", study_id=study.id, patient_id=study.patient_id)
        return
    linked = {link.procedure_id for link in links}
    for known in orders:
        moved = known
        for procedure in known.procedures:
            if procedure.id not in linked:
                continue
            moved = move_order(moved, OrderAction.ACQUIRE, change, only=procedure)
            change.event(
                "study.completed",
                "again, with more instances" if again else "",
                patient_id=known.order.patient_id,
                order_id=known.order.id,
                procedure_id=procedure.id,
                study_id=study.id,
            )
