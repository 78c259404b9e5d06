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
    judge_redirected,
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

MATCH_HOLDS = frozenset(
    {
        "patient_conflict",
        "patient_id_of_several_issuers",
        "patient_id_missing",
        "patient_id_differs_from_order",
        "uid_of_another_patient",
        "accession_of_another_patient",
        "uid_and_accession_of_different_orders",
        "several_procedures_fit",
        "modality_differs_from_order",
        "order_cancelled",
        "accession_recycled",
    }
)
"""Codes of the holds that a decision raises; a later decision about the same study settles them."""

_ENDED = (OrderState.CANCELLED, OrderState.REPLACED)


def match_study(evidence: StudyEvidence, world: StudyWorld, now: datetime) -> Decision:
    """Return what the evidence permits."""
    world = _in_order(world)
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


def _in_order(world: StudyWorld) -> StudyWorld:
    """Return the world sorted by row, so that the way it was loaded cannot matter."""
    return StudyWorld(
        patients=tuple(sorted(world.patients, key=lambda known: known.patient.id)),
        by_uid=tuple(sorted(world.by_uid, key=lambda candidate: candidate.procedure.id)),
        by_accession=tuple(sorted(world.by_accession, key=lambda candidate: candidate.procedure.id)),
        owners=world.owners,
    )


def _decide_patient(
    evidence: StudyEvidence, world: StudyWorld, owners: dict[RowId, KnownPatient]
) -> tuple[KnownPatient, Judgement] | Conflict | None:
    if is_placeholder(evidence.patient_id):
        return _without_id(evidence, world)
    having = [known for known in world.patients if known.has(evidence.patient_id, evidence.issuer)]
    named = [known for known in having if known.patient.id in owners]
    possible = having if evidence.issuer else named or having
    if not possible:
        return None
    if len(possible) > 1:
        return Conflict(
            code="patient_id_of_several_issuers",
            danger=Danger.RED,
            reason=f"{len(possible)} patients have this ID"
            + ("" if evidence.issuer else " from different issuers and the images name no issuer"),
            evidence={"rule": "A8", "patients": [known.patient.id for known in possible]},
        )
    (known,) = possible

    def judge(record: Patient) -> Judgement:
        if evidence.issuer:
            return judge_same_id(evidence.person, record)
        return judge_unknown_issuer(evidence.person, record, order_names_patient=bool(named))

    return _judged(known, judge_redirected(known, evidence.patient_id, evidence.issuer, judge), world)


def _judged(known: KnownPatient, judgement: Judgement, world: StudyWorld) -> tuple[KnownPatient, Judgement] | Conflict:
    if judgement.verdict is Verdict.HOLD:
        mine = [each for each in (*world.by_uid, *world.by_accession) if each.order.patient_id == known.patient.id]
        return _conflict(
            "patient_conflict", Danger.RED, judgement.reason, judgement, known.patient, mine[0] if mine else None
        )
    return (known, judgement)


