"""Which order a report is about, or why a person must look first.

By filler number, accession number, the Study Instance UID it names, placer number; never against the patient.
Source: spec/reconcile.md sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.demographics import Agreement, Person, compare
from engine.linkage.evidence import Candidate
from engine.linkage.identity import KnownPatient, Verdict, judge_same_id, person_of
from engine.linkage.match import Conflict
from engine.linkage.report_identity import KnownReport
from engine.records.explicit import plain
from engine.records.fact import ReportFact
from engine.records.record import Hold, Study
from engine.records.state import Danger, OrderState

REPORT_HOLDS = frozenset(
    {
        "report_patient_conflict",
        "report_of_another_patient",
        "report_numbers_of_several_orders",
        "report_study_of_another_patient",
        "report_of_held_study",
        "report_for_cancelled_order",
        "report_orphaned",
    }
)
"""Codes of the holds that a decision raises; a later decision about the same report settles them."""

RULES = {
    "R1": "the filler number is the order's",
    "R2": "the accession number is the order's",
    "R3": "the report names the Study Instance UID",
    "R4": "the placer number is the order's",
}
_ENDED = (OrderState.CANCELLED, OrderState.REPLACED, OrderState.IN_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWorld:
    """What is known that a report could be about. Candidates are the procedures of whole orders."""

    patients: tuple[KnownPatient, ...] = ()
    """Those that any of the report's patient identifiers leads to."""
    by_filler: tuple[Candidate, ...] = ()
    by_accession: tuple[Candidate, ...] = ()
    by_study: tuple[Candidate, ...] = ()
    """Ordered under a Study Instance UID that the report names, or linked to that study."""
    by_placer: tuple[Candidate, ...] = ()
    owners: Mapping[RowId, KnownPatient] = field(default_factory=dict)
    """The patients of the candidates' orders, as they survive, by `ImagingOrder.patient_id`."""
    studies: tuple[Study, ...] = ()
    """Those that the report names."""
    held: frozenset[RowId] = frozenset()
    """Rows of studies, and of orders, with an open red hold about images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMatch:
    """The report is about these procedures, or about a study that nobody ordered."""

    patient_id: RowId | None
    candidates: tuple[Candidate, ...]
    study: Study | None
    rule: str
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUnmatched:
    """Nothing known fits yet. `patient_id` when at least the person is known."""

    patient_id: RowId | None = None


ReportDecision = ReportMatch | Conflict | ReportUnmatched


def match_report(known: KnownReport, world: ReportWorld) -> ReportDecision:
    """Return what a report's numbers and its patient permit."""
    found = _found(world)
    if not found:
        return _without_order(known, world)
    rule, candidates = found
    orders = {candidate.order.id: candidate.order for candidate in candidates}
    owners = {world.owners[order.patient_id].patient.id for order in orders.values()}
    conflict = _patient_conflict(known, world, owners, candidates[0])
    if conflict is not None:
        return conflict
    if len(orders) > _most_orders(known):
        return Conflict(
            code="report_numbers_of_several_orders",
            danger=Danger.AMBER,
            reason=f"the numbers of the report belong to {len(orders)} orders",
            evidence={"rule": rule, "orders": sorted(orders)},
            candidate=candidates[0],
        )
    owner = world.owners[candidates[0].order.patient_id].patient
    conflict = _study_conflict(world, owner.id, candidates)
    if conflict is not None:
        return conflict
    standing = tuple(each for each in candidates if each.procedure.state not in _ENDED)
    if not standing:
        return Conflict(
            code="report_for_cancelled_order",
            danger=Danger.AMBER,
            reason=f"a report came for an order that is {candidates[0].procedure.state.value.lower()}",
            evidence={"rule": rule},
            candidate=candidates[0],
        )
    judgement = judge_same_id(_person(known), owner)
    return ReportMatch(
        patient_id=owner.id,
        candidates=_narrowed(known, standing),
        study=world.studies[0] if len(world.studies) == 1 else None,
        rule=rule,
        reason=f"{RULES[rule]}; {judgement.reason} ({judgement.case})",
        evidence={"rule": rule, "patient_rule": judgement.case, **judgement.comparison.as_evidence},
    )


def _found(world: ReportWorld) -> tuple[str, tuple[Candidate, ...]] | None:
    """Return the first rule that finds an order; filler and accession numbers must not lead apart."""
    numbered = _unique((*world.by_filler, *world.by_accession))
    if numbered:
        return ("R1" if world.by_filler else "R2", numbered)
    if world.by_study:
        return ("R3", _unique(world.by_study))
    if world.by_placer:
        return ("R4", _unique(world.by_placer))
    return None


