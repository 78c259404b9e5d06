"""A small book of known orders for tests of linkage: found by number, written by each decision, as a database would."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from engine.core.ids import RowId
from engine.linkage.change import Act, Change
from engine.linkage.control import action_of
from engine.linkage.order import KnownOrder, OrderWorld, apply_order, order_numbers, parent_numbers
from engine.linkage.policy import CodeEntry, OrderPolicy
from engine.linkage.state_table import OrderAction
from engine.records.fact import OrderFact
from engine.records.record import Hold, Patient
from engine.records.schedule import OrderReplacement
from engine.records.state import HoldState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STATIONS = {"CT": ("CT1", "CT2"), "MR": ("MR1",)}
CODES = {"CTHEAD": CodeEntry(modality="CT", description="CT head"), "MRHEAD": CodeEntry(modality="MR")}
POLICY = OrderPolicy(
    code=lambda sender, system, code: CODES.get(code), stations=lambda modality: STATIONS.get(modality, ())
)
LENIENT = replace(POLICY, nw_as_update=True)


def patient(row: int = 1) -> Patient:
    return Patient(id=RowId(row), name="TEST^ALPHA", updated_at=NOW, cause_id=RowId(9))


def said(**more: Any) -> OrderFact:
    """Return an ordinary CT order; what is given replaces its fields."""
    usual: dict[str, Any] = {
        "control": "NW",
        "placer_number": "PL1",
        "filler_number": "FI1",
        "accession_number": "ACC1",
        "code": "CTHEAD",
        "scheduled_start": "20260302100000",
    }
    return OrderFact(**{**usual, **more})


def following(control: str, status: str | None = None, **more: Any) -> OrderFact:
    """Return a message about the ordinary order that says only what is given."""
    return OrderFact(control=control, status=status, placer_number="PL1", **more)


@dataclass
class Book:
    """The known orders, and the decision about the last fact."""

    policy: OrderPolicy = POLICY
    orders: dict[RowId, KnownOrder] = field(default_factory=dict)
    replacements: list[OrderReplacement] = field(default_factory=list)
    change: Change = field(init=False)
    rows: Any = field(default_factory=lambda: count(100))

    def send(self, *facts: OrderFact, of: Patient | None = None) -> KnownOrder | Hold:
        """Apply one message, fact after fact; keep the orders and the decision about the last fact."""
        cause = RowId(next(self.rows))
        result: KnownOrder | Hold
        replaced: list[RowId] = []
        parent: RowId | None = None
        for fact in facts:
            self.change = Change(
                Act(now=NOW, cause_kind="message", cause_id=cause, new_id=lambda: RowId(next(self.rows)))
            )
            world = self.world(fact)
            action = action_of(fact, self.policy.controls)
            if action is OrderAction.PLACE_REPLACEMENT:
                olds = tuple(self.orders[row] for row in replaced)
                world = replace(world, replaced=olds, replacements=tuple(self.replacements))
            elif action is OrderAction.PLACE_CHILD:
                named = self._with(set(parent_numbers(fact)))
                known = named[0] if named else self.orders[parent] if parent is not None else None
                world = replace(world, parent=known)
            result = apply_order(fact, of or patient(), world, self.policy, self.change)
            if isinstance(result, KnownOrder):
                self.keep(result)
                if action is OrderAction.REPLACE:
                    replaced.append(result.order.id)
                elif action is OrderAction.PARENT:
                    parent = result.order.id
        return result

    def keep(self, known: KnownOrder) -> None:
        records = [*self.change.new.values(), *self.change.changed.values()]
        for record in records:
            assert isinstance(record, Hold | OrderReplacement) or record in (
                known.order, *known.identifiers, *known.procedures, *known.steps
            )  # fmt: skip
        self.replacements.extend(record for record in records if isinstance(record, OrderReplacement))
        there = {hold.id: hold for hold in known.holds}
        there |= {record.id: record for record in records if isinstance(record, Hold)}
        still_open = tuple(hold for hold in there.values() if hold.state is HoldState.OPEN)
        self.orders[known.order.id] = replace(known, holds=still_open)

    def world(self, fact: OrderFact) -> OrderWorld:
        return OrderWorld(
            hits=self._with(set(order_numbers(fact))),
            uid_owners=tuple(
                (procedure, known.order)
                for known in self.orders.values()
                for procedure in known.procedures
                if fact.study_uid and procedure.study_uid == fact.study_uid
            ),
        )

    def _with(self, numbers: set[tuple[str, str, str]]) -> tuple[KnownOrder, ...]:
        return tuple(
            known
            for known in self.orders.values()
            if numbers & {(each.kind, each.value, each.issuer) for each in known.identifiers}
        )

    def place(self, *facts: OrderFact, of: Patient | None = None) -> KnownOrder:
        known = self.send(*(facts or (said(),)), of=of)
        assert isinstance(known, KnownOrder)
        return known

    def held(self, *facts: OrderFact, of: Patient | None = None) -> Hold:
        hold = self.send(*facts, of=of)
        assert isinstance(hold, Hold)
        return hold

    @property
    def events(self) -> list[str]:
        return [event.name for event in self.change.events]

    @property
    def nothing(self) -> bool:
        return not self.change.new and not self.change.changed and not self.change.events
