"""When a step starts in the site's time, and what a step fact without a list means."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.order import KnownOrder, OrderWorld, apply_order
from engine.linkage.policy import OrderPolicy
from engine.linkage.step import local_start, step_facts
from engine.records.fact import OrderFact, StepFact
from engine.records.record import Patient

BERLIN = OrderPolicy(timezone=ZoneInfo("Europe/Berlin"))
NEW_YORK = OrderPolicy(timezone=ZoneInfo("America/New_York"))
KOLKATA = OrderPolicy(timezone=ZoneInfo("Asia/Kolkata"))
NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "policy", "local"),
    [
        pytest.param("20260302", BERLIN, "20260302", id="a day"),
        pytest.param("20260302+0900", BERLIN, "20260302", id="a day stays that day"),
        pytest.param("20260302-0800", BERLIN, "20260302", id="a day stays that day westwards"),
        pytest.param("2026030214", BERLIN, "2026030214", id="hours"),
        pytest.param("202603021430", BERLIN, "202603021430", id="minutes"),
        pytest.param("20260302143015", BERLIN, "20260302143015", id="no offset is local"),
        pytest.param("20260302143015.1234", BERLIN, "20260302143015", id="fraction"),
        pytest.param("20260302143015+0100", BERLIN, "20260302143015", id="our own offset"),
        pytest.param("20260302143015.5+0000", BERLIN, "20260302153015", id="UTC in winter"),
        pytest.param("20260702143015+0000", BERLIN, "20260702163015", id="UTC in summer"),
        pytest.param("20260302233000-0500", BERLIN, "20260303053000", id="the next day here"),
        pytest.param("20260302010000+0900", NEW_YORK, "20260301110000", id="the day before here"),
        pytest.param("2026030210+0000", KOLKATA, "20260302153000", id="half an hour is not lost"),
        pytest.param("202603021000+0530", BERLIN, "20260302053000", id="from half an hour"),
        pytest.param("20260302235960+0100", BERLIN, "20260302235959", id="leap second"),
        pytest.param("20260329023000", BERLIN, "20260329023000", id="02:30 that does not exist stays as said"),
        pytest.param("20260329003000+0000", BERLIN, "20260329013000", id="before the clock goes forward"),
        pytest.param("20260329013000+0000", BERLIN, "20260329033000", id="after the clock went forward"),
        pytest.param("20260329023000+0100", BERLIN, "20260329033000", id="02:30 by winter's offset"),
        pytest.param("20261025023000+0200", BERLIN, "20261025023000", id="the first 02:30 in autumn"),
        pytest.param("20261025023000+0100", BERLIN, "20261025023000", id="the second 02:30 in autumn"),
        pytest.param("", BERLIN, "", id="nothing"),
        pytest.param("2026", BERLIN, "", id="a year is no day"),
        pytest.param("202603", BERLIN, "", id="a month is no day"),
        pytest.param("2026+0100", BERLIN, "", id="a year with offset"),
        pytest.param("soon", BERLIN, "", id="no date"),
    ],
)
def test_the_start_is_in_the_sites_time(stated: str, policy: OrderPolicy, local: str) -> None:
    assert local_start(stated, policy) == local


@pytest.mark.parametrize("stated", [None, "", "202603"])
def test_a_start_nobody_said_is_now_in_the_sites_time_and_marked(stated: str | None) -> None:
    rows = count(1)
    change = Change(Act(now=NOW, cause_kind="message", cause_id=RowId(99), new_id=lambda: RowId(next(rows))))
    patient = Patient(id=RowId(50), updated_at=NOW, cause_id=RowId(99))

    fact = OrderFact(placer_number="PL1", code="CT", scheduled_start=stated)
    known = apply_order(fact, patient, OrderWorld(), BERLIN, change)

    assert isinstance(known, KnownOrder)
    assert (known.steps[0].start, known.steps[0].start_assumed) == ("20260302003000", True)


def test_a_message_without_a_list_describes_one_step_in_its_own_fields() -> None:
    listed = (StepFact(sps_id="S1"), StepFact(sps_id="S2"))

    assert step_facts(OrderFact(steps=listed, modality="CT")) == listed
    assert step_facts(OrderFact(modality="CT", scheduled_start="20260302", step_description="head")) == (
        StepFact(modality="CT", start="20260302", description="head"),
    )
