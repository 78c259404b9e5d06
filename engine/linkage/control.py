"""What an order message asks for: ORC-1 and ORC-5 looked up, a sender's own meanings first.

Source: spec/workflow.md section 6.1, spec/hl7.md section 9; HL7 v2.5.1 tables 0119 and 0038.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.linkage.errors import UnknownControl
from engine.linkage.state_table import ANY, CONTROL, OrderAction
from engine.records.explicit import plain
from engine.records.fact import OrderFact

Controls = Mapping[tuple[str, str], OrderAction]
"""(ORC-1, ORC-5) → action; `ANY` for every ORC-5, "" for an empty one."""

_NEW = "NW"


def control_of(said: OrderFact) -> str:
    """Return ORC-1; an order without one is new."""
    return plain(said.control).upper() or _NEW


def action_of(said: OrderFact, own: Controls) -> OrderAction:
    """Return what a message asks for.

    Args:
        said: The message.
        own: What its sender means where that differs from the table.

    Raises:
        UnknownControl: ORC-1 or ORC-5 is in neither.
    """
    control, status = control_of(said), plain(said.status).upper()
    for table in (own, CONTROL):
        action = table.get((control, status)) or table.get((control, ANY))
        if action is not None:
            return action
    known = any(code == control for code, _ in (*own, *CONTROL))
    raise UnknownControl(
        "order control and status are not in the table of actions" if known else "order control is not taken here",
        where="ORC^1^5" if known else "ORC^1^1",
    )