def _unique(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    found = {candidate.procedure.id: candidate for candidate in candidates}
    return tuple(found[row] for row in sorted(found))


def _most_orders(known: KnownReport) -> int:
    """Return how many orders a report may be about: as many as it names."""
    return max(1, *(len(known.numbers(kind)) for kind in ("filler", "accession", "placer", "study")))


def _person(known: KnownReport) -> Person:
    report = known.report
    return Person(name=report.said_name, birth_date=report.said_birth_date, sex=report.said_sex)


def _patient_conflict(
    known: KnownReport, world: ReportWorld, owners: set[RowId], candidate: Candidate
) -> Conflict | None:
    patient = world.owners[candidate.order.patient_id]
    mine = {(value.strip().casefold(), issuer) for value, issuer in known.numbers("patient")}
    theirs = {(each.value.strip().casefold(), each.issuer) for each in (*patient.identifiers, *patient.former)}
    if len(owners) > 1 or not mine & theirs:
        return Conflict(
            code="report_of_another_patient",
            danger=Danger.RED,
            reason="the report carries the numbers of an order of another patient"
            if len(owners) == 1
            else f"the report is about orders of {len(owners)} patients",
            evidence={"orders_patients": len(owners), "patient_id": "different"},
            patient=patient.patient,
            candidate=candidate,
        )
    judgement = judge_same_id(_person(known), patient.patient)
    if judgement.verdict is not Verdict.HOLD:
        return None
    return Conflict(
        code="report_patient_conflict",
        danger=Danger.RED,
        reason=f"{judgement.reason} (rule {judgement.case})",
        evidence={"rule": judgement.case, **judgement.comparison.as_evidence},
        patient=patient.patient,
        candidate=candidate,
    )


def _study_conflict(world: ReportWorld, owner: RowId, candidates: Sequence[Candidate]) -> Conflict | None:
    about = {study.id for study in world.studies} | {candidate.order.id for candidate in candidates}
    if about & world.held:
        return Conflict(
            code="report_of_held_study",
            danger=Danger.RED,
            reason="the images that were reported are held: they may be those of another patient",
            candidate=candidates[0],
        )
    others = {world.owners[candidate.order.patient_id].patient.id for candidate in world.by_study} | {
        study.patient_id for study in world.studies if study.patient_id is not None
    }
    if others - {owner}:
        return Conflict(
            code="report_study_of_another_patient",
            danger=Danger.RED,
            reason="the report names a study of another patient than its order is of",
            candidate=candidates[0],
        )
    return None


def other_patient(known: KnownReport, said: ReportFact, claimed: Sequence[KnownPatient], change: Change) -> Hold | None:
    """Return the hold of a version that names another patient than its report does; None when nothing contradicts.

    Args:
        known: The report as it is.
        said: The version.
        claimed: The patients that the version's identifiers lead to.
        change: Where the hold is written.
    """
    mine = {(each.value.strip().casefold(), each.issuer) for each in said.patient.identifiers}
    theirs = {(value.strip().casefold(), issuer) for value, issuer in known.numbers("patient")}
    same_number = bool(mine & theirs)
    patient = next((each for each in claimed if each.patient.id == known.report.patient_id), None)
    claim = Person(
        name=plain(said.patient.name), birth_date=plain(said.patient.birth_date), sex=plain(said.patient.sex)
    )
    before = patient.patient if patient is not None else None
    found = compare(claim, person_of(before) if before is not None else _person(known))
    contradicts = found.sex_conflict or found.birth_date is Agreement.DIFFERENT or found.name is Agreement.DIFFERENT
    if (same_number or patient is not None) and not contradicts:
        return None
    return change.hold(
        "report_of_another_patient",
        Danger.RED,
        "a version of a report names another patient than the report does; it was not applied",
        {"patient_id": "equal" if same_number or patient is not None else "different", **found.as_evidence},
        patient_id=known.report.patient_id,
        report_id=known.report.id,
    )


def _narrowed(known: KnownReport, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Return the procedures that a report names, of each order: by ID, by study, by code; else all of the order."""
    chosen: list[Candidate] = []
    rp_ids = {value for value, _ in known.numbers("procedure")}
    uids = {value for value, _ in known.numbers("study")}
    for order in dict.fromkeys(candidate.order.id for candidate in candidates):
        mine = [candidate for candidate in candidates if candidate.order.id == order]
        named = (
            [each for each in mine if each.procedure.rp_id in rp_ids]
            or [each for each in mine if each.procedure.study_uid in uids]
            or [each for each in mine if known.report.code and each.procedure.code == known.report.code]
        )
        chosen.extend(named or mine)
    return tuple(chosen)


def _without_order(known: KnownReport, world: ReportWorld) -> ReportDecision:
    if not world.patients:
        return ReportUnmatched()
    if len(world.patients) > 1:
        return Conflict(
            code="report_of_another_patient",
            danger=Danger.RED,
            reason=f"the identifiers of the report belong to {len(world.patients)} patients",
            evidence={"patients": sorted(each.patient.id for each in world.patients)},
        )
    (patient,) = world.patients
    judgement = judge_same_id(_person(known), patient.patient)
    if judgement.verdict is Verdict.HOLD:
        return Conflict(
            code="report_patient_conflict",
            danger=Danger.RED,
            reason=f"{judgement.reason} (rule {judgement.case})",
            evidence={"rule": judgement.case, **judgement.comparison.as_evidence},
            patient=patient.patient,
        )
    study = world.studies[0] if len(world.studies) == 1 else None
    if study is not None and study.patient_id == patient.patient.id and study.id not in world.held:
        return ReportMatch(
            patient_id=patient.patient.id,
            candidates=(),
            study=study,
            rule="R3",
            reason=f"{RULES['R3']} of images without an order; {judgement.reason} ({judgement.case})",
            evidence={"rule": "R3", "patient_rule": judgement.case, **judgement.comparison.as_evidence},
        )
    if any(each.id in world.held or each.patient_id not in (None, patient.patient.id) for each in world.studies):
        held = any(each.id in world.held for each in world.studies)
        return Conflict(
            code="report_of_held_study" if held else "report_study_of_another_patient",
            danger=Danger.RED,
            reason="the images that were reported are held: they may be those of another patient"
            if held
            else "the report names a study of another patient",
            patient=patient.patient,
        )
    return ReportUnmatched(patient_id=patient.patient.id)
