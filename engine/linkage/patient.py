"""How a patient record comes to be and changes.

Registration (ADT) describes the patient; orders and results only fill gaps. Identifiers are added, never dropped.
Source: spec/hl7.md sections 3.1 and 8, spec/workflow.md section 9.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.demographics import Person
from engine.linkage.identity import KnownPatient, Verdict, is_placeholder, judge_same_id
from engine.records.explicit import plain, updated
from engine.records.fact import PatientFact, VisitFact
from engine.records.record import Hold, Patient, PatientIdentifier, Visit
from engine.records.state import Danger


def register(
    said: PatientFact, hits: Sequence[KnownPatient], change: Change, *, registrar: bool
) -> KnownPatient | Hold:
    """Return the patient that `said` is about, created or updated; or the hold that says why it cannot be told.

    Args:
        said: What the message says; a placeholder (`UNKNOWN`, all zeros) is no identifier.
        hits: The patients that any of its identifiers leads to, each once.
        change: Where the decision is written.
        registrar: Whether the source may change demographics (ADT) or only fill gaps (orders).
    """
    if all(is_placeholder(fact.value) for fact in said.identifiers):
        return change.hold(
            "patient_id_missing",
            Danger.RED,
            "the message names no patient: its patient ID is a placeholder (rule A12)",
            {"rule": "A12"},
        )
    if len(hits) > 1:
        return change.hold(
            "identifiers_of_several_patients",
            Danger.RED,
            f"the identifiers of the message belong to {len(hits)} patients",
            {"patients": [hit.patient.id for hit in hits]},
            patient_id=hits[0].patient.id,
        )
    if not hits:
        return _create(said, change)
    (known,) = hits
    if not registrar and not known.patient.identity_unknown:
        judgement = judge_same_id(_claimed(said), known.patient)
        if judgement.verdict is Verdict.HOLD:
            return change.hold(
                "patient_conflict",
                Danger.RED,
                f"{judgement.reason} (rule {judgement.case})",
                {"rule": judgement.case, **judgement.comparison.as_evidence},
                patient_id=known.patient.id,
            )
        if judgement.verdict is Verdict.SAME_WITH_NOTE:
            change.notes.append(judgement.reason)
    return _update(said, known, change, registrar=registrar)


def _claimed(said: PatientFact) -> Person:
    return Person(name=plain(said.name), birth_date=plain(said.birth_date), sex=plain(said.sex))


def _create(said: PatientFact, change: Change) -> KnownPatient:
    act = change.act
    patient = Patient(
        id=act.new_id(),
        name=plain(said.name),
        birth_date=plain(said.birth_date),
        sex=plain(said.sex),
        identity_unknown=said.identity_unknown == "Y",
        updated_at=act.now,
        cause_id=act.cause_id,
    )
    change.create(patient)
    identifiers = _add_identifiers(said, patient.id, (), change)
    change.event("patient.registered", patient_id=patient.id)
    return KnownPatient(patient=patient, identifiers=identifiers)


def _update(said: PatientFact, known: KnownPatient, change: Change, *, registrar: bool) -> KnownPatient:
    old = known.patient
    # after a merge the source still uses the old identifier: it may not describe the survivor
    new = _described(said, old, registrar=registrar) if not known.redirected else old
    if new != old:
        new = replace(new, updated_at=change.act.now, cause_id=change.act.cause_id)
        change.alter(new)
        change.event("patient.updated", patient_id=old.id)
    added = _add_identifiers(said, old.id, known.identifiers, change)
    return KnownPatient(patient=new, identifiers=(*known.identifiers, *added), redirected=known.redirected)


def _described(said: PatientFact, old: Patient, *, registrar: bool) -> Patient:
    if not registrar:
        return replace(
            old,
            name=old.name or plain(said.name),
            birth_date=old.birth_date or plain(said.birth_date),
            sex=old.sex or plain(said.sex),
        )
    return replace(
        old,
        name=updated(old.name, said.name),
        birth_date=updated(old.birth_date, said.birth_date),
        sex=updated(old.sex, said.sex),
        identity_unknown=old.identity_unknown if said.identity_unknown in (None, "") else said.identity_unknown == "Y",
    )


def _add_identifiers(
    said: PatientFact, patient_id: RowId, known: Sequence[PatientIdentifier], change: Change
) -> tuple[PatientIdentifier, ...]:
    there = {(identifier.value, identifier.issuer) for identifier in known}
    has_primary = any(identifier.is_primary for identifier in known)
    added: list[PatientIdentifier] = []
    for fact in said.identifiers:
        if (fact.value, fact.issuer) in there or is_placeholder(fact.value):
            continue
        there.add((fact.value, fact.issuer))
        identifier = PatientIdentifier(
            id=change.act.new_id(),
            patient_id=patient_id,
            value=fact.value,
            issuer=fact.issuer,
            type_code=fact.type_code,
            is_primary=not has_primary,
            cause_id=change.act.cause_id,
        )
        has_primary = True
        change.create(identifier)
        added.append(identifier)
    return tuple(added)


def note_visit(said: VisitFact | None, known: Visit | None, patient_id: RowId, change: Change) -> Visit | None:
    """Return the visit that `said` is about, created or updated; None when no visit number was said.

    A visit of another patient is left as it is, and the sender is told.
    """
    if said is None or not said.number:
        return known
    if known is None:
        visit = Visit(
            id=change.act.new_id(),
            patient_id=patient_id,
            number=plain(said.number),
            issuer=plain(said.issuer),
            class_code=plain(said.class_code),
            location=plain(said.location),
            attending=plain(said.attending),
            cause_id=change.act.cause_id,
        )
        change.create(visit)
        return visit
    if known.patient_id != patient_id:  # moving a visit is an act of registration (ADT^A44, A45), never a side effect
        change.notes.append("the visit number is that of another patient's visit, which stays as it was")
        return known
    visit = replace(
        known,
        class_code=updated(known.class_code, said.class_code),
        location=updated(known.location, said.location),
        attending=updated(known.attending, said.attending),
    )
    if visit != known:
        change.alter(visit)
    return visit
