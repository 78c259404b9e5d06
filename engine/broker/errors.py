"""Why the broker refuses a message before anything is decided."""

from __future__ import annotations

from engine.core.errors import PeerError


class UnsupportedType(PeerError):
    """HL7-104 (0357: 200): no route takes this message type."""

    code = "HL7-104"


class UnsupportedEvent(PeerError):
    """HL7-107 (0357: 201): routes take this message type, but not this event of it."""

    code = "HL7-107"


class UnsupportedProcessingId(PeerError):
    """HL7-105 (0357: 202): a test or debugging message at a listener for production, or the other way round."""

    code = "HL7-105"
