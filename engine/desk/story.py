"""The story of an order as a radiographer would tell it: what happened when, why, and who was told.

Entries are for reading; the JSON API gives the events themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from engine.core.ids import RowId
from engine.records.record import Event, Hold, Study
from engine.records.state import Danger, DeliveryState, HoldState, StepState
from engine.store.timeline import OrderFile
from engine.store.traffic import MessageHead, NoticeHead

Tone = Literal["plain", "good", "warn", "bad"]

_TITLES = {
    "order.placed": "Order placed",
    "order.updated": "Order changed",
    "order.started": "Examination started",
    "order.acquired": "Images acquired",
    "order.completed": "Order completed",
    "order.cancelled": "Order cancelled",
    "order.discontinued": "Examination discontinued",
    "order.held": "Order put on hold by the sender",
    "order.released": "Order released by the sender",
    "order.replaced": "Order replaced by another one",
    "appointment.booked": "Appointment",
    "appointment.cancelled": "Appointment cancelled",
    "appointment.missed": "Patient did not come",
    "order.patient_changed": "Patient changed",
    "step.listed": "On the worklist",
    "step.arrived": "Patient arrived",
    "step.arrival_cancelled": "Patient did not arrive after all",
    "study.received": "First images arrived",
    "study.linked": "Images linked to this order",
    "study.unlinked": "Images unlinked from this order",
    "study.completed": "Study complete",
    "study.completed_on_hold": "Study complete, but nobody was told",
    "study.completed_unlinked": "Study complete, no order fits yet",
    "study.reopened": "More images arrived",
    "order.reported": "Preliminary report",
    "report.received": "Report arrived",
    "report.linked": "Report linked to this order",
    "report.orphaned": "Report waits for its order",
    "report.preliminary": "Report is preliminary",
    "report.final": "Report is final",
    "report.corrected": "Report corrected",
    "report.addended": "Addendum to the report",
    "report.withdrawn": "Report withdrawn",
    "report.cancelled": "No report will come",
    "report.images_after_final": "More images after the final report",
    "hold.raised": "A person must decide",
    "hold.resolved": "Decided",
    "notice.dead_lettered": "A notice was given up",
}
_MATTERS = {
    "study.completed": "study complete",
    "order.placed": "order placed",
    "order.started": "examination started",
    "order.acquired": "images acquired",
    "order.cancelled": "order cancelled",
    "message": "message passed on",
}
_OPEN = (DeliveryState.READY, DeliveryState.RETRY, DeliveryState.SENT)


class Stage(StrEnum):
    """How far one stage of an order's way has come."""

    DONE = "done"
    NOW = "now"
    STUCK = "stuck"
    TO_COME = "to come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One stage of the way from order to report."""

    name: str
    stage: Stage
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: datetime
    kind: str
    """order, worklist, image, report, link, notice or hold: which sign stands beside it."""
    tone: Tone
    title: str
    text: str = ""
    name: str = ""
    """The event's own name."""
    message_id: RowId | None = None
    message: str = ""
    """The message that made it happen, in words."""
    notice_id: RowId | None = None


def story_of(of: OrderFile) -> list[Entry]:
    """Return what happened to an order, the oldest first."""
    messages = {message.id: message for message in of.messages}
    studies = {study.id: study for study in of.studies}
    holds = list(of.holds)
    entries = [_entry(event, messages, studies, holds) for event in of.events]
    entries.extend(_told(notice) for notice in of.notices)
    return sorted(entries, key=lambda entry: entry.at)


def _entry(
    event: Event, messages: Mapping[RowId, MessageHead], studies: Mapping[RowId, Study], holds: list[Hold]
) -> Entry:
    title = _TITLES.get(event.name) or event.name.replace(".", " ").replace("_", " ").capitalize()
    text, tone = event.detail, _tone(event.name)
    study = studies.get(event.study_id) if event.study_id is not None else None
    match event.name:
        case "step.listed" if text.startswith("shown to "):
            title, text = f"Worklist shown to {text.removeprefix('shown to ')}", ""
        case "study.received" if study is not None:
            by = f" from {study.source_ae}" if study.source_ae else ""
            text = f"{'/'.join(study.modalities) or 'Images'}{by}"
        case "study.linked" | "report.linked":
            rule, _, reason = text.partition(": ")
            text = f"because {reason} · rule {rule}" if reason else text
        case "study.completed" if study is not None:
            text = f"{counted(study.series_count, 'series', 'series')}, {counted(study.instance_count, 'image')}" + (
                f" · {event.detail}" if event.detail else ""
            )
        case "hold.raised":
            text = text.partition(": ")[2] or text
            tone = _danger(event, holds)
    message = messages.get(event.cause_id) if event.cause_kind == "message" else None
    return Entry(
        at=event.at,
        kind=_kind(event.name),
        tone=tone,
        title=title,
        text=text,
        name=event.name,
        message_id=message.id if message else None,
        message=f"{message.message_type or message.kind} from {message.sender or message.listener}" if message else "",
    )


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 image, 2 images."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _kind(name: str) -> str:
    if name in {"study.linked", "study.unlinked", "report.linked"}:
        return "link"
    noun = name.partition(".")[0]
    signs = {"step": "worklist", "study": "image", "report": "report", "hold": "hold", "notice": "notice"}
    return signs.get(noun, "order")


