"""What a service class is to the DICOM listener, and the ports through which it reaches the rest of the engine.

A listener knows associations; a service knows one kind of work (echo, store, find, MPPS). The listener hands each DIMSE
request to the first service that claims its abstract syntax, feeds it the data set as it arrives, and lets it answer
through a `Reply`. Errors may be raised at any point: the listener answers them with the status of `core.outcomes`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.dicom.command import Command, Value


@dataclass(frozen=True, slots=True)
class PeerAe:
    """Who is at the other end of an association. AE titles are trimmed of spaces and never become a path."""

    calling_ae: str
    called_ae: str
    address: str
    association_id: int


@dataclass(frozen=True, slots=True)
class Request:
    """One DIMSE request: its command set, and what the presentation context it came on was negotiated for."""

    command: Command
    operation: int
    """Command Field (0000,0100)."""
    has_data_set: bool
    abstract_syntax: str
    transfer_syntax: str
    peer: PeerAe


class Reply(Protocol):
    """The way back to the peer that made one request."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer sent C-CANCEL for this request, or has gone."""
        ...

    def send(
        self,
        status: int,
        *,
        data_set: bytes | None = None,
        fields: Mapping[str, Value] | None = None,
    ) -> None:
        """Queue one response; what is queued leaves together when the service waits or is done.

        Args:
            status: DIMSE status; 0xFF00 and 0xFF01 announce that more responses follow.
            data_set: Encoded in the transfer syntax of the context; None for none.
            fields: Further elements of the response command set by keyword, such as Error Comment.
        """
        ...

    async def drain(self) -> None:
        """Let queued responses leave, wait while the peer does not read, and let C-CANCEL be heard."""
        ...


class Operation(Protocol):
    """One request being worked on. `write*`, then either `finish` or `discard`."""

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the data set. The buffer is reused after the call: keep a copy, not the view."""
        ...

    async def finish(self) -> None:
        """Do the work now that the request is complete, and send every response through the reply."""
        ...

    def discard(self) -> None:
        """Forget the request: the association ended before it was complete."""
        ...


class Service(Protocol):
    """A service class (PS3.4) in the role of provider."""

    @property
    def operations(self) -> Collection[int]:
        """Command Fields it takes; others are answered 0x0211."""
        ...

    keeps_going: bool
    """Whether `finish` is seen through when the association ends meanwhile (a store), or cancelled (a query)."""

    def transfer_syntaxes(self, abstract_syntax: str) -> Collection[str] | None:
        """Return what it accepts for an abstract syntax; None when that is not its business."""
        ...

    def begin(self, request: Request, reply: Reply) -> Operation:
        """Start on a request. An error raised here is answered after the data set was read and dropped."""
        ...


class Receiving(Protocol):
    """One instance on its way in."""

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the data set, in the transfer syntax of the context. The view is not kept.

        Raises:
            PeerError: DCM-113, larger than the limit; the rest is read and dropped.
            StorageError: STO-101, STO-102.
        """
        ...

    def finish(self) -> Awaitable[None]:
        """Return when the instance is durable and applied.

        Raises:
            EngineError: The instance is refused; the status is that of its code.
        """
        ...

    def discard(self) -> None:
        """Drop what was written: the association was cut in the middle."""
        ...


class InstanceSink(Protocol):
    """Where received instances go (the archive)."""

    def begin(self, *, sop_class: str, sop_uid: str, transfer_syntax: str, peer: PeerAe) -> Receiving:
        """Make room for one instance.

        Raises:
            StorageError: STO-101, no room; the data set is read and dropped, then answered.
            PeerError: The instance is not wanted.
        """
        ...


class WorklistSource(Protocol):
    """Who knows the scheduled steps (the broker)."""

    def answers(self, identifier: bytes, transfer_syntax: str, peer: PeerAe) -> AsyncIterator[tuple[int, bytes]]:
        """Yield pending status (0xFF00, 0xFF01) and response identifier, encoded in `transfer_syntax`.

        Raises:
            PeerError: DCM-120, DCM-121, DCM-123; answered with the DIMSE status of the code.
        """
        ...
