"""What a DICOM peer can do wrong on the network, one class per code.

Data sets have their own errors; the numbers that go on the wire stand in `core.outcomes` and, for the codes that end an
association, in `abort_reason`.
Source: spec/reliability.md section 4; DICOM PS3.8 section 9.3.
"""

from __future__ import annotations

from engine.core.errors import PeerError, TransientError


class AssociationError(PeerError):
    """The association ends with A-ABORT (source 2, UL service provider) and this reason."""

    abort_reason = 0
    """PS3.8 table 9-26: 0 not specified, 1 unrecognised PDU, 2 unexpected PDU, 6 invalid PDU parameter value."""


class UnsupportedProtocolVersion(PeerError):
    """The A-ASSOCIATE-RQ does not offer protocol version 1."""

    code = "DCM-101"

    def __init__(self) -> None:
        super().__init__("protocol version 1 is required")


class UnsupportedApplicationContext(PeerError):
    """The A-ASSOCIATE-RQ names an application context other than DICOM's."""

    code = "DCM-102"

    def __init__(self) -> None:
        super().__init__("application context must be 1.2.840.10008.3.1.1.1")


class MalformedPdu(AssociationError):
    """A length or a value inside a PDU is impossible or over the limit."""

    code = "DCM-103"
    abort_reason = 6


class UnknownPdu(AssociationError):
    """A PDU type that PS3.8 does not know."""

    code = "DCM-104"
    abort_reason = 1

    def __init__(self, pdu_type: int) -> None:
        super().__init__(f"unknown PDU type {pdu_type}")


class UnexpectedPdu(AssociationError):
    """A PDU or a message that is not allowed now."""

    code = "DCM-105"
    abort_reason = 2


class AssociationTimeout(AssociationError):
    """The peer was silent for too long, or left a PDU open."""

    code = "DCM-106"
    abort_reason = 0

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing complete within {seconds:g} s")


class SopClassNotSupported(PeerError):
    """The request names a SOP class other than the one negotiated (DIMSE 0x0122)."""

    code = "DCM-115"

    def __init__(self) -> None:
        super().__init__("SOP class not supported", where="AffectedSOPClassUID")


class OperationNotSupported(PeerError):
    """The service class has no such operation (DIMSE 0x0211)."""

    code = "DCM-116"

    def __init__(self, operation: int) -> None:
        super().__init__(f"operation {operation:04X} not supported")


class AssociationRejected(PeerError):
    """The acceptor refused for good (A-ASSOCIATE-RJ, result 1), or offers no context for what is to be sent."""

    code = "NET-113"


class AssociationRejectedForNow(TransientError):
    """The acceptor refused for now (A-ASSOCIATE-RJ, result 2)."""

    code = "NET-112"


class Unreachable(TransientError):
    """Nobody listens at the address, or TLS failed."""

    code = "NET-112"


class AssociationAborted(TransientError):
    """The association ended before the answer: A-ABORT, or the connection was lost."""

    code = "NET-114"


class NoAnswer(TransientError):
    """The acceptor did not answer in time; the association was aborted."""

    code = "NET-111"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")
