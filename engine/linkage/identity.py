"""Whose is it? The patient decision of an order or of images: cases A1-A12.

Source: spec/reconcile.md section 4; principle: a conflict always beats a match.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.linkage.demographics import Agreement, Comparison, Person, compare
from engine.records.record import Patient, PatientIdentifier

PLACEHOLDER_IDS = frozenset(
    {
        "UNKNOWN",
        "UNK",
        "TRAUMA",
        "ANONYMOUS",
        "ANON",
        "NONE",
        "N/A",
        "NA",
        "XXXXXX",
        "TEST",
        "PHANTOM",
        "QC",
    }
)


class Verdict(StrEnum):
    """What a comparison permits."""

    SAME = "same patient"
    SAME_WITH_NOTE = "same patient, noted"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPatient:
    """A patient and all identifiers that lead to it. `redirected` when found by an identifier of a merged record."""

    patient: Patient
    identifiers: tuple[PatientIdentifier, ...] = ()
    redirected: bool = False
    merged: tuple[Patient, ...] = ()
    """The records that were merged into this one, as they were described last."""
    former: tuple[PatientIdentifier, ...] = ()
    """Their identifiers: history that still leads here."""

    def has(self, value: str, issuer: str) -> bool:
        """Whether an identifier leads here, today's or a former one; without an issuer that of any issuer counts."""
        wanted = value.strip().casefold()
        return any(_is(each, wanted, issuer) for each in (*self.identifiers, *self.former))

    def former_records(self, value: str, issuer: str) -> tuple[Patient, ...]:
        """Return the merged records that had an identifier; none for one of today's."""
        wanted = value.strip().casefold()
        if any(_is(each, wanted, issuer) for each in self.identifiers):
            return ()
        rows = {each.patient_id for each in self.former if _is(each, wanted, issuer)}
        return tuple(each for each in self.merged if each.id in rows)


def _is(identifier: PatientIdentifier, wanted: str, issuer: str) -> bool:
    return identifier.value.strip().casefold() == wanted and issuer in ("", identifier.issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A decision on identity: the case of the table, and the reason as words without values."""

    verdict: Verdict
    case: str
    reason: str
    comparison: Comparison


def is_placeholder(patient_id: str) -> bool:
    """Whether an identifier names nobody: empty, all zeros, or a word such as UNKNOWN."""
    plain = patient_id.strip().upper()
    return not plain.strip("0") or plain in PLACEHOLDER_IDS


def person_of(patient: Patient) -> Person:
    """Return the description kept of a patient; one whose identity is unknown has no describing name."""
    return Person(name="" if patient.identity_unknown else patient.name, birth_date=patient.birth_date, sex=patient.sex)


def judge_redirected(known: KnownPatient, value: str, issuer: str, judge: Callable[[Patient], Judgement]) -> Judgement:
    """Decide when an identifier may be one of a merged record: case A7.

    Whoever still uses a former identifier may still use the description that went with it, so that of the merged
    record is as good as the survivor's; a placeholder name (`UNKNOWN^TRAUMA 7`) then is a name like any other.

    Args:
        known: The patient that the identifier leads to.
        value: The identifier.
        issuer: Its issuer, "" when nobody says.
        judge: Decides about one record: cases A1-A6, or A8.
    """
    survivor = judge(known.patient)
    if survivor.verdict is not Verdict.HOLD:
        return survivor
    for record in known.former_records(value, issuer):
        found = judge(replace(record, identity_unknown=False)) if record.name or record.birth_date else survivor
        if found.verdict is not Verdict.HOLD:
            reason = "the patient ID is that of a record that was merged into this patient's, and so is the description"
            return Judgement(verdict=found.verdict, case="A7", reason=reason, comparison=found.comparison)
    return survivor


def judge_same_id(claimed: Person, patient: Patient) -> Judgement:
    """Decide when identifier and issuer are equal: cases A1-A6."""
    found = compare(claimed, person_of(patient))
    verdict, case, reason = _same_id(found)
    return Judgement(verdict=verdict, case=case, reason=reason, comparison=found)


def _same_id(found: Comparison) -> tuple[Verdict, str, str]:
    name, date = found.name, found.birth_date
    if found.sex_conflict:
        return (Verdict.HOLD, "A6", "the patient ID is the same but the sex is not")
    if date is Agreement.DIFFERENT and name is Agreement.DIFFERENT:
        if found.same_birth_year:
            return (Verdict.HOLD, "A5", "the patient ID is the same but name and birth date are not")
        return (Verdict.HOLD, "A5", "the patient ID is the same but name and birth date are those of somebody else")
    if date is Agreement.DIFFERENT:
        return _same_name_other_date(found)
    if name is Agreement.DIFFERENT:
        return (Verdict.HOLD, "A3", "the patient ID is the same but the name is not")
    if date is Agreement.CLOSE:
        if name is Agreement.EQUAL:
            return (Verdict.SAME_WITH_NOTE, "A2", "patient ID and name are the same, the birth date nearly")
        return (Verdict.HOLD, "A4", "the patient ID is the same but neither name nor birth date agree fully")
    return (Verdict.SAME, "A1", "the patient ID is the same and nothing contradicts it")


def _same_name_other_date(found: Comparison) -> tuple[Verdict, str, str]:
    if found.name is Agreement.EQUAL and found.same_birth_year:
        return (Verdict.SAME_WITH_NOTE, "A2", "patient ID, name and year of birth are the same, the birth date is not")
    return (Verdict.HOLD, "A4", "the patient ID is the same but the birth date is not")


def judge_unknown_issuer(claimed: Person, patient: Patient, *, order_names_patient: bool) -> Judgement:
    """Decide when the source does not say who assigned the identifier and one patient has it: case A8.

    An order of the same patient that the source names too (by Study UID or accession) is the second agreeing fact, so
    an empty name or birth date is then no obstacle (docs/decisions/0006).
    """
    known = judge_same_id(claimed, patient)
    found = known.comparison
    if known.verdict is Verdict.HOLD:
        return known
    if order_names_patient:
        return Judgement(
            verdict=Verdict.SAME_WITH_NOTE,
            case="A8",
            reason=f"{known.reason}; nobody says who assigned the ID, but the order is of the one patient who has it",
            comparison=found,
        )
    if found.name is Agreement.EQUAL and found.birth_date is Agreement.EQUAL:
        return Judgement(
            verdict=Verdict.SAME_WITH_NOTE,
            case="A8",
            reason="one patient has this ID; name and birth date are the same; nobody says who assigned the ID",
            comparison=found,
        )
    return Judgement(
        verdict=Verdict.HOLD,
        case="A8",
        reason="nobody says who assigned the patient ID, and name and birth date do not prove the patient",
        comparison=found,
    )
