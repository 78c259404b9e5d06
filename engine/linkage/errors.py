"""Why an order message is refused: the sender must act."""

from __future__ import annotations

from engine.core.errors import PeerError


class UnknownOrder(PeerError):
    """HL7-120 (0357: 204): a change or a cancellation of an order that nobody placed."""

    code = "HL7-120"


class DuplicateOrder(PeerError):
    """HL7-121 (0357: 205): a new order under the numbers of another one."""

    code = "HL7-121"


class UnknownControl(PeerError):
    """HL7-113 (0357: 103): an order control code, or its status, that is not in the table of actions."""

    code = "HL7-113"


class NoOrderNumber(PeerError):
    """HL7-111 (0357: 101): an order that nobody could find again."""

    code = "HL7-111"
