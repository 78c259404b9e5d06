"""States of reports, row by row as spec/workflow.md section 4.5 has them."""

from __future__ import annotations

from itertools import product

import pytest

from engine.linkage.report_link import report_action
from engine.linkage.report_state import EVENTS, is_late, stated_state
from engine.linkage.result import Row
from engine.linkage.state_table import ORDER_TRANSITIONS, OrderAction
from engine.records.fact import ReportFact
from engine.records.state import OrderState as O
from engine.records.state import ReportState as S

FINISHED = (S.FINAL, S.CORRECTED, S.ADDENDUM)
UNFINISHED = (S.SCHEDULED, S.DRAFT, S.PRELIMINARY)


def rows(*statuses: str, suffix: str = "GDT") -> tuple[Row, ...]:
    return tuple(Row(text="A", suffix=suffix, status=status) for status in statuses)


@pytest.mark.parametrize("status", ["SCHEDULED", "DRAFT", "PRELIMINARY", "FINAL", "CORRECTED", "CANCELLED"])
def test_the_status_of_the_report_counts_whatever_its_rows_say(status: str) -> None:
    assert stated_state(ReportFact(status=status), rows("PRELIMINARY", "FINAL"), None) is S(status)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (("FINAL", "PRELIMINARY"), S.PRELIMINARY),
        (("FINAL", "DRAFT"), S.DRAFT),
        (("FINAL", "SCHEDULED"), S.SCHEDULED),
        (("FINAL", "CORRECTED"), S.CORRECTED),
        (("FINAL", "UNCHANGED", "WITHDRAWN"), S.FINAL),
        (("CANCELLED",), S.CANCELLED),
        (("", ""), S.DRAFT),
        ((), S.DRAFT),
    ],
)
def test_without_one_the_least_finished_row_counts(statuses: tuple[str, ...], state: S) -> None:
    assert stated_state(ReportFact(), rows(*statuses), None) is state


def test_a_status_message_without_a_status_changes_none() -> None:
    assert stated_state(ReportFact(act="STATUS"), (), S.FINAL) is S.FINAL


def test_confirmed_is_final() -> None:
    assert stated_state(ReportFact(status="UNCHANGED"), (), S.PRELIMINARY) is S.FINAL


@pytest.mark.parametrize("status", ["FINAL", "CORRECTED"])
def test_an_addendum_row_in_a_finished_report_makes_an_addendum(status: str) -> None:
    assert stated_state(ReportFact(status=status), rows("FINAL", suffix="ADT"), None) is S.ADDENDUM


def test_an_addendum_that_nobody_signed_is_none_yet() -> None:
    assert stated_state(ReportFact(status="PRELIMINARY", act="ADDENDUM"), rows("PRELIMINARY"), S.FINAL) is S.PRELIMINARY


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (ReportFact(act="WITHDRAW", status="FINAL"), S.WITHDRAWN),
        (ReportFact(status="FINAL", availability="WITHDRAWN"), S.WITHDRAWN),
        (ReportFact(status="FINAL", availability="CANCELLED"), S.CANCELLED),
        (ReportFact(status="FINAL", act="REPLACE"), S.CORRECTED),
        (ReportFact(status="FINAL", act="ADDENDUM"), S.ADDENDUM),
        (ReportFact(status="PRELIMINARY", act="REPLACE"), S.PRELIMINARY),
    ],
)
def test_what_the_sender_does_to_a_document(said: ReportFact, state: S) -> None:
    assert stated_state(said, (), S.FINAL) is state


@pytest.mark.parametrize(("late", "current"), list(product(UNFINISHED, FINISHED)))
def test_nothing_unfinished_overwrites_what_is_finished(late: S, current: S) -> None:
    assert is_late(late, "20261122", current, "20261121")


@pytest.mark.parametrize(("state", "current"), list(product(FINISHED, (*FINISHED, *UNFINISHED))))
def test_what_is_finished_is_never_late_without_an_issue_time(state: S, current: S) -> None:
    assert not is_late(state, "", current, "20261121")


@pytest.mark.parametrize("state", [S.CANCELLED, S.WITHDRAWN])
def test_taking_back_is_never_late(state: S) -> None:
    assert not is_late(state, "2020", S.FINAL, "2026")


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_void_report_is_not_revived_by_an_unfinished_one(state: S) -> None:
    assert is_late(state, "", S.WITHDRAWN, "")
    assert not is_late(S.FINAL, "", S.WITHDRAWN, "")


@pytest.mark.parametrize(
    ("issued", "before", "late"),
    [
        ("20261121110000", "20261121120000", True),
        ("20261121120000", "20261121120000", False),
        ("20261121", "20261121120000", False),
        ("20261121110000+0100", "20261121120000+0100", True),
        ("20261121110000+0100", "20261121120000", False),
        ("20261121110000-0500", "20261121120000+0100", False),
    ],
)
def test_issue_times_order_versions_where_both_have_one_of_the_same_zone(issued: str, before: str, late: bool) -> None:
    assert is_late(S.FINAL, issued, S.FINAL, before) is late


def test_only_what_somebody_must_know_is_told() -> None:
    assert set(S) - set(EVENTS) == {S.SCHEDULED, S.DRAFT}


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (O.ACQUIRED, OrderAction.REPORT_PRELIMINARY, O.REPORTED),
        (O.REPORTED, OrderAction.REPORT_PRELIMINARY, O.REPORTED),
        (O.COMPLETED, OrderAction.REPORT_PRELIMINARY, O.COMPLETED),
        (O.ACQUIRED, OrderAction.REPORT_FINAL, O.COMPLETED),
        (O.REPORTED, OrderAction.REPORT_FINAL, O.COMPLETED),
        (O.COMPLETED, OrderAction.REPORT_FINAL, O.COMPLETED),
    ],
)
def test_reports_move_orders_as_the_table_says(before: O, action: OrderAction, after: O) -> None:
    assert ORDER_TRANSITIONS[before, action] is after


@pytest.mark.parametrize("action", [OrderAction.REPORT_PRELIMINARY, OrderAction.REPORT_FINAL])
@pytest.mark.parametrize("state", [O.PLACED, O.SCHEDULED, O.HELD, O.IN_PROGRESS, O.DISCONTINUED])
def test_a_report_before_the_images_moves_nothing(state: O, action: OrderAction) -> None:
    assert ORDER_TRANSITIONS[state, action] is state


@pytest.mark.parametrize("state", [O.CANCELLED, O.REPLACED, O.IN_ERROR])
def test_a_report_of_an_ended_order_needs_a_person(state: O) -> None:
    assert (state, OrderAction.REPORT_FINAL) not in ORDER_TRANSITIONS


@pytest.mark.parametrize(
    ("states", "action"),
    [
        ([S.PRELIMINARY, S.FINAL], OrderAction.REPORT_FINAL),
        ([S.ADDENDUM], OrderAction.REPORT_FINAL),
        ([S.DRAFT, S.PRELIMINARY], OrderAction.REPORT_PRELIMINARY),
        ([S.DRAFT, S.WITHDRAWN], None),
        ([], None),
    ],
)
def test_the_furthest_report_of_a_procedure_counts(states: list[S], action: OrderAction | None) -> None:
    assert report_action(states) is action
