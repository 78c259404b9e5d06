"""What the images of a study say about whose they are and what they were ordered as.

Source: spec/reconcile.md sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.linkage.demographics import Agreement, Person, compare
from engine.linkage.identity import KnownPatient
from engine.records.fact import InstanceFact, RequestAttributes
from engine.records.record import ImagingOrder, RequestedProcedure, ScheduledStep, Study

_FAMILIES = ({"CR", "DX", "RG"}, {"US", "IVUS"}, {"XA", "RF"}, {"PT", "CT", "NM"}, {"MR", "PT"})
_NEUTRAL = frozenset({"SR", "PR", "KO", "DOC", "OT", "SC", "AU", "SEG", "REG", "RWV", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEvidence:
    """The evidence of a study, as received; `issuer` is a key of the issuer table, "" when nobody says."""

    study_uid: str
    patient_id: str
    issuer: str
    person: Person
    accession_number: str = ""
    accession_issuer: str = ""
    study_id: str = ""
    modalities: tuple[str, ...] = ()
    requests: tuple[RequestAttributes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A requested procedure that the evidence may mean, with its order and steps."""

    procedure: RequestedProcedure
    order: ImagingOrder
    steps: tuple[ScheduledStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWorld:
    """What is known that a study could belong to.

    `patients` are all patients that have the images' patient ID under any issuer; `owners` the patients of the
    candidates' orders, by row id.
    """

    patients: tuple[KnownPatient, ...] = ()
    by_uid: tuple[Candidate, ...] = ()
    by_accession: tuple[Candidate, ...] = ()
    owners: tuple[KnownPatient, ...] = ()


def evidence_of(study: Study, requests: tuple[RequestAttributes, ...] = ()) -> StudyEvidence:
    """Return the evidence kept with a study, plus the Request Attributes of the instance at hand."""
    return StudyEvidence(
        study_uid=study.study_uid,
        patient_id=study.dicom_patient_id,
        issuer=study.dicom_issuer,
        person=Person(name=study.dicom_name, birth_date=study.dicom_birth_date, sex=study.dicom_sex),
        accession_number=study.accession_number,
        accession_issuer=study.accession_issuer,
        study_id=study.dicom_study_id,
        modalities=study.modalities,
        requests=requests,
    )


def contradicts(study: Study, said: InstanceFact, issuer: str) -> str:
    """Return which attribute of a further instance disagrees with its study: a DICOM keyword, or "" when none does.

    Absent is not different: a dose report without accession number contradicts nothing. `issuer` is the key of the
    issuer of the instance's patient ID, "" when nobody says.
    """
    if _differ(said.patient_id, study.dicom_patient_id) or _differ(issuer, study.dicom_issuer):
        return "PatientID"
    if _differ(said.accession_number, study.accession_number):
        return "AccessionNumber"
    mine = (said.patient_name, said.birth_date, said.sex)
    theirs = (study.dicom_name, study.dicom_birth_date, study.dicom_sex)
    if mine == theirs:
        return ""
    found = compare(
        Person(name=mine[0], birth_date=mine[1], sex=mine[2]),
        Person(name=theirs[0], birth_date=theirs[1], sex=theirs[2]),
    )
    if found.sex_conflict:
        return "PatientSex"
    if found.birth_date is Agreement.DIFFERENT:
        return "PatientBirthDate"
    return "PatientName" if found.name is Agreement.DIFFERENT else ""


def _differ(one: str, other: str) -> bool:
    mine, theirs = one.strip().casefold(), other.strip().casefold()
    return bool(mine and theirs) and mine != theirs


def are_compatible(images: tuple[str, ...], scheduled: tuple[str, ...]) -> bool:
    """Whether images of these modalities can come from steps scheduled for those."""
    taken = {modality for modality in images if modality not in _NEUTRAL}
    wanted = {modality for modality in scheduled if modality not in _NEUTRAL}
    if not taken or not wanted or taken & wanted:
        return True
    return any(taken & family and wanted & family for family in _FAMILIES)
