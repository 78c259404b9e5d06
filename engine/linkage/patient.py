"""How a patient record comes to be and changes.

Registration (ADT) describes the patient; orders and results only fill gaps. Identifiers are added, never dropped.
Source: spec/hl7.md sections 3.1, 4 (MSH-7) and 8, spec/workflow.md section 9.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, tzinfo

from engine.core.ids import RowId
from engine.linkage.change import Change
from engine.linkage.demographics import Person
from engine.linkage.identity import (
    Judgement,
    KnownPatient,
    Verdict,
    is_placeholder,
    judge_redirected,
    judge_same_id,
)
from engine.linkage.recency import Recorded, recorded
from engine.records.explicit import plain, updated
from engine.records.fact import PatientFact
from engine.records.record import Hold, Patient, PatientIdentifier
from engine.records.state import Danger

LATE = "not applied to the patient: what is kept of the description was recorded later"
"""What the sender of an old registration is told."""


def register(
    said: PatientFact,
    hits: Sequence[KnownPatient],
    change: Change,
    *,
    registrar: bool,
    timezone: tzinfo = UTC,
) -> KnownPatient | Hold:
    """Return the patient that `said` is about, created or updated; or the hold that says why it cannot be told.

    Args:
        said: What the message says; a placeholder (`UNKNOWN`, all zeros) is no identifier.
        hits: The patients that any of its identifiers leads to, each once.
        change: Where the decision is written.
        registrar: Whether the source may change demographics (ADT) or only fill gaps (orders).
        timezone: The site's, for times said without an offset.
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
    said_at = recorded(said.recorded_at, change.act.now, timezone) if registrar else None
    if not hits:
        return _create(said, said_at, change)
    (known,) = hits
    if not registrar and not known.patient.identity_unknown:
        judgement = _judge(said, known)
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
    if said_at is not None and said_at.is_older_than(known.patient.registered_at):
        change.notes.append(LATE)
        return known
    return _update(said, known, said_at, change, registrar=registrar)


def _judge(said: PatientFact, known: KnownPatient) -> Judgement:
    claimed = Person(name=plain(said.name), birth_date=plain(said.birth_date), sex=plain(said.sex))
    former = [fact for fact in said.identifiers if known.redirected and known.former_records(fact.value, fact.issuer)]
    fact = former[0] if former else said.identifiers[0]
    return judge_redirected(known, fact.value, fact.issuer, lambda record: judge_same_id(claimed, record))


def _create(said: PatientFact, said_at: Recorded | None, change: Change) -> KnownPatient:
    act = change.act
    patient = Patient(
        id=act.new_id(),
        name=plain(said.name),
        birth_date=plain(said.birth_date),
        sex=plain(said.sex),
        identity_unknown=said.identity_unknown == "Y",
        identity_reliability=plain(said.identity_reliability),
        registered_at=said_at.first if said_at else None,
        updated_at=act.now,
        cause_id=act.cause_id,
    )
    change.create(patient)
    identifiers = _add_identifiers(said, patient.id, (), change)
    change.event("patient.registered", patient_id=patient.id)
    return KnownPatient(patient=patient, identifiers=identifiers)


def _update(
    said: PatientFact, known: KnownPatient, said_at: Recorded | None, change: Change, *, registrar: bool
) -> KnownPatient:
    old = known.patient
    # after a merge the source still uses the old identifier: it may not describe the survivor
    new = _described(said, old, registrar=registrar) if not known.redirected else old
    is_new = new != old
    if is_new:
        new = replace(new, updated_at=change.act.now, cause_id=change.act.cause_id)
    if said_at is not None and not known.redirected:
        new = replace(new, registered_at=max(said_at.first, old.registered_at or said_at.first))
    if new != old:
        change.alter(new)
    added = _add_identifiers(said, old.id, (*known.identifiers, *known.former), change)
    if is_new or added:
        change.event("patient.updated", "" if is_new else "another identifier", patient_id=old.id)
    return replace(known, patient=new, identifiers=(*known.identifiers, *added))


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
        identity_reliability=updated(old.identity_reliability, said.identity_reliability),
    )


def _add_identifiers(
    said: PatientFact, patient_id: RowId, known: Sequence[PatientIdentifier], change: Change
) -> tuple[PatientIdentifier, ...]:
    there = {(identifier.value, identifier.issuer) for identifier in known}
    has_primary = any(identifier.is_primary and identifier.patient_id == patient_id for identifier in known)
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