def _tone(name: str) -> Tone:
    if name in {"study.linked", "study.completed", "hold.resolved", "report.linked", "report.final"}:
        return "good"
    if name in {
        "order.cancelled",
        "order.discontinued",
        "study.completed_on_hold",
        "order.held",
        "study.unlinked",
        "report.withdrawn",
        "report.images_after_final",
    }:
        return "warn"
    return "bad" if name == "notice.dead_lettered" else "plain"


def _danger(event: Event, holds: list[Hold]) -> Tone:
    """The hold and its event are made in the same act: same cause, and the detail repeats its reason."""
    for hold in holds:
        if hold.cause_id == event.cause_id and event.detail == f"{hold.code}: {hold.reason}":
            return "bad" if hold.danger is Danger.RED else "warn"
    return "warn"


def _told(notice: NoticeHead) -> Entry:
    matter = _MATTERS.get(notice.event_name, notice.event_name)
    to = notice.destination.upper()
    attempts = counted(notice.attempts, "attempt")
    answer = f"{notice.answer_code} {notice.answer_text}".strip()
    match notice.state:
        case DeliveryState.DELIVERED:
            title, tone = f"{to} told: {matter}", "good"
            text = f"answered {answer}" + (f" · {attempts}" if notice.attempts > 1 else "")
        case DeliveryState.DEAD:
            title, tone = f"{to} was not told: {matter}", "bad"
            text = f"given up after {attempts} · last answer {answer or 'none'}"
        case _:
            title, tone = f"{to} is to be told: {matter}", "warn"
            text = "waiting" if not notice.attempts else f"waiting · {attempts} · last answer {answer or 'none'}"
    return Entry(
        at=notice.last_tried_at or notice.created_at,
        kind="notice",
        tone=tone,  # type: ignore[arg-type]  # one of the literals above
        title=title,
        text=text,
        name=notice.event_name,
        notice_id=notice.id,
    )


def milestones_of(of: OrderFile) -> list[Milestone]:
    """Return how far an order has come on its way from request to report."""
    return [
        Milestone(name="Ordered", stage=Stage.DONE, text=of.order.priority.lower()),
        _on_worklist(of),
        _images(of),
        _linked(of),
        _notified(of),
        _reported(of),
    ]


def _on_worklist(of: OrderFile) -> Milestone:
    shown = [event.detail.removeprefix("shown to ") for event in of.events if event.name == "step.listed"]
    missing = next((step.missing for step in of.steps if step.state is StepState.HELD_INCOMPLETE), "")
    if missing:
        return Milestone(name="Worklist", stage=Stage.STUCK, text=f"lacks its {missing}")
    if shown:
        return Milestone(name="Worklist", stage=Stage.DONE, text="shown to " + ", ".join(dict.fromkeys(shown)))
    stations = "/".join(dict.fromkeys(title for step in of.steps for title in step.station_aes))
    return Milestone(name="Worklist", stage=Stage.NOW, text=f"waits for {stations}" if stations else "not shown yet")


def _images(of: OrderFile) -> Milestone:
    count = sum(study.instance_count for study in of.studies)
    if not count:
        return Milestone(name="Images", stage=Stage.TO_COME, text="none yet")
    is_complete = all(study.state.is_complete for study in of.studies)
    text = counted(count, "image") + ("" if is_complete else ", still coming")
    return Milestone(name="Images", stage=Stage.DONE if is_complete else Stage.NOW, text=text)


def _linked(of: OrderFile) -> Milestone:
    if of.links:
        return Milestone(name="Linked", stage=Stage.DONE, text=f"rule {of.links[0].rule}")
    if any(hold.state is HoldState.OPEN and hold.study_id is not None for hold in of.holds):
        return Milestone(name="Linked", stage=Stage.STUCK, text="a person must decide")
    return Milestone(name="Linked", stage=Stage.TO_COME, text="no images to link")


def _reported(of: OrderFile) -> Milestone:
    reports = [each.report for each in of.reports]
    if not reports:
        return Milestone(name="Reported", stage=Stage.TO_COME, text="no report yet")
    final = [report for report in reports if report.state.is_final]
    if any(report.newer_images_at is not None for report in final):
        return Milestone(name="Reported", stage=Stage.NOW, text="more images since")
    if final:
        return Milestone(name="Reported", stage=Stage.DONE, text=final[-1].state.value.lower())
    latest = reports[-1].state
    stage = Stage.STUCK if latest.is_void else Stage.NOW
    return Milestone(name="Reported", stage=stage, text=latest.value.lower())


def _notified(of: OrderFile) -> Milestone:
    notices = of.notices
    to = ", ".join(dict.fromkeys(notice.destination.upper() for notice in notices)) or "RIS"
    name = f"{to} told"
    if any(notice.state is DeliveryState.DEAD for notice in notices):
        return Milestone(name=name, stage=Stage.STUCK, text="given up")
    waiting = [notice for notice in notices if notice.state in _OPEN]
    if waiting:
        tried = max(notice.attempts for notice in waiting)
        text = f"waiting, {counted(tried, 'attempt')}" if tried else "waiting"
        return Milestone(name=name, stage=Stage.NOW, text=text)
    if notices:
        return Milestone(name=name, stage=Stage.DONE, text=notices[-1].answer_code)
    return Milestone(name=name, stage=Stage.TO_COME, text="nothing to tell yet")
