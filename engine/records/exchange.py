"""What a listener and the broker hand each other for one frame or request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a frame."""

    listener: str
    """Name of the listener in isthmus.yaml."""
    address: str
    """`host:port` of the connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send back for one frame."""

    frames: tuple[bytes, ...] = ()
    """Bodies, without start and end block; empty when the sender asked for no answer."""
    close: bool = False
    """Whether the connection ends after this answer."""
