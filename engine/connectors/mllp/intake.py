"""What the listener hands its frames to, and gets the answers from. The broker implements it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from engine.core.errors import PeerError
from engine.records.exchange import Peer, Reply

__all__ = ["Intake", "Peer", "Reply"]


class Intake(Protocol):
    """Where frames go. Both methods return at once and are called in order of arrival."""

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        """Take the body of one frame, which may be a batch; the result comes when it is durable.

        The future fails with StorageError when nothing must be answered: the connection is closed.
        """
        ...

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        """Take what a framing fault left (MLLP-102, MLLP-103, MLLP-105), to be kept and answered."""
        ...
