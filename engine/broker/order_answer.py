"""What the sender of an order hears beside AA or AE: what became of each group, and which numbers we gave.

Source: spec/hl7.md section 5.3, spec/workflow.md section 10.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.broker.decision import Applied
from engine.config.route import Route
from engine.config.sender import Ways
from engine.config.site import Site
from engine.hl7.acknowledgement import Response
from engine.hl7.message import Message, Segment
from engine.hl7.order_response import TYPES, GroupAnswer, order_response
from engine.linkage.control import control_of
from engine.mapping.grouping import groups_of
from engine.mapping.result import Result
from engine.records.explicit import plain
from engine.records.fact import OrderFact
from engine.records.state import OrderState
from engine.store import known
from engine.store.unit import Unit

_STATUS = {
    OrderState.PLACED: "SC",
    OrderState.SCHEDULED: "SC",
    OrderState.IN_PROGRESS: "IP",
    OrderState.ACQUIRED: "IP",
    OrderState.REPORTED: "A",
    OrderState.COMPLETED: "CM",
    OrderState.HELD: "HD",
    OrderState.CANCELLED: "CA",
    OrderState.DISCONTINUED: "DC",
    OrderState.REPLACED: "RP",
    OrderState.IN_ERROR: "ER",
}
"""Order state → ORC-5, HL7 table 0038."""


def answer_applied(
    unit: Unit, message: Message | None, results: Sequence[Result], applied: Sequence[Applied], ways: Ways
) -> Response | None:
    """Return the answer to orders that were applied or held; None for a plain ACK."""
    if ways.answers == "ack" or message is None or message.type not in TYPES:
        return None
    groups = [
        _group(unit, result.members, result.fact, one)
        for result, one in zip(results, applied, strict=False)
        if isinstance(result.fact, OrderFact)
    ]
    return order_response(message, groups, always=ways.answers == "order") if groups else None


def _group(unit: Unit, members: Sequence[Segment], fact: OrderFact, applied: Applied) -> GroupAnswer:
    order = applied.order
    if order is None and applied.order_id is not None:
        order = known.order_row(unit, applied.order_id)
    stated = plain(fact.filler_number) or plain(fact.placer_number)
    return GroupAnswer(
        segments=members,
        control=control_of(fact),
        done=not applied.declined,
        status=_STATUS[order.state] if order is not None else "",
        filler_number=order.filler_number if order is not None and not stated else "",
        accession_number=order.accession_number if order is not None and not plain(fact.accession_number) else "",
    )


def answer_refused(message: Message | None, site: Site, listener: str) -> Response | None:
    """Return the answer to orders of which none was applied; None for a plain ACK."""
    ways = _ways_of(site, listener, message) if message is not None else None
    if message is None or ways is None or ways.answers == "ack":
        return None
    _, groups = groups_of(message.segments, ("ORC", "OBR"))
    answers = [GroupAnswer(segments=group, control=_control(group), done=False) for group in groups]
    return order_response(message, answers, always=ways.answers == "order") if answers else None


def _control(group: Sequence[Segment]) -> str:
    orc = next((segment for segment in group if segment.name == "ORC"), None)
    return ((orc.field(1) or "").strip().upper() if orc is not None else "") or "NW"


def _ways_of(site: Site, listener: str, message: Message) -> Ways | None:
    """Return the ways of the sender of a message that may have been refused before it was routed; None for no order."""
    if message.type not in TYPES:
        return None
    route = next((each for each in site.message_routes("mllp", listener) if _takes_orders(each, message)), None)
    return route.ways.of("/".join(message.sender)) if route is not None else None


def _takes_orders(route: Route, message: Message) -> bool:
    return route.apply == "order" and (not route.types or message.type in route.types)
