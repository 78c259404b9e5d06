"""What is said: the result of a mapping, before linkage decides what it means. One class per `to:` of a mapping.

A field that is `None` says nothing, `NULL` erases, text replaces. Field names are what `set:` of a mapping may name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.records.explicit import Stated


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierFact:
    """An identifier and who assigned it. `issuer` is a key of the issuer table, "" when nobody said."""

    value: str
    issuer: str = ""
    type_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFact:
    """What was said about a stay."""

    number: Stated = None
    issuer: Stated = None
    class_code: Stated = None
    location: Stated = None
    attending: Stated = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFact:
    """What was said about a person. `name` is a DICOM PN value, `birth_date` YYYY[MM[DD]], `sex` F M O or empty.

    Required: at least one identifier.
    """

    identifiers: tuple[IdentifierFact, ...] = ()
    name: Stated = None
    birth_date: Stated = None
    sex: Stated = None
    identity_unknown: Stated = None
    """`Y` when registration does not know who this is."""
    visit: VisitFact | None = None
    prior_identifiers: tuple[IdentifierFact, ...] = ()
    """Identifiers that a merge makes history (MRG-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFact:
    """What was said about one scheduled procedure step."""

    sps_id: Stated = None
    modality: Stated = None
    station_ae: Stated = None
    """One AE title, or several separated by a backslash."""
    station_name: Stated = None
    location: Stated = None
    start: Stated = None
    """DICOM DT in the sender's precision, offset kept when one was given."""
    description: Stated = None
    protocol_code: Stated = None
    protocol_system: Stated = None
    protocol_text: Stated = None
    performing_physician: Stated = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFact:
    """What was said about one requested procedure and the order it belongs to.

    Several facts with the same order numbers are one order with several procedures.
    Without `steps`, the step fields given here describe the only step.
    Required: patient.
    """

    control: Stated = None
    """ORC-1: NW, XO, CA …"""
    status: Stated = None
    """ORC-5: SC, IP, CM …"""
    placer_number: Stated = None
    placer_issuer: Stated = None
    filler_number: Stated = None
    filler_issuer: Stated = None
    accession_number: Stated = None
    accession_issuer: Stated = None
    priority: Stated = None
    """STAT, HIGH, ROUTINE, MEDIUM or LOW."""
    requesting_physician: Stated = None
    referring_physician: Stated = None
    requesting_service: Stated = None
    reason: Stated = None
    comments: Stated = None
    rp_id: Stated = None
    study_uid: Stated = None
    code: Stated = None
    code_system: Stated = None
    description: Stated = None
    sps_id: Stated = None
    modality: Stated = None
    station_ae: Stated = None
    station_name: Stated = None
    location: Stated = None
    scheduled_start: Stated = None
    step_description: Stated = None
    protocol_code: Stated = None
    protocol_system: Stated = None
    protocol_text: Stated = None
    performing_physician: Stated = None
    steps: tuple[StepFact, ...] = ()
    patient: PatientFact = field(default_factory=PatientFact)
    visit: VisitFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFact:
    """What the header of one received SOP instance says, as received. UIDs stripped of padding."""

    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    transfer_syntax: str
    patient_id: str = ""
    issuer: str = ""
    """(0010,0021), or the universal id of (0010,0024); "" when the image says none."""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    modality: str = ""
    series_number: str = ""
    series_description: str = ""
    instance_number: str = ""
    request_attributes: tuple[RequestAttributes, ...] = ()
    pixel_digest: str = ""
    blob: str = ""
    size_bytes: int = 0
    source_ae: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAttributes:
    """One item of Request Attributes Sequence (0040,0275)."""

    accession_number: str = ""
    study_uid: str = ""
    rp_id: str = ""
    sps_id: str = ""