def _without_id(evidence: StudyEvidence, world: StudyWorld) -> tuple[KnownPatient, Judgement] | Conflict | None:
    """Cases A11 and A12: no patient ID but our own Study UID and the same name and birth date; a placeholder never."""
    stated = bool(evidence.patient_id.strip())
    if stated or not world.by_uid:
        candidates = (*world.by_uid, *world.by_accession)
        if not candidates:
            return None
        by = "Study Instance UID" if world.by_uid else "accession number"
        return Conflict(
            code="patient_id_missing",
            danger=Danger.RED,
            reason=f"the images carry an order's {by} but {'only a placeholder as' if stated else 'no'} patient ID",
            evidence={"rule": "A12" if stated else "A11"},
            candidate=candidates[0],
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
    same_value = owner.has(evidence.patient_id, "")
    what = (
        "the order's patient ID from another issuer" if same_value else "a patient ID that is not the order's patient"
    )
    return Conflict(
        code="patient_id_differs_from_order",
        danger=Danger.RED,
        reason=f"the images carry the {by} of an order but {what}",
        evidence={
            "rule": "A9",
            "by": by,
            "patient_id": "same value, other issuer" if same_value else "different",
            **found.as_evidence,
        },
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
    return Conflict(
        code=code,
        danger=danger,
        reason=f"{reason} (rule {judgement.case})" if code == "patient_conflict" else reason,
        evidence={"rule": judgement.case, **judgement.comparison.as_evidence},
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
    return Match(
        patient=patient,
        candidates=candidates,
        rule=rule,
        reason=f"{reason}; {judgement.reason} ({judgement.case})",
        evidence={
            "rule": rule,
            "patient_rule": judgement.case,
            "patient_id": "equal" if evidence.patient_id.strip() else "empty",
            **judgement.comparison.as_evidence,
        },
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
    return ("B1", "the Study Instance UID is the one ordered", _still_open(world.by_uid))


def _still_open(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the candidates that nobody cancelled, or all of them when that leaves none."""
    return tuple(each for each in candidates if each.procedure.state not in _ENDED) or candidates


def _by_request(evidence: StudyEvidence, world: StudyWorld) -> _Found | None:
    found = tuple(
        candidate
        for candidate in world.by_accession
        if any(
            request.sps_id
            and any(step.sps_id == request.sps_id for step in candidate.steps)
            and request.rp_id in ("", candidate.procedure.rp_id)
            for request in evidence.requests
        )
    )
    if not found:
        return None
    return ("B2", "the Request Attributes name the scheduled step", _still_open(found))


def _by_accession(evidence: StudyEvidence, world: StudyWorld) -> _Found | Conflict | None:
    if not world.by_accession:
        return None
    still_open = _still_open(world.by_accession)
    if len(still_open) == 1 or still_open[0].procedure.state in _ENDED:
        return ("B3", "the accession number is the order's", still_open[:1])
    rp_ids = {request.rp_id for request in evidence.requests} | {evidence.study_id}
    narrowed = [each for each in still_open if each.procedure.rp_id in rp_ids - {""}]
    if len(narrowed) != 1:
        narrowed = [each for each in still_open if are_compatible(evidence.modalities, _modalities(each))]
    if len(narrowed) == 1:
        return ("B4", "the accession number is the order's and one of its procedures fits", tuple(narrowed))
    if not narrowed:
        return _other_modality(evidence, still_open, "B4")
    return Conflict(
        code="several_procedures_fit",
        danger=Danger.AMBER,
        reason=f"the accession number is right but {len(narrowed)} procedures of the order fit",
        evidence={"rule": "B4", "procedures": [each.procedure.id for each in still_open]},
        candidate=still_open[0],
    )


def _modalities(candidate: Candidate) -> tuple[str, ...]:
    return tuple(step.modality for step in candidate.steps)


def _other_modality(evidence: StudyEvidence, candidates: tuple[Candidate, ...], rule: str) -> Conflict:
    ordered = sorted({modality for candidate in candidates for modality in _modalities(candidate)})
    return Conflict(
        code="modality_differs_from_order",
        danger=Danger.AMBER,
        reason="the accession number is the order's but the images are of another modality",
        evidence={"rule": rule, "images": list(evidence.modalities), "ordered": ordered},
        candidate=candidates[0],
    )


def _objection(evidence: StudyEvidence, candidates: tuple[Candidate, ...], rule: str, now: datetime) -> Conflict | None:
    for candidate in candidates:
        procedure = candidate.procedure
        if procedure.state in _ENDED:
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
            return _other_modality(evidence, (candidate,), rule)
        if procedure.state is OrderState.COMPLETED and now - candidate.order.placed_at > RECYCLED_AFTER:
            return Conflict(
                code="accession_recycled",
                danger=Danger.AMBER,
                reason="the accession number is that of an order completed long ago",
                evidence={"rule": rule},
                candidate=candidate,
            )
    return None
