"""What is kept of replaced orders and of appointments: one class per table, as in record.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.core.ids import RowId
from engine.records.state import AppointmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReplacement:
    """An order gave way to another one (ORC-1 RP and RO); n to m."""

    id: RowId
    old_id: RowId
    new_id: RowId
    at: datetime
    cause_id: RowId


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """An appointment as scheduling said it last: for an order that is known, or waiting for one.

    `*_number` and `*_issuer` are what it is called (SCH-1, SCH-2); `content` is what was said, to be applied when the
    order comes.
    """

    id: RowId
    state: AppointmentState
    placer_number: str = ""
    placer_issuer: str = ""
    filler_number: str = ""
    filler_issuer: str = ""
    order_placer_number: str = ""
    order_filler_number: str = ""
    patient_id: RowId | None = None
    patient_number: str = ""
    """An identifier of the patient it names, by which an order without numbers in common finds it."""
    order_id: RowId | None = None
    content: dict[str, Any] = field(default_factory=dict)
    waits_until: datetime | None = None
    """Until when it is applied to an order that comes; None when it does not wait."""
    hold_id: RowId | None = None
    """The hold that says that it waits."""
    changed_at: datetime
    cause_id: RowId
