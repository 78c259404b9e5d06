"""The match ladder: which procedure do these images belong to, or why must a person look.

First whose images they are, then which order; an order match never overrides a patient conflict, a conflict beats
a match, and the same facts give the same decision.
Source: spec/reconcile.md sections 1, 4, 5 and 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.core.ids import RowId
from engine.linkage.demographics import Agreement, compare
from engine.linkage.evidence import Candidate, StudyEvidence, StudyWorld, are_compatible
from engine.linkage.identity import (
    Judgement,
    KnownPatient,
    Verdict,
    is_placeholder,
    judge_same_id,
    judge_unknown_issuer,
    person_of,
)
from engine.records.record import Patient
from engine.records.state import Danger, OrderState

RECYCLED_AFTER = timedelta(days=30)
"""An accession of an order completed longer ago than this is taken for a recycled one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The images belong to these procedures."""

    patient: Patient
    candidates: tuple[Candidate, ...]
    rule: str
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A person must decide; nothing is linked."""

    code: str
    danger: Danger
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    patient: Patient | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """Nothing known fits yet: the study waits for its order. `patient` when at least the person is known."""

    patient: Patient | None = None


Decision = Match | Conflict | Unmatched


def match_study(evidence: StudyEvidence, world: StudyWorld, now: datetime) -> Decision:
    """Return what the evidence permits."""
    candidates = (*world.by_uid, *world.by_accession)
    owners = {owner.patient.id: owner for owner in world.owners}
    patient = _decide_patient(evidence, world, owners)
    if isinstance(patient, Conflict):
        return patient
    if patient is None:
        if candidates:
            return _unknown_patient(evidence, candidates[0], owners)
        return Unmatched()
    known, judgement = patient
    for candidate in candidates:
        if candidate.order.patient_id != known.patient.id:
            by = "Study Instance UID" if candidate in world.by_uid else "accession number"
            return _conflict(
                "uid_of_another_patient" if candidate in world.by_uid else "accession_of_another_patient",
                Danger.RED,
                f"the images carry the {by} of another patient's order",
                judgement,
                known.patient,
                candidate,
            )
    return _decide_order(evidence, world, known.patient, judgement, now)


def _decide_patient(
    evidence: StudyEvidence, world: StudyWorld, owners: dict[RowId, KnownPatient]
) -> tuple[KnownPatient, Judgement] | Conflict | None:
    if is_placeholder(evidence.patient_id):
        return _without_id(evidence, world)
    exact = [known for known in world.patients if evidence.issuer and _has(known, evidence)]
    if exact:
        known = exact[0]
        return _judged(known, judge_same_id(evidence.person, known.patient), world)
    if evidence.issuer:
        return None
    possible = [known for known in world.patients if known.patient.id in owners] or list(world.patients)
    if not possible:
        return None
    if len(possible) > 1:
        return Conflict(
            code="patient_id_of_several_issuers",
            danger=Danger.RED,
            reason=f"{len(possible)} patients have this ID from different issuers and the images name no issuer",
            evidence={"rule": "A8", "patients": [known.patient.id for known in possible]},
        )
    (known,) = possible
    named = known.patient.id in owners
    return _judged(known, judge_unknown_issuer(evidence.person, known.patient, order_names_patient=named), world)


def _has(known: KnownPatient, evidence: StudyEvidence) -> bool:
    return any(
        identifier.value.casefold() == evidence.patient_id.casefold() and identifier.issuer == evidence.issuer
        for identifier in known.identifiers
    )


def _judged(known: KnownPatient, judgement: Judgement, world: StudyWorld) -> tuple[KnownPatient, Judgement] | Conflict:
    if judgement.verdict is Verdict.HOLD:
        mine = [each for each in (*world.by_uid, *world.by_accession) if each.order.patient_id == known.patient.id]
        return _conflict(
            "patient_conflict", Danger.RED, judgement.reason, judgement, known.patient, mine[0] if mine else None
        )
    return (known, judgement)


def _without_id(evidence: StudyEvidence, world: StudyWorld) -> tuple[KnownPatient, Judgement] | Conflict | None:
    """Case A11: no patient ID, but our own Study UID and the same name and birth date."""
    if not world.by_uid:
        if not world.by_accession:
            return None
        return Conflict(
            code="patient_id_missing",
            danger=Danger.RED,
            reason="the images carry an order's accession number but no patient ID",
            evidence={"rule": "A11"},
            candidate=world.by_accession[0],
        )
    candidate = world.by_uid[0]
    owner = next(known for known in world.owners if known.patient.id == candidate.order.patient_id)
    found = compare(evidence.person, person_of(owner.patient))
    if found.name is Agreement.EQUAL and found.birth_date is Agreement.EQUAL and not found.sex_conflict:
        reason = "no patient ID, but our Study Instance UID with the same name and birth date"
        return (owner, Judgement(verdict=Verdict.SAME_WITH_NOTE, case="A11", reason=reason, comparison=found))
    return Conflict(
        code="patient_id_missing",
        danger=Danger.RED,
        reason="the images carry an order's Study Instance UID but no patient ID, and name and birth date do not agree",
        evidence={"rule": "A11", **found.as_evidence},
        patient=owner.patient,
        candidate=candidate,
    )


def _unknown_patient(evidence: StudyEvidence, candidate: Candidate, owners: dict[RowId, KnownPatient]) -> Conflict:
    owner = owners[candidate.order.patient_id]
    found = compare(evidence.person, person_of(owner.patient))
    by = "Study Instance UID" if candidate.procedure.study_uid == evidence.study_uid else "accession number"
    return Conflict(
        code="patient_id_differs_from_order",
        danger=Danger.RED,
        reason=f"the images carry the {by} of an order but a patient ID that is not the order's patient",
        evidence={"rule": "A9", "by": by, "patient_id": "different", **found.as_evidence},
        patient=owner.patient,
        candidate=candidate,
    )


