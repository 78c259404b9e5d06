"""The tables of states and actions, row by row as spec/workflow.md sections 4.1, 4.2 and 6.1 have them."""

from __future__ import annotations

import pytest

from engine.linkage.state_table import (
    ANY,
    CONTROL,
    ORDER_TRANSITIONS,
    STEP_AFTER,
    TERMINAL,
    VISIBLE_STEPS,
    OrderAction,
    order_state,
)
from engine.records.state import OrderState as O
from engine.records.state import StepState as S

PLACE, UPDATE, COMPLETE, START = OrderAction.PLACE, OrderAction.UPDATE, OrderAction.COMPLETE, OrderAction.START
CANCEL, DISCONTINUE, HOLD, RELEASE = (
    OrderAction.CANCEL,
    OrderAction.DISCONTINUE,
    OrderAction.HOLD,
    OrderAction.RELEASE,
)
ACQUIRE = OrderAction.ACQUIRE


@pytest.mark.parametrize(
    ("control", "statuses", "action"),
    [
        ("NW", ("", "SC", "IP", "HD"), PLACE),
        ("XO", ("", "SC", "IP"), UPDATE),
        ("XX", ("", "SC", "IP"), UPDATE),
        ("XO", ("CM",), COMPLETE),
        ("XX", ("CM",), COMPLETE),
        ("SC", ("IP", "A"), START),
        ("SC", ("CM",), COMPLETE),
        ("CA", ("", "CA"), CANCEL),
        ("OC", ("", "CA"), CANCEL),
        ("DC", ("", "CA", "DC"), DISCONTINUE),
        ("OD", ("", "DC"), DISCONTINUE),
        ("HD", ("", "HD"), HOLD),
        ("OH", ("", "HD"), HOLD),
        ("RL", (ANY,), RELEASE),
        ("OE", (ANY,), RELEASE),
        ("RP", (ANY,), OrderAction.REPLACE),
        ("RU", (ANY,), OrderAction.REPLACE),
        ("RO", (ANY,), OrderAction.PLACE_REPLACEMENT),
        ("PA", (ANY,), OrderAction.PARENT),
        ("CH", (ANY,), OrderAction.PLACE_CHILD),
        ("SN", (ANY,), PLACE),
        ("NA", (ANY,), OrderAction.ASSIGN_NUMBERS),
        ("SS", (ANY,), OrderAction.TELL_STATUS),
    ],
)
def test_control_and_status_mean_an_action(control: str, statuses: tuple[str, ...], action: OrderAction) -> None:
    assert [CONTROL[control, status] for status in statuses] == [action] * len(statuses)


def test_no_other_control_code_is_taken() -> None:
    assert {control for control, _ in CONTROL} == {
        "NW", "XO", "XX", "SC", "CA", "OC", "DC", "OD", "HD", "OH", "RL", "OE", "RP", "RU", "RO", "PA", "CH", "SN",
        "NA", "SS",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (O.SCHEDULED, START, O.IN_PROGRESS),
        (O.PLACED, START, O.IN_PROGRESS),
        (O.IN_PROGRESS, ACQUIRE, O.ACQUIRED),
        (O.PLACED, HOLD, O.HELD),
        (O.SCHEDULED, HOLD, O.HELD),
        (O.HELD, RELEASE, O.SCHEDULED),
        (O.PLACED, CANCEL, O.CANCELLED),
        (O.SCHEDULED, CANCEL, O.CANCELLED),
        (O.HELD, CANCEL, O.CANCELLED),
        (O.IN_PROGRESS, DISCONTINUE, O.DISCONTINUED),
        (O.SCHEDULED, DISCONTINUE, O.DISCONTINUED),
    ],
)
def test_orders_move_as_the_table_says(before: O, action: OrderAction, after: O) -> None:
    assert ORDER_TRANSITIONS[before, action] is after


