"""What can go wrong on an MLLP connection. Source: spec/reliability.md sections 2 and 3."""

from __future__ import annotations

from engine.core.errors import PeerError, TransientError


class TooMuchJunk(PeerError):
    """Bytes between frames grew past the limit, or a message came without its start block."""

    code = "MLLP-101"

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        super().__init__(f"more than {limit} bytes between frames, or a message without start block")


class FrameTooLong(PeerError):
    """A frame grew past the listener's limit before its end block."""

    code = "MLLP-102"

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        super().__init__(f"message longer than {limit} bytes")


class EndBlockBroken(PeerError):
    """An end block 1C is followed by something else than 0D: the message may be cut short."""

    code = "MLLP-103"

    def __init__(self) -> None:
        super().__init__("end block must be 1C 0D")


class FrameRestarted(PeerError):
    """A start block inside a frame: the frame before it lost its end."""

    code = "MLLP-104"

    def __init__(self, *, received: int) -> None:
        self.received = received
        super().__init__(f"start block inside a frame after {received} bytes")


class FrameEmpty(PeerError):
    """Nothing between start and end block."""

    code = "MLLP-105"

    def __init__(self) -> None:
        super().__init__("empty message")


class FrameStalled(PeerError):
    """A frame was begun and not ended in time."""

    code = "MLLP-106"

    def __init__(self, *, received: int) -> None:
        self.received = received
        super().__init__(f"frame not ended in time after {received} bytes")


class FrameUnfinished(PeerError):
    """The stream ended inside a frame."""

    code = "MLLP-107"

    def __init__(self, *, received: int) -> None:
        self.received = received
        super().__init__(f"stream ended inside a frame after {received} bytes")


class AnswerOverdue(TransientError):
    """The peer did not answer in time; the connection is closed, so that a late answer cannot be mistaken."""

    code = "NET-111"

    def __init__(self, *, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(f"no answer in {timeout_s:g} s")


class PeerUnreachable(TransientError):
    """No connection could be made."""

    code = "NET-112"

    def __init__(self) -> None:
        super().__init__("no connection to the destination")


class ConnectionCut(TransientError):
    """The connection ended, or stopped making sense, before the answer."""

    code = "NET-114"

    def __init__(self) -> None:
        super().__init__("connection cut before the answer")