def _conflict(
    code: str,
    danger: Danger,
    reason: str,
    judgement: Judgement,
    patient: Patient,
    candidate: Candidate | None,
) -> Conflict:
    compared = judgement.comparison.as_evidence if judgement.comparison else {}
    return Conflict(
        code=code,
        danger=danger,
        reason=f"{reason} (rule {judgement.case})" if code == "patient_conflict" else reason,
        evidence={"rule": judgement.case, **compared},
        patient=patient,
        candidate=candidate,
    )


def _decide_order(
    evidence: StudyEvidence, world: StudyWorld, patient: Patient, judgement: Judgement, now: datetime
) -> Decision:
    found = _by_uid(evidence, world) or _by_request(evidence, world) or _by_accession(evidence, world)
    if found is None:
        return Unmatched(patient=patient)
    if isinstance(found, Conflict):
        return _about(found, patient, judgement)
    rule, reason, candidates = found
    objection = _objection(evidence, candidates, rule, now)
    if objection is not None:
        return _about(objection, patient, judgement)
    compared = judgement.comparison.as_evidence if judgement.comparison else {}
    return Match(
        patient=patient,
        candidates=candidates,
        rule=rule,
        reason=f"{reason}; {judgement.reason} ({judgement.case})",
        evidence={"rule": rule, "patient_rule": judgement.case, "patient_id": "equal", **compared},
    )


def _about(conflict: Conflict, patient: Patient, judgement: Judgement) -> Conflict:
    return Conflict(
        code=conflict.code,
        danger=conflict.danger,
        reason=conflict.reason,
        evidence={"patient_rule": judgement.case, **conflict.evidence},
        patient=patient,
        candidate=conflict.candidate,
    )


_Found = tuple[str, str, tuple[Candidate, ...]]


def _by_uid(evidence: StudyEvidence, world: StudyWorld) -> _Found | Conflict | None:
    if not world.by_uid:
        return None
    other = [each for each in world.by_accession if each.order.id not in {mine.order.id for mine in world.by_uid}]
    if other:
        return Conflict(
            code="uid_and_accession_of_different_orders",
            danger=Danger.AMBER,
            reason="the Study Instance UID belongs to one order of the patient and the accession number to another",
            evidence={"rule": "B1", "orders": [world.by_uid[0].order.id, other[0].order.id]},
            candidate=world.by_uid[0],
        )
    return ("B1", "the Study Instance UID is the one ordered", world.by_uid)


def _by_request(evidence: StudyEvidence, world: StudyWorld) -> _Found | None:
    found = [
        candidate
        for candidate in world.by_accession
        if any(
            request.sps_id
            and any(step.sps_id == request.sps_id for step in candidate.steps)
            and request.rp_id in ("", candidate.procedure.rp_id)
            for request in evidence.requests
        )
    ]
    if not found:
        return None
    return ("B2", "the Request Attributes name the scheduled step", tuple(found))


def _by_accession(evidence: StudyEvidence, world: StudyWorld) -> _Found | Conflict | None:
    all_of_them = world.by_accession
    if not all_of_them:
        return None
    ended = (OrderState.CANCELLED, OrderState.REPLACED)
    still_open = [each for each in all_of_them if each.procedure.state not in ended]
    if len(still_open) <= 1:
        only = still_open[0] if still_open else all_of_them[0]
        return ("B3", "the accession number is the order's", (only,))
    rp_ids = {request.rp_id for request in evidence.requests} | {evidence.study_id}
    narrowed = [each for each in still_open if each.procedure.rp_id in rp_ids - {""}]
    if len(narrowed) != 1:
        narrowed = [each for each in still_open if are_compatible(evidence.modalities, _modalities(each))]
    if len(narrowed) == 1:
        return ("B4", "the accession number is the order's and one of its procedures fits", tuple(narrowed))
    return Conflict(
        code="several_procedures_fit",
        danger=Danger.AMBER,
        reason=f"the accession number is right but {len(narrowed) or len(still_open)} procedures of the order fit",
        evidence={"rule": "B4", "procedures": [each.procedure.id for each in still_open]},
        candidate=still_open[0],
    )


def _modalities(candidate: Candidate) -> tuple[str, ...]:
    return tuple(step.modality for step in candidate.steps)


def _objection(evidence: StudyEvidence, candidates: tuple[Candidate, ...], rule: str, now: datetime) -> Conflict | None:
    for candidate in candidates:
        procedure = candidate.procedure
        if procedure.state in (OrderState.CANCELLED, OrderState.REPLACED):
            return Conflict(
                code="order_cancelled",
                danger=Danger.AMBER,
                reason=f"images arrived for an order that is {procedure.state.value.lower()}",
                evidence={"rule": rule},
                candidate=candidate,
            )
        if rule == "B1":
            continue
        if not are_compatible(evidence.modalities, _modalities(candidate)):
            return Conflict(
                code="modality_differs_from_order",
                danger=Danger.AMBER,
                reason="the accession number is the order's but the images are of another modality",
                evidence={"rule": rule, "images": list(evidence.modalities), "ordered": list(_modalities(candidate))},
                candidate=candidate,
            )
        if procedure.state is OrderState.COMPLETED and now - candidate.order.placed_at > RECYCLED_AFTER:
            return Conflict(
                code="accession_recycled",
                danger=Danger.AMBER,
                reason="the accession number is that of an order completed long ago",
                evidence={"rule": rule},
                candidate=candidate,
            )
    return None
