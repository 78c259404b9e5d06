"""What is kept of reports: one class per table, as in record.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.core.ids import BlobKey, RowId
from engine.records.state import ReportState


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it stands: its current version. What it is called and refers to lives in `ReportIdentifier`.

    `said_*` is how the report describes its patient, as received: the evidence for a later match.
    """

    id: RowId
    state: ReportState
    version: int
    """Number of the current version; a late one may have a higher number."""
    title: str = ""
    code: str = ""
    code_system: str = ""
    issued: str = ""
    """When the current version was issued, as the sender says it: a DICOM DT value."""
    patient_id: RowId | None = None
    """Whose it is, once that is decided."""
    said_name: str = ""
    said_birth_date: str = ""
    said_sex: str = ""
    sender: str = ""
    parent_missing: bool = False
    """An addendum to a report that never came is all there is."""
    newer_images_at: datetime | None = None
    """When images arrived that a final version cannot have seen."""
    received_at: datetime
    changed_at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportVersion:
    """One form of a report as a message gave it; never changed, never removed."""

    id: RowId
    report_id: RowId
    number: int
    state: ReportState
    text: str = ""
    """What a reader sees, line by line."""
    content: dict[str, Any] = field(default_factory=dict)
    """`results`: the rows it is made of; `withdrawn`: rows that the sender took back with this version."""
    is_late: bool = False
    """It came after what it precedes, and never was the current one."""
    issued: str = ""
    observed: str = ""
    """When the examination was, as the sender says it."""
    interpreter: str = ""
    assistant: str = ""
    author: str = ""
    """Who typed or entered it."""
    at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAttachment:
    """A document inside a version: its bytes are the blob; or a pointer to one elsewhere, which is never fetched."""

    id: RowId
    report_id: RowId
    version_id: RowId
    position: int
    """Counted from 1 within the version."""
    title: str = ""
    media_type: str = ""
    said_type: str = ""
    """Type, subtype and encoding as the sender wrote them."""
    pointer: str = ""
    blob: BlobKey
    """Empty for a pointer."""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportIdentifier:
    """A number that names a report, or that it refers to.

    `kind` report names it (unique with value and issuer), addendum names a document that was added to it; filler,
    accession, placer, study, series, instance and patient are what it refers to.
    """

    id: RowId
    report_id: RowId
    kind: str
    value: str
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLink:
    """A report is about a requested procedure, or about a study without one: by which rule, by whom, undone when."""

    id: RowId
    report_id: RowId
    procedure_id: RowId | None = None
    study_id: RowId | None = None
    rule: str
    """R1 to R4: filler number, accession number, Study Instance UID, placer number."""
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)
    linked_by: str = "engine"
    at: datetime
    undone_at: datetime | None = None
    cause_id: RowId
