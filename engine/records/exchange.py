"""What listeners, archive and broker hand each other for one frame, request or object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


class Sameness(Enum):
    """How an instance stands to another of the same SOP Instance UID (spec/reconcile.md section 8)."""

    SAME = "the same data set, in another encoding"
    OTHER_HEADER = "the same pixels as far as can be told without decoding, another header"
    OTHER = "another object"
