"""What is kept: one class per table. A field here is a column there, of the same name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.core.ids import BlobKey, RowId
from engine.records.report import Report, ReportAttachment, ReportIdentifier, ReportLink, ReportVersion
from engine.records.schedule import Appointment, OrderReplacement
from engine.records.state import Danger, HoldState, OrderState, PatientState, StepState, StudyState, VisitState


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A person, as registration last described them.

    `name` is a DICOM PN value; `birth_date` is YYYY[MM[DD]]; `sex` is F, M, O or empty.
    """

    id: RowId
    state: PatientState = PatientState.ACTIVE
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    identity_unknown: bool = False
    identity_reliability: str = ""
    """What registration says about how far its own data can be trusted (HL7 table 0445)."""
    merged_into: RowId | None = None
    registered_at: datetime | None = None
    """When registration recorded what it said last, by its own clock; what it recorded earlier changes nothing."""
    updated_at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifier:
    """One (value, issuer) pair; the pair is unique. `issuer` is a key of the issuer table, "" when unknown."""

    id: RowId
    patient_id: RowId
    value: str
    issuer: str
    type_code: str = ""
    is_primary: bool = False
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stay or contact; (number, issuer) is unique.

    `admitted` and `discharged` are times as registration said them (HL7 TS), "" when it did not.
    """

    id: RowId
    patient_id: RowId
    number: str
    issuer: str
    state: VisitState = VisitState.ACTIVE
    class_code: str = ""
    location: str = ""
    attending: str = ""
    admitted: str = ""
    discharged: str = ""
    merged_into: RowId | None = None
    registered_at: datetime | None = None
    """As of a patient, for what is said about the visit."""
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientMerge:
    """What was led from one patient to another, and every row that went with it: enough to lead it back.

    `kind`: `record`, a whole patient; `identifier`, a number that is history now and has a record of its own;
    `visit`, a visit with its orders. `moved` lists rows by table.
    """

    id: RowId
    kind: str
    survivor_id: RowId
    subsumed_id: RowId
    moved: dict[str, Any] = field(default_factory=dict)
    at: datetime
    undone_at: datetime | None = None
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingOrder:
    """An imaging service request. Business numbers live in `OrderIdentifier`; the accession is repeated for reading."""

    id: RowId
    patient_id: RowId
    state: OrderState
    accession_number: str = ""
    accession_issuer: str = ""
    placer_number: str = ""
    filler_number: str = ""
    priority: str = "ROUTINE"
    """DICOM (0040,1003): STAT, HIGH, ROUTINE, MEDIUM, LOW."""
    requesting_physician: str = ""
    referring_physician: str = ""
    requesting_service: str = ""
    reason: str = ""
    comments: str = ""
    admission_id: str = ""
    patient_location: str = ""
    clinical: dict[str, Any] = field(default_factory=dict)
    """What a modality must know of the patient: weight_kg, allergies … (`ClinicalFact`)."""
    placed_at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIdentifier:
    """A business number of an order; `kind` is placer, filler or accession. (kind, value, issuer) is unique."""

    id: RowId
    order_id: RowId
    kind: str
    value: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedProcedure:
    """The unit that has a Study Instance UID and normally a report."""

    id: RowId
    order_id: RowId
    rp_id: str
    study_uid: str
    study_uid_derived: bool = False
    state: OrderState
    code: str = ""
    code_system: str = ""
    description: str = ""
    reason: str = ""
    placer_number: str = ""
    """Under which it was ordered; procedures of one order may differ."""
    filler_number: str = ""
    comments: str = ""
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledStep:
    """One line of a modality's worklist.

    `start` is a DICOM DT value in the site's local time, of any precision from a day on.
    """

    id: RowId
    procedure_id: RowId
    sps_id: str
    state: StepState
    modality: str = ""
    station_aes: tuple[str, ...] = ()
    station_name: str = ""
    location: str = ""
    start: str = ""
    start_assumed: bool = False
    description: str = ""
    protocol_code: str = ""
    protocol_system: str = ""
    protocol_text: str = ""
    performing_physician: str = ""
    missing: str = ""
    """What a modality needs and nobody said, in words; "" when complete."""
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as its images describe it; corrections are overlays, never written here.

    `dicom_*` fields are the evidence the images carry, as received.
    """

    id: RowId
    study_uid: str
    state: StudyState
    patient_id: RowId | None = None
    dicom_patient_id: str = ""
    dicom_issuer: str = ""
    dicom_name: str = ""
    dicom_birth_date: str = ""
    dicom_sex: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    dicom_study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    source_ae: str = ""
    series_count: int = 0
    instance_count: int = 0
    first_received_at: datetime
    last_received_at: datetime
    quiet_due_at: datetime | None = None
    """When the quiet timer fires; None when the study is not receiving."""
    completed_at: datetime | None = None
    completions: int = 0
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series of a study."""

    id: RowId
    study_id: RowId
    series_uid: str
    modality: str = ""
    number: str = ""
    description: str = ""
    instance_count: int = 0
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A stored SOP instance; its bytes are the blob `blob`."""

    id: RowId
    series_id: RowId
    study_id: RowId
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    number: str = ""
    blob: BlobKey
    size_bytes: int
    served: bool = True
    """False for a copy that was set aside (duplicate with other content)."""
    received_at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A study belongs to a requested procedure: by which rule, on what evidence, by whom, undone when."""

    id: RowId
    procedure_id: RowId
    study_id: RowId
    rule: str
    """B1, B3 … of spec/reconcile.md section 5."""
    reason: str
    """The evidence as a sentence."""
    evidence: dict[str, Any] = field(default_factory=dict)
    linked_by: str = "engine"
    at: datetime
    undone_at: datetime | None = None
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something a person must decide. `code` is stable, `reason` is for reading, `evidence` is what was compared."""

    id: RowId
    code: str
    danger: Danger
    state: HoldState = HoldState.OPEN
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    patient_id: RowId | None = None
    order_id: RowId | None = None
    step_id: RowId | None = None
    study_id: RowId | None = None
    report_id: RowId | None = None
    message_id: RowId | None = None
    raised_at: datetime
    resolved_at: datetime | None = None
    resolution: str = ""
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, named `noun.verb_past`: `order.placed`, `study.linked`, `hold.raised`.

    Cause: the row that made it (`cause_kind` message, instance, timer or person; `cause_id` its row).
    """

    id: RowId
    name: str
    at: datetime
    patient_id: RowId | None = None
    order_id: RowId | None = None
    procedure_id: RowId | None = None
    step_id: RowId | None = None
    study_id: RowId | None = None
    report_id: RowId | None = None
    detail: str = ""
    cause_kind: str
    cause_id: RowId


Record = (
    Patient
    | PatientIdentifier
    | Visit
    | PatientMerge
    | ImagingOrder
    | OrderIdentifier
    | OrderReplacement
    | Appointment
    | RequestedProcedure
    | ScheduledStep
    | Study
    | Series
    | Instance
    | Link
    | Report
    | ReportVersion
    | ReportAttachment
    | ReportIdentifier
    | ReportLink
    | Hold
    | Event
)
