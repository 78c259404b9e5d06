"""Who and what the story is about: invented patients, and the examinations that are ordered for them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.dicom.uid import new_uid

ISSUER = "HOSP"
"""Assigning authority of every patient ID in the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient: name as PN, birth date as YYYYMMDD, sex as F, M or O."""

    patient_id: str
    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """An examination as it is ordered. `study_uid` is "" when the ordering system leaves it to the engine."""

    person: Person
    accession_number: str
    placer_number: str
    code: str
    description: str
    modality: str
    station_ae: str
    study_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody in one run, under numbers that no other run uses when there is a `tag`."""

    alpha: Person
    bravo: Person
    charlie: Person
    wrong_patient_id: str
    """A patient ID that nobody has; typed at the CR by mistake."""
    abdomen: Exam
    chest: Exam
    head: Exam
    hand: Exam
    tag: str

    @property
    def exams(self) -> tuple[Exam, ...]:
        """All of them, in the order of the story."""
        return (self.abdomen, self.chest, self.head, self.hand)

    @property
    def told(self) -> tuple[Exam, ...]:
        """Those whose images the RIS must hear of."""
        return (self.abdomen, self.head, self.hand)

    def control_id(self, name: str) -> str:
        """Return the MSH-10 of a message of the story; at most 20 characters."""
        return f"DEMO{self.tag}-{name}"


def new_cast(tag: str = "") -> Cast:
    """Return the cast of one run.

    Args:
        tag: Up to six letters and digits that make numbers unique among the runs against one engine; "" for none.
    """
    alpha = Person(patient_id=f"P{tag}1001", name="TEST^ALPHA", birth_date="19800229", sex="F")
    bravo = Person(patient_id=f"P{tag}1002", name="TEST^BRAVO", birth_date="19551103", sex="M")
    charlie = Person(patient_id=f"P{tag}1003", name="TEST^CHARLIE", birth_date="20120610", sex="M")

    def exam(number: int, person: Person, what: tuple[str, str, str, str], study_uid: str = "") -> Exam:
        code, description, modality, station = what
        return Exam(
            person=person,
            accession_number=f"ACC{tag}000{number}",
            placer_number=f"PL{tag}000{number}",
            code=code,
            description=description,
            modality=modality,
            station_ae=station,
            study_uid=study_uid,
        )

    return Cast(
        alpha=alpha,
        bravo=bravo,
        charlie=charlie,
        wrong_patient_id=f"P{tag}1020",
        abdomen=exam(1, alpha, ("74150", "CT abdomen", "CT", "CT1"), new_uid()),
        chest=exam(2, bravo, ("71046", "Chest X-ray", "CR", "CR1"), new_uid()),
        head=exam(3, alpha, ("70450", "CT head", "CT", "CT1")),
        hand=exam(4, charlie, ("73130", "Hand X-ray", "CR", "CR1")),
        tag=tag,
    )
