"""What a decision amounts to: records to write, events, holds, and words for the sender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.core.ids import RowId
from engine.records.record import Event, Hold, Record
from engine.records.state import Danger


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Why something is being decided: by which row, when, and where new row ids come from."""

    now: datetime
    cause_kind: str
    cause_id: RowId
    new_id: Callable[[], RowId]


@dataclass(slots=True)
class Change:
    """Collects a decision. Records made or altered twice are written once, in their last form."""

    act: Act
    new: dict[RowId, Record] = field(default_factory=dict)
    changed: dict[RowId, Record] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Warnings the sender is told beside its AA."""
    declined: bool = False
    """What was asked for was not done; a person decides."""

    def create(self, record: Record) -> None:
        """Write a record that was not there."""
        self.new[record.id] = record

    def alter(self, record: Record) -> None:
        """Write a record that was there in its new form."""
        if record.id in self.new:
            self.new[record.id] = record
        else:
            self.changed[record.id] = record

    def take(self, trial: Change) -> None:
        """Make another decision part of this one."""
        for record in trial.new.values():
            self.create(record)
        for record in trial.changed.values():
            self.alter(record)
        self.events.extend(trial.events)
        self.holds.extend(trial.holds)
        self.notes.extend(trial.notes)
        self.declined = self.declined or trial.declined

    def event(self, name: str, detail: str = "", **refs: RowId | None) -> Event:
        """Say that something happened.

        `refs` are `patient_id`, `order_id`, `procedure_id`, `step_id`, `study_id` and `report_id`.
        """
        act = self.act
        happened = Event(
            id=act.new_id(),
            name=name,
            at=act.now,
            detail=detail,
            cause_kind=act.cause_kind,
            cause_id=act.cause_id,
            **refs,
        )
        self.events.append(happened)
        return happened

    def hold(
        self,
        code: str,
        danger: Danger,
        reason: str,
        evidence: dict[str, Any] | None = None,
        *,
        patient_id: RowId | None = None,
        order_id: RowId | None = None,
        step_id: RowId | None = None,
        study_id: RowId | None = None,
        report_id: RowId | None = None,
    ) -> Hold:
        """Ask a person to decide; the event `hold.raised` goes with it."""
        act = self.act
        raised = Hold(
            id=act.new_id(),
            code=code,
            danger=danger,
            reason=reason,
            evidence=evidence or {},
            raised_at=act.now,
            cause_id=act.cause_id,
            message_id=act.cause_id if act.cause_kind == "message" else None,
            patient_id=patient_id,
            order_id=order_id,
            step_id=step_id,
            study_id=study_id,
            report_id=report_id,
        )
        self.create(raised)
        self.holds.append(raised)
        self.event(
            "hold.raised",
            f"{code}: {reason}",
            patient_id=patient_id,
            order_id=order_id,
            step_id=step_id,
            study_id=study_id,
            report_id=report_id,
        )
        return raised
