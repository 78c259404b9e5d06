"""The state machines of orders and steps, as tables a radiology administrator could read.

Source: spec/workflow.md sections 4.1, 4.2 and 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from engine.records.state import OrderState, StepState

S = OrderState


class OrderAction(StrEnum):
    """What an order message, or an acquisition, asks of an order."""

    PLACE = "place"
    UPDATE = "update"
    COMPLETE = "complete"
    START = "start"
    ACQUIRE = "acquire"
    CANCEL = "cancel"
    DISCONTINUE = "discontinue"
    HOLD = "hold"
    RELEASE = "release"
    REPORT_PRELIMINARY = "report_preliminary"
    REPORT_FINAL = "report_final"
    REPLACE = "replace"
    """The order gives way to the ones that follow in the same message."""
    PLACE_REPLACEMENT = "place_replacement"
    PARENT = "parent"
    """The order has the children that follow in the same message."""
    PLACE_CHILD = "place_child"
    ASSIGN_NUMBERS = "assign_numbers"
    TELL_STATUS = "tell_status"
    PLACE_OR_UPDATE = "place_or_update"
    """Only where a sender means it: place, or change what is there."""
    IGNORE = "ignore"
    """Only where a sender means it: nothing."""


ANY = "*"
"""In place of ORC-5: whatever the status."""

CONTROL: dict[tuple[str, str], OrderAction] = {
    ("NW", ""): OrderAction.PLACE,
    ("NW", "SC"): OrderAction.PLACE,
    ("NW", "IP"): OrderAction.PLACE,
    ("NW", "HD"): OrderAction.PLACE,
    ("XO", ""): OrderAction.UPDATE,
    ("XO", "SC"): OrderAction.UPDATE,
    ("XO", "IP"): OrderAction.UPDATE,
    ("XO", "CM"): OrderAction.COMPLETE,
    ("XX", ""): OrderAction.UPDATE,
    ("XX", "SC"): OrderAction.UPDATE,
    ("XX", "IP"): OrderAction.UPDATE,
    ("XX", "CM"): OrderAction.COMPLETE,
    ("SC", "IP"): OrderAction.START,
    ("SC", "A"): OrderAction.START,
    ("SC", "CM"): OrderAction.COMPLETE,
    ("CA", ""): OrderAction.CANCEL,
    ("CA", "CA"): OrderAction.CANCEL,
    ("OC", ""): OrderAction.CANCEL,
    ("OC", "CA"): OrderAction.CANCEL,
    ("DC", ""): OrderAction.DISCONTINUE,
    ("DC", "CA"): OrderAction.DISCONTINUE,
    ("DC", "DC"): OrderAction.DISCONTINUE,
    ("OD", ""): OrderAction.DISCONTINUE,
    ("OD", "DC"): OrderAction.DISCONTINUE,
    ("HD", ""): OrderAction.HOLD,
    ("HD", "HD"): OrderAction.HOLD,
    ("OH", ""): OrderAction.HOLD,
    ("OH", "HD"): OrderAction.HOLD,
    ("RL", ANY): OrderAction.RELEASE,
    ("OE", ANY): OrderAction.RELEASE,
    ("RP", ANY): OrderAction.REPLACE,
    ("RU", ANY): OrderAction.REPLACE,
    ("RO", ANY): OrderAction.PLACE_REPLACEMENT,
    ("PA", ANY): OrderAction.PARENT,
    ("CH", ANY): OrderAction.PLACE_CHILD,
    ("SN", ANY): OrderAction.PLACE,
    ("NA", ANY): OrderAction.ASSIGN_NUMBERS,
    ("SS", ANY): OrderAction.TELL_STATUS,
}
"""(ORC-1, ORC-5) → action; what is not here is answered AE 103 and changes nothing."""

TERMINAL = frozenset({S.COMPLETED, S.CANCELLED, S.DISCONTINUED, S.REPLACED, S.IN_ERROR})

ORDER_TRANSITIONS: dict[tuple[OrderState, OrderAction], OrderState] = {
    (S.PLACED, OrderAction.START): S.IN_PROGRESS,
    (S.SCHEDULED, OrderAction.START): S.IN_PROGRESS,
    (S.IN_PROGRESS, OrderAction.START): S.IN_PROGRESS,
    (S.ACQUIRED, OrderAction.START): S.ACQUIRED,
    (S.REPORTED, OrderAction.START): S.REPORTED,
    (S.COMPLETED, OrderAction.START): S.COMPLETED,
    (S.DISCONTINUED, OrderAction.START): S.DISCONTINUED,
    (S.IN_PROGRESS, OrderAction.ACQUIRE): S.ACQUIRED,
    (S.ACQUIRED, OrderAction.ACQUIRE): S.ACQUIRED,
    (S.SCHEDULED, OrderAction.ACQUIRE): S.ACQUIRED,
    (S.REPORTED, OrderAction.ACQUIRE): S.REPORTED,
    (S.COMPLETED, OrderAction.ACQUIRE): S.COMPLETED,
    (S.DISCONTINUED, OrderAction.ACQUIRE): S.DISCONTINUED,
    (S.PLACED, OrderAction.CANCEL): S.CANCELLED,
    (S.SCHEDULED, OrderAction.CANCEL): S.CANCELLED,
    (S.HELD, OrderAction.CANCEL): S.CANCELLED,
    (S.CANCELLED, OrderAction.CANCEL): S.CANCELLED,
    (S.PLACED, OrderAction.DISCONTINUE): S.DISCONTINUED,
    (S.SCHEDULED, OrderAction.DISCONTINUE): S.DISCONTINUED,
    (S.HELD, OrderAction.DISCONTINUE): S.DISCONTINUED,
    (S.IN_PROGRESS, OrderAction.DISCONTINUE): S.DISCONTINUED,
    (S.DISCONTINUED, OrderAction.DISCONTINUE): S.DISCONTINUED,
    (S.PLACED, OrderAction.HOLD): S.HELD,
    (S.SCHEDULED, OrderAction.HOLD): S.HELD,
    (S.HELD, OrderAction.HOLD): S.HELD,
    (S.HELD, OrderAction.RELEASE): S.SCHEDULED,
    (S.SCHEDULED, OrderAction.RELEASE): S.SCHEDULED,
    (S.PLACED, OrderAction.COMPLETE): S.COMPLETED,
    (S.SCHEDULED, OrderAction.COMPLETE): S.COMPLETED,
    (S.IN_PROGRESS, OrderAction.COMPLETE): S.COMPLETED,
    (S.ACQUIRED, OrderAction.COMPLETE): S.COMPLETED,
    (S.REPORTED, OrderAction.COMPLETE): S.COMPLETED,
    (S.HELD, OrderAction.COMPLETE): S.COMPLETED,
    (S.COMPLETED, OrderAction.COMPLETE): S.COMPLETED,
    # A report that comes before the images moves nothing yet; it counts once they are acquired.
    (S.PLACED, OrderAction.REPORT_PRELIMINARY): S.PLACED,
    (S.SCHEDULED, OrderAction.REPORT_PRELIMINARY): S.SCHEDULED,
    (S.HELD, OrderAction.REPORT_PRELIMINARY): S.HELD,
    (S.IN_PROGRESS, OrderAction.REPORT_PRELIMINARY): S.IN_PROGRESS,
    (S.ACQUIRED, OrderAction.REPORT_PRELIMINARY): S.REPORTED,
    (S.REPORTED, OrderAction.REPORT_PRELIMINARY): S.REPORTED,
    (S.COMPLETED, OrderAction.REPORT_PRELIMINARY): S.COMPLETED,
    (S.DISCONTINUED, OrderAction.REPORT_PRELIMINARY): S.DISCONTINUED,
    (S.PLACED, OrderAction.REPORT_FINAL): S.PLACED,
    (S.SCHEDULED, OrderAction.REPORT_FINAL): S.SCHEDULED,
    (S.HELD, OrderAction.REPORT_FINAL): S.HELD,
    (S.IN_PROGRESS, OrderAction.REPORT_FINAL): S.IN_PROGRESS,
    (S.ACQUIRED, OrderAction.REPORT_FINAL): S.COMPLETED,
    (S.REPORTED, OrderAction.REPORT_FINAL): S.COMPLETED,
    (S.COMPLETED, OrderAction.REPORT_FINAL): S.COMPLETED,
    (S.DISCONTINUED, OrderAction.REPORT_FINAL): S.DISCONTINUED,
    **{(state, OrderAction.REPLACE): S.REPLACED for state in S if state is not S.IN_ERROR},
}
"""What is not here is not applied: a person decides."""

_NOT_STARTED = frozenset(
    {
        StepState.SCHEDULED,
        StepState.ARRIVED,
        StepState.READY,
        StepState.HELD,
        StepState.HELD_INCOMPLETE,
    }
)

STEP_AFTER: dict[OrderAction, tuple[frozenset[StepState], StepState]] = {
    OrderAction.START: (_NOT_STARTED - {StepState.HELD}, StepState.STARTED),
    OrderAction.ACQUIRE: (_NOT_STARTED | {StepState.STARTED}, StepState.COMPLETED),
    OrderAction.COMPLETE: (_NOT_STARTED | {StepState.STARTED}, StepState.COMPLETED),
    OrderAction.CANCEL: (_NOT_STARTED, StepState.CANCELLED),
    OrderAction.DISCONTINUE: (_NOT_STARTED | {StepState.STARTED}, StepState.DISCONTINUED),
    OrderAction.HOLD: (frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.READY}), StepState.HELD),
    OrderAction.RELEASE: (frozenset({StepState.HELD}), StepState.SCHEDULED),
    OrderAction.REPORT_PRELIMINARY: (frozenset(), StepState.COMPLETED),
    OrderAction.REPORT_FINAL: (frozenset(), StepState.COMPLETED),
    OrderAction.REPLACE: (_NOT_STARTED, StepState.REPLACED),
}
"""action → (step states it touches, the state they take)."""

VISIBLE_STEPS = frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.READY})
"""Step states that the worklist shows by default (spec/worklist.md section 5)."""

_PROGRESS = (
    S.HELD,
    S.PLACED,
    S.SCHEDULED,
    S.IN_PROGRESS,
    S.ACQUIRED,
    S.REPORTED,
    S.IN_ERROR,
    S.REPLACED,
    S.CANCELLED,
    S.DISCONTINUED,
    S.COMPLETED,
)


def order_state(procedures: Iterable[OrderState]) -> OrderState:
    """Return an order's state: that of its least advanced open procedure, else of its most advanced ended one."""
    states = list(procedures)
    still_open = [state for state in states if state not in TERMINAL]
    if still_open:
        return min(still_open, key=_PROGRESS.index)
    return max(states, key=_PROGRESS.index, default=S.PLACED)
