"""The ways of a sender of orders and appointments: what its order control codes mean, and how it is answered.

They stand in the route, for all of its senders, and under `senders:` for one of them (`MSH-3/MSH-4`):

    route: orders-from-his
    answers: order
    control: {XO/CA: cancel, SC/CA: cancel}        # cancelled by ORC-5 only
    senders:
      RIS/RAD: {control: {NW/*: place-or-update}}  # NW for every change

Source: spec/workflow.md section 6.1, spec/hl7.md section 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.linkage.control import Controls
from engine.linkage.state_table import OrderAction

Answers = Literal["ack", "asked", "order"]
Meaning = Literal[
    "place",
    "update",
    "place-or-update",
    "complete",
    "start",
    "cancel",
    "discontinue",
    "hold",
    "release",
    "assign-numbers",
    "tell-status",
    "ignore",
]
Pair = Annotated[str, Field(pattern=r"^[A-Z]{2}(/([A-Z]{1,2}|\*))?$")]


class SenderWays(BaseModel):
    """What a route, or one sender of a route, may say about orders and appointments."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    control: dict[Pair, Meaning] = Field(default_factory=dict)
    """`ORC-1/ORC-5` → what it means, where that differs from the table; `NW` for an empty ORC-5, `NW/*` for every one.

    `place-or-update` places an order or changes it, and opens a cancelled one again; `ignore` does nothing.
    """
    answers: Answers | None = None
    """`ack` answers orders with plain ACK, `order` with ORR, ORG or ORI, `asked` (the default) so where ORC-6 asks."""
    siu_cancel_cancels_order: bool | None = None
    """Whether a cancelled appointment cancels its order; else the order stays, without a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """The ways of one sender, compiled."""

    controls: Controls = field(default_factory=dict)
    answers: Answers = "asked"
    siu_cancel_cancels_order: bool = False


_USUAL = Ways()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysOfSenders:
    """The ways of all senders of a route."""

    usual: Ways = _USUAL
    own: Mapping[str, Ways] = field(default_factory=dict)

    def of(self, sender: str) -> Ways:
        """Return the ways of a sender (`MSH-3/MSH-4`)."""
        return self.own.get(sender, self.usual)


USUAL_WAYS = WaysOfSenders()
"""Of senders about whom a route says nothing."""


def compile_ways(usual: SenderWays, senders: Mapping[str, SenderWays]) -> WaysOfSenders:
    """Return what a route says; a sender's own words come before the route's."""
    whole = _compiled(usual, _USUAL)
    return WaysOfSenders(usual=whole, own={name: _compiled(said, whole) for name, said in senders.items()})


def _compiled(said: SenderWays, otherwise: Ways) -> Ways:
    controls = {_pair(pair): OrderAction(meaning.replace("-", "_")) for pair, meaning in said.control.items()}
    cancels = said.siu_cancel_cancels_order
    return Ways(
        controls={**otherwise.controls, **controls},
        answers=said.answers or otherwise.answers,
        siu_cancel_cancels_order=otherwise.siu_cancel_cancels_order if cancels is None else cancels,
    )


def _pair(text: str) -> tuple[str, str]:
    control, _, status = text.partition("/")
    return (control, status)