@pytest.mark.parametrize("state", sorted(set(O) - TERMINAL))
def test_every_order_that_has_not_ended_can_be_completed(state: O) -> None:
    assert ORDER_TRANSITIONS[state, COMPLETE] is O.COMPLETED


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (O.IN_PROGRESS, CANCEL),
        (O.ACQUIRED, CANCEL),
        (O.REPORTED, CANCEL),
        (O.COMPLETED, CANCEL),
        (O.ACQUIRED, DISCONTINUE),
        (O.IN_PROGRESS, HOLD),
        (O.CANCELLED, START),
        (O.CANCELLED, RELEASE),
        (O.HELD, START),
    ],
)
def test_what_needs_a_person_is_not_in_the_table(state: O, action: OrderAction) -> None:
    assert (state, action) not in ORDER_TRANSITIONS


@pytest.mark.parametrize("action", [START, ACQUIRE])
@pytest.mark.parametrize("state", [O.ACQUIRED, O.REPORTED, O.COMPLETED, O.DISCONTINUED])
def test_more_images_never_move_an_order_back(state: O, action: OrderAction) -> None:
    assert ORDER_TRANSITIONS[state, action] is state


def test_repeating_an_action_is_harmless() -> None:
    for (_, action), after in ORDER_TRANSITIONS.items():
        assert ORDER_TRANSITIONS[after, action] is after


@pytest.mark.parametrize(
    ("action", "touched", "untouched", "after"),
    [
        (START, {S.SCHEDULED, S.ARRIVED, S.READY, S.HELD_INCOMPLETE}, {S.HELD, S.COMPLETED}, S.STARTED),
        (ACQUIRE, {S.SCHEDULED, S.ARRIVED, S.READY, S.STARTED}, {S.CANCELLED, S.DISCONTINUED}, S.COMPLETED),
        (COMPLETE, {S.SCHEDULED, S.STARTED, S.HELD}, {S.CANCELLED}, S.COMPLETED),
        (CANCEL, {S.SCHEDULED, S.ARRIVED, S.READY, S.HELD}, {S.STARTED, S.COMPLETED}, S.CANCELLED),
        (DISCONTINUE, {S.SCHEDULED, S.STARTED}, {S.COMPLETED, S.CANCELLED}, S.DISCONTINUED),
        (HOLD, {S.SCHEDULED, S.ARRIVED, S.READY}, {S.STARTED, S.HELD_INCOMPLETE}, S.HELD),
        (RELEASE, {S.HELD}, {S.HELD_INCOMPLETE, S.CANCELLED}, S.SCHEDULED),
    ],
)
def test_steps_move_with_their_order(action: OrderAction, touched: set[S], untouched: set[S], after: S) -> None:
    states, becomes = STEP_AFTER[action]

    assert touched <= states
    assert not untouched & states
    assert becomes is after


def test_only_steps_that_wait_are_on_the_worklist() -> None:
    assert {S.SCHEDULED, S.ARRIVED, S.READY} == VISIBLE_STEPS


@pytest.mark.parametrize(
    ("procedures", "state"),
    [
        ((), O.PLACED),
        ((O.SCHEDULED,), O.SCHEDULED),
        ((O.SCHEDULED, O.IN_PROGRESS), O.SCHEDULED),
        ((O.IN_PROGRESS, O.COMPLETED, O.CANCELLED), O.IN_PROGRESS),
        ((O.HELD, O.SCHEDULED), O.HELD),
        ((O.REPORTED, O.ACQUIRED), O.ACQUIRED),
        ((O.CANCELLED, O.COMPLETED), O.COMPLETED),
        ((O.CANCELLED, O.DISCONTINUED), O.DISCONTINUED),
        ((O.REPLACED, O.CANCELLED), O.CANCELLED),
    ],
)
def test_an_orders_state_is_its_least_advanced_open_procedure(procedures: tuple[O, ...], state: O) -> None:
    assert order_state(procedures) is state
    assert order_state(reversed(procedures)) is state
