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
    admitted: Stated = None
    discharged: Stated = None


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
    identity_reliability: Stated = None
    event: Stated = None
    """What registration says happened: A01, A08 …; nothing for the patient of an order or a report."""
    recorded_at: Stated = None
    """When registration recorded it: an HL7 TS of any precision."""
    visit: VisitFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePairFact:
    """One PID and its MRG: `patient` survives, what `prior_*` names becomes history.

    Required: patient, prior_identifiers.
    """

    patient: PatientFact = field(default_factory=PatientFact)
    prior_identifiers: tuple[IdentifierFact, ...] = ()
    prior_name: Stated = None
    prior_visit_number: Stated = None
    prior_visit_issuer: Stated = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFact:
    """What was said about identities that are one; all pairs or none.

    Required: event, pairs.
    """

    event: Stated = None
    """A40, A47 …: what is merged, renamed or moved."""
    pairs: tuple[MergePairFact, ...] = ()


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
class ObservationFact:
    """What was observed of the patient of an order (OBX). `kind`: weight, height, pregnancy or last_menstruation."""

    kind: Stated = None
    value: Stated = None
    units: Stated = None
    pregnancy: Stated = None
    """The value as Pregnancy Status (0010,21C0): 1 not, 2 possibly, 3 definitely, 4 unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalFact:
    """What was said about the patient that a modality must know; several values are parted by a backslash."""

    patient_state: Stated = None
    medical_alerts: Stated = None
    allergies: Stated = None
    special_needs: Stated = None
    pregnancy_status: Stated = None
    """As in `ObservationFact.pregnancy`."""
    diagnoses: Stated = None
    patient_comments: Stated = None
    confidentiality: Stated = None
    transport: Stated = None
    observations: tuple[ObservationFact, ...] = ()


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
    parent_placer_number: Stated = None
    """For ORC-1 CH: the order whose procedure this is."""
    parent_placer_issuer: Stated = None
    parent_filler_number: Stated = None
    parent_filler_issuer: Stated = None
    priority: Stated = None
    """STAT, HIGH, ROUTINE, MEDIUM or LOW."""
    requesting_physician: Stated = None
    referring_physician: Stated = None
    requesting_service: Stated = None
    reason: Stated = None
    comments: Stated = None
    procedure_comments: Stated = None
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
    clinical: ClinicalFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFact:
    """One service of an appointment (AIS) with its equipment (AIG), room (AIL) and staff (AIP)."""

    code: Stated = None
    start: Stated = None
    """As in `StepFact`."""
    station_ae: Stated = None
    """As in `StepFact`."""
    station_name: Stated = None
    location: Stated = None
    performing_physician: Stated = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentFact:
    """What was said about an appointment. Without `services`, the service fields given here are the only one.

    Required: event.
    """

    event: Stated = None
    """S12, S13 …"""
    status: Stated = None
    """SCH-25: BOOKED, STARTED, NOSHOW …"""
    placer_number: Stated = None
    """The appointment's own number (SCH-1)."""
    placer_issuer: Stated = None
    filler_number: Stated = None
    """The appointment's own number (SCH-2)."""
    filler_issuer: Stated = None
    order_placer_number: Stated = None
    order_placer_issuer: Stated = None
    order_filler_number: Stated = None
    order_filler_issuer: Stated = None
    reason: Stated = None
    code: Stated = None
    start: Stated = None
    station_ae: Stated = None
    station_name: Stated = None
    location: Stated = None
    performing_physician: Stated = None
    services: tuple[ServiceFact, ...] = ()
    patient: PatientFact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFact:
    """What was said in one row of a report: a line of text, a value, a document or a piece of one, a UID."""

    position: Stated = None
    """Which OBX of the message it is, from 1."""
    value_type: Stated = None
    """OBX-2: TX, FT, ST, CWE, NM, ED, RP …"""
    code: Stated = None
    """OBX-3.1.1: what the row is about; rows with the same code and suffix are one section."""
    suffix: Stated = None
    """OBX-3.1.2: GDT description, IMP impression, REC recommendation, ADT addendum …"""
    name: Stated = None
    sub_id: Stated = None
    value: Stated = None
    """Text, lines parted by LF; for ED the document's data, for RP the pointer."""
    units: Stated = None
    status: Stated = None
    """A word of `ReportFact.status`, WITHDRAWN for a row that is taken back; it outweighs that of the report."""
    data_type: Stated = None
    """For ED: type and subtype of the document, parted by `/`."""
    encoding: Stated = None
    """For ED: A, Hex or Base64."""
    comments: Stated = None
    """Notes on this row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReferenceFact:
    """Which order, or which procedure of it, a report is about."""

    placer_number: Stated = None
    placer_issuer: Stated = None
    filler_number: Stated = None
    filler_issuer: Stated = None
    accession_number: Stated = None
    accession_issuer: Stated = None
    rp_id: Stated = None
    code: Stated = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFact:
    """What was said about one report.

    The order fields given here are one reference, `orders` are further ones.
    Required: patient.
    """

    act: Stated = None
    """What the sender does: RESULT (default), STATUS, ADDENDUM, EDIT, REPLACE or WITHDRAW."""
    status: Stated = None
    """SCHEDULED, DRAFT, PRELIMINARY, FINAL, CORRECTED, CANCELLED, WITHDRAWN, or UNCHANGED: final as it was sent."""
    availability: Stated = None
    """CANCELLED or WITHDRAWN when the document is no longer to be used; outweighs `status`."""
    report_number: Stated = None
    """What the report itself is called; without one, its filler, placer or accession number."""
    report_issuer: Stated = None
    parent_number: Stated = None
    """The report that an addendum is added to, or that a replacement replaces."""
    parent_issuer: Stated = None
    title: Stated = None
    code: Stated = None
    code_system: Stated = None
    issued: Stated = None
    observed: Stated = None
    interpreter: Stated = None
    assistant: Stated = None
    author: Stated = None
    study_uid: Stated = None
    placer_number: Stated = None
    placer_issuer: Stated = None
    filler_number: Stated = None
    filler_issuer: Stated = None
    accession_number: Stated = None
    accession_issuer: Stated = None
    rp_id: Stated = None
    comments: Stated = None
    """Prose beside the results, for senders who put the text there."""
    orders: tuple[OrderReferenceFact, ...] = ()
    results: tuple[ResultFact, ...] = ()
    patient: PatientFact = field(default_factory=PatientFact)


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
