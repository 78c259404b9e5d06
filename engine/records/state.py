"""The states that orders, steps, studies, messages and deliveries can be in.

Source: spec/workflow.md section 4; DICOM (0040,0020) for the first five step states.
"""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    """State of an order and of each of its requested procedures."""

    PLACED = "PLACED"
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    ACQUIRED = "ACQUIRED"
    REPORTED = "REPORTED"
    COMPLETED = "COMPLETED"
    HELD = "HELD"
    CANCELLED = "CANCELLED"
    DISCONTINUED = "DISCONTINUED"
    REPLACED = "REPLACED"
    IN_ERROR = "IN_ERROR"


class StepState(StrEnum):
    """State of a scheduled procedure step; the last six never leave in a worklist answer."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    DEPARTED = "DEPARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELLED = "CANCELLED"
    REPLACED = "REPLACED"
    HELD = "HELD"
    """Its order is on hold."""
    HELD_INCOMPLETE = "HELD_INCOMPLETE"
    """Something a modality needs is missing and cannot be generated."""


class StudyState(StrEnum):
    """State of a study."""

    EXPECTED = "EXPECTED"
    RECEIVING = "RECEIVING"
    COMPLETE_VERIFIED = "COMPLETE_VERIFIED"
    COMPLETE_ASSUMED = "COMPLETE_ASSUMED"
    INCOMPLETE = "INCOMPLETE"
    REJECTED = "REJECTED"
    DELETED = "DELETED"

    @property
    def is_complete(self) -> bool:
        """Whether the RIS has been, or may be, told that the study is complete."""
        return self in (StudyState.COMPLETE_VERIFIED, StudyState.COMPLETE_ASSUMED, StudyState.INCOMPLETE)


class ReportState(StrEnum):
    """State of a report, and of each of its versions (spec/workflow.md section 4.5)."""

    SCHEDULED = "SCHEDULED"
    """Announced, nothing written yet."""
    DRAFT = "DRAFT"
    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"
    ADDENDUM = "ADDENDUM"
    """Final, and something was added."""
    CANCELLED = "CANCELLED"
    WITHDRAWN = "WITHDRAWN"

    @property
    def is_final(self) -> bool:
        """Whether somebody answers for its content."""
        return self in (ReportState.FINAL, ReportState.CORRECTED, ReportState.ADDENDUM)

    @property
    def is_void(self) -> bool:
        """Whether nobody answers for its content any more."""
        return self in (ReportState.CANCELLED, ReportState.WITHDRAWN)


class PatientState(StrEnum):
    """State of a patient record."""

    ACTIVE = "ACTIVE"
    PROVISIONAL = "PROVISIONAL"
    MERGED = "MERGED"


class VisitState(StrEnum):
    """State of a visit."""

    PLANNED = "PLANNED"
    """Announced by a pre-admission."""
    ACTIVE = "ACTIVE"
    DISCHARGED = "DISCHARGED"
    CANCELLED = "CANCELLED"
    MERGED = "MERGED"
    """Its number leads to another visit."""


class AppointmentState(StrEnum):
    """State of an appointment."""

    WAITING = "WAITING"
    """Its order is not known yet."""
    BOOKED = "BOOKED"
    CANCELLED = "CANCELLED"
    MISSED = "MISSED"
    """The patient did not come."""


class MessageState(StrEnum):
    """What became of a received message."""

    APPLIED = "applied"
    HELD = "held"
    FILTERED = "filtered"
    REFUSED = "refused"
    DEAD = "dead"


class DeliveryState(StrEnum):
    """Where an outgoing notice stands."""

    READY = "ready"
    SENT = "sent"
    RETRY = "retry"
    DELIVERED = "delivered"
    DEAD = "dead"


class Danger(StrEnum):
    """Danger class of a hold (spec/reconcile.md section 5.1)."""

    RED = "RED"
    AMBER = "AMBER"
    YELLOW = "YELLOW"


class HoldState(StrEnum):
    """Whether somebody must still look."""

    OPEN = "open"
    RESOLVED = "resolved"
