"""How an order's events become a story that a radiographer understands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.core.ids import RowId
from engine.desk import view
from engine.desk.advice import advice_for
from engine.desk.moment import iso, iso_of_dicom
from engine.desk.story import Stage, milestones_of, story_of
from engine.records.record import Event, Hold, ImagingOrder, Link, RequestedProcedure, ScheduledStep, Study
from engine.records.state import Danger, DeliveryState, HoldState, OrderState, StepState, StudyState
from engine.store.timeline import OrderFile
from engine.store.traffic import NoticeHead

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ORDER = ImagingOrder(id=RowId(1), patient_id=RowId(2), state=OrderState.SCHEDULED, placed_at=NOW, cause_id=RowId(9))
STEP = ScheduledStep(
    id=RowId(4),
    procedure_id=RowId(3),
    sps_id="S1",
    state=StepState.SCHEDULED,
    station_aes=("CT1", "CT2"),
    cause_id=RowId(9),
)
STUDY = Study(
    id=RowId(5),
    study_uid="1.2",
    state=StudyState.RECEIVING,
    instance_count=3,
    series_count=1,
    first_received_at=NOW,
    last_received_at=NOW,
    cause_id=RowId(9),
)
LINK = Link(
    id=RowId(6),
    procedure_id=RowId(3),
    study_id=RowId(5),
    rule="B1",
    reason="the UID is the one ordered",
    at=NOW,
    cause_id=RowId(9),
)
HOLD = Hold(
    id=RowId(7),
    code="patient_conflict",
    danger=Danger.RED,
    reason="names differ",
    order_id=RowId(1),
    study_id=RowId(5),
    raised_at=NOW,
    cause_id=RowId(9),
)


def file_of(**parts: object) -> OrderFile:
    nothing = OrderFile(
        order=ORDER,
        identifiers=(),
        patient=None,
        procedures=(
            RequestedProcedure(
                id=RowId(3),
                order_id=RowId(1),
                rp_id="R1",
                study_uid="1.2",
                state=OrderState.SCHEDULED,
                cause_id=RowId(9),
            ),
        ),
        steps=(STEP,),
        links=(),
        studies=(),
        holds=(),
        events=(),
        notices=(),
        messages=(),
    )
    return replace(nothing, **parts)  # type: ignore[arg-type]


def event(name: str, detail: str = "", **refs: RowId) -> Event:
    return Event(id=RowId(20), name=name, at=NOW, detail=detail, cause_kind="timer", cause_id=RowId(9), **refs)


def notice(state: DeliveryState, attempts: int = 1, answer: str = "", text: str = "") -> NoticeHead:
    return NoticeHead(
        id=RowId(30),
        route="r",
        kind="mllp",
        destination="ris",
        control_id="C",
        state=state,
        attempts=attempts,
        created_at=NOW,
        due_at=NOW,
        first_tried_at=NOW if attempts else None,
        last_tried_at=NOW + timedelta(minutes=1) if attempts else None,
        answer_code=answer,
        answer_text=text,
        event_id=None,
        order_id=RowId(1),
        study_id=None,
        event_name="study.completed",
    )


@pytest.mark.parametrize(
    ("happened", "title", "text", "tone"),
    [
        (event("step.listed", "shown to CT1"), "Worklist shown to CT1", "", "plain"),
        (event("study.linked", "B1: it fits"), "Images linked to this order", "because it fits · rule B1", "good"),
        (event("study.completed", study_id=RowId(5)), "Study complete", "1 series, 3 images", "good"),
        (event("hold.raised", "patient_conflict: names differ"), "A person must decide", "names differ", "bad"),
        (event("hold.raised", "other: of another act"), "A person must decide", "of another act", "warn"),
        (event("order.cancelled"), "Order cancelled", "", "warn"),
        (event("step.started_over", "by hand"), "Step started over", "by hand", "plain"),
    ],
)
def test_an_event_is_told_in_words(happened: Event, title: str, text: str, tone: str) -> None:
    (entry,) = story_of(file_of(events=(happened,), studies=(STUDY,), holds=(HOLD,)))

    assert (entry.title, entry.text, entry.tone) == (title, text, tone)


@pytest.mark.parametrize(
    ("sent", "title", "text"),
    [
        (notice(DeliveryState.READY, 0), "RIS is to be told: study complete", "waiting"),
        (
            notice(DeliveryState.RETRY, 2, "", "no connection"),
            "RIS is to be told: study complete",
            "waiting · 2 attempts · last answer no connection",
        ),
        (notice(DeliveryState.DELIVERED, 1, "AA"), "RIS told: study complete", "answered AA"),
        (notice(DeliveryState.DELIVERED, 3, "AA"), "RIS told: study complete", "answered AA · 3 attempts"),
        (
            notice(DeliveryState.DEAD, 1, "AE", "unknown"),
            "RIS was not told: study complete",
            "given up after 1 attempt · last answer AE unknown",
        ),
    ],
)
def test_a_notice_is_told_with_its_answer(sent: NoticeHead, title: str, text: str) -> None:
    (entry,) = story_of(file_of(notices=(sent,)))

    assert (entry.title, entry.text) == (title, text)
    assert entry.at == (sent.last_tried_at or sent.created_at)


def stages(of: OrderFile) -> list[tuple[str, str]]:
    return [(each.stage.value, each.text) for each in milestones_of(of)]


def test_the_way_of_a_new_order_is_still_to_come() -> None:
    assert stages(file_of()) == [
        ("done", "routine"),
        ("now", "waits for CT1/CT2"),
        ("to come", "none yet"),
        ("to come", "no images to link"),
        ("to come", "nothing to tell yet"),
        ("to come", "no report yet"),
    ]


def test_the_way_shows_where_it_is_stuck() -> None:
    incomplete = replace(STEP, state=StepState.HELD_INCOMPLETE, missing="modality")
    stuck = file_of(steps=(incomplete,), studies=(STUDY,), holds=(HOLD,), notices=(notice(DeliveryState.DEAD),))

    assert stages(stuck)[1:5] == [
        ("stuck", "lacks its modality"),
        ("now", "3 images, still coming"),
        ("stuck", "a person must decide"),
        ("stuck", "given up"),
    ]


def test_the_way_is_done_when_the_ris_said_yes() -> None:
    done = file_of(
        events=(event("step.listed", "shown to CT1"),),
        studies=(replace(STUDY, state=StudyState.COMPLETE_ASSUMED),),
        links=(LINK,),
        notices=(notice(DeliveryState.DELIVERED, 1, "AA"),),
    )

    assert [each.stage for each in milestones_of(done)[:5]] == [Stage.DONE] * 5
    assert stages(file_of(notices=(notice(DeliveryState.RETRY, 2),)))[4] == ("now", "waiting, 2 attempts")


@pytest.mark.parametrize(
    ("hold", "is_linked", "state"),
    [
        (HOLD, False, "HELD"),
        (HOLD, True, "RECEIVING"),
        (replace(HOLD, danger=Danger.AMBER), False, "HELD"),
        (replace(HOLD, danger=Danger.YELLOW), False, "RECEIVING"),
        (replace(HOLD, state=HoldState.RESOLVED), False, "RECEIVING"),
        (replace(HOLD, study_id=RowId(99)), False, "RECEIVING"),
    ],
)
def test_a_study_is_held_while_a_grave_hold_is_open_and_nothing_is_linked(
    hold: Hold, is_linked: bool, state: str
) -> None:
    assert view.study_state(STUDY, [hold], is_linked=is_linked) == state


def test_every_hold_has_advice() -> None:
    assert "registration" in advice_for("patient_conflict", Danger.RED)
    assert "department" in advice_for("order_cancel_after_acquired", Danger.AMBER)
    assert "wrong patient" in advice_for("something_new", Danger.RED)


def test_times_are_told_in_utc() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    assert iso(NOW) == "2026-03-02T08:00:00Z"
    assert iso(NOW.astimezone(berlin) + timedelta(milliseconds=120)) == "2026-03-02T08:00:00.120Z"
    assert iso(None) is None
    assert iso_of_dicom("20260302093000.25", berlin) == "2026-03-02T08:30:00Z"
    assert iso_of_dicom("202607020930", berlin) == "2026-07-02T07:30:00Z"
    assert iso_of_dicom("20260302", berlin) == "2026-03-02"
    assert iso_of_dicom("", berlin) is None
    assert iso_of_dicom("20261399", berlin) == "20261399"
    assert iso_of_dicom("soon", berlin) == "soon"
