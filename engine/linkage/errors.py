"""Why a message is refused when it is applied: the sender must act."""

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


class NoReportNumber(PeerError):
    """HL7-111 (0357: 101): a report that nobody could find again."""

    code = "HL7-111"


class UnknownReport(PeerError):
    """HL7-120 (0357: 204): a message takes back or confirms a report that never came."""

    code = "HL7-120"


class UnknownMerge(PeerError):
    """HL7-107 (0357: 201): an event that merges, renames or moves nothing."""

    code = "HL7-107"


class NoPair(PeerError):
    """HL7-110 (0357: 100): a merge without a PID."""

    code = "HL7-110"


class SamePatient(PeerError):
    """HL7-121 (0357: 205): what disappears by a merge is what survives it."""

    code = "HL7-121"


class CircularMerge(PeerError):
    """HL7-121 (0357: 205): the survivor was merged, by way of others, into what disappears."""

    code = "HL7-121"


class IdentifierInUse(PeerError):
    """HL7-121 (0357: 205): a patient is renamed to what another one is called: it is really a merge."""

    code = "HL7-121"


class NoVisitNumber(PeerError):
    """HL7-111 (0357: 101): visits are merged, renamed or moved that the message does not name."""

    code = "HL7-111"


class NoProcedure(PeerError):
    """HL7-111 (0357: 101): an order that does not say what is to be done."""

    code = "HL7-111"


class IncompleteGroup(PeerError):
    """HL7-110 (0357: 100): a replaced order without its replacement, a parent without a child, or the other way."""

    code = "HL7-110"


class NoAppointmentNumber(PeerError):
    """HL7-111 (0357: 101): an appointment that names neither itself nor an order nor a patient."""

    code = "HL7-111"
