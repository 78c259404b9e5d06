"""The requestor's end of one association: what was asked, what came back, put together into whole responses.

Source: DICOM PS3.7 sections 8 to 10; PS3.8 section 7.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from engine.connectors.dicom.wire import Connection
from engine.core.errors import EngineError, InvariantError
from engine.core.limits import Limits
from engine.dicom import command as dimse
from engine.dicom.association import (
    Aborted,
    Accepted,
    AssociateRequested,
    Event,
    Fragment,
    Rejected,
    Released,
    ReleaseRequested,
)
from engine.dicom.command import Command
from engine.dicom.errors import (
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationRejectedForNow,
    MalformedPdu,
    UnexpectedPdu,
)
from engine.dicom.pdu import AssociateAccept, AssociateReject, AssociateRequest


@dataclass(frozen=True, slots=True)
class Response:
    """One DIMSE response; `data_set` is None when there was none."""

    command: Command
    data_set: bytes | None

    @property
    def status(self) -> int:
        """DIMSE status."""
        return dimse.number(self.command, "Status")

    @property
    def comment(self) -> str:
        """Error Comment; "" without one."""
        return dimse.text(self.command, "ErrorComment")


class RequestorConnection(Connection):
    """Collects responses in order; whoever waits is told the error that ended the association."""

    def __init__(self, request: AssociateRequest, limits: Limits) -> None:
        super().__init__(is_requestor=True, limits=limits)
        self.accepted: asyncio.Future[AssociateAccept] = self._loop.create_future()
        self.responses: asyncio.Queue[Response | EngineError] = asyncio.Queue()
        self._request = request
        self._command = bytearray()
        self._data = bytearray()
        self._of: Command | None = None
        self.error: EngineError | None = None
        """What ended the association."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the association at once."""
        super().connection_made(transport)
        self.association.send_associate(self._request)
        self.flush()

    async def response(self) -> Response:
        """Return the next response.

        Raises:
            EngineError: What ended the association.
        """
        if self.error is not None and self.responses.empty():
            raise self.error
        found = await self.responses.get()
        if isinstance(found, EngineError):
            raise found
        return found

    def handled(self, event: Event) -> bool:
        """Take every event at once: responses are small, and one request is out at a time."""
        match event:
            case Fragment():
                self._take(event)
            case Accepted():
                self.accepted.set_result(event.accept)
            case Rejected():
                self._fail(_rejection(event.reject))
                self.close()
            case ReleaseRequested():
                self.association.answer_release()
                self._fail(AssociationAborted("peer released the association"))
            case Released():
                self._fail(AssociationAborted("association released"))
                self.close()
            case Aborted():
                self._fail(event.error or AssociationAborted(f"aborted by source {event.abort.source}"))
                if event.error is None:
                    self.close()
            case AssociateRequested():
                raise InvariantError("event of an acceptor")
            case _:
                assert_never(event)
        return True

    def ended(self, error: AssociationError | None) -> None:
        """Tell whoever waits."""
        self._fail(error or AssociationAborted("connection lost"))

    def is_working(self) -> bool:
        """Leave the clock to the client, which has its own deadline for each answer."""
        return True

    def _fail(self, error: EngineError) -> None:
        if self.error is None:
            self.error = error
            self.responses.put_nowait(error)
        if not self.accepted.done():
            self.accepted.set_exception(error)
            self.accepted.exception()  # seen; whoever awaits still gets it

    def _take(self, fragment: Fragment) -> None:
        if fragment.is_command:
            if self._of is not None:
                raise UnexpectedPdu("command inside a data set")
            self._command += fragment.value
            if len(self._command) > self.limits.command_bytes:
                raise MalformedPdu(f"command longer than {self.limits.command_bytes} bytes")
            if fragment.is_last:
                command = dimse.decode(bytes(self._command), limit_bytes=self.limits.command_bytes)
                self._command.clear()
                dimse.number(command, "Status")
                if dimse.number(command, "CommandDataSetType") == dimse.NO_DATA_SET:
                    self.responses.put_nowait(Response(command, None))
                else:
                    self._of = command
            return
        if self._of is None:
            raise UnexpectedPdu("data set without a command")
        self._data += fragment.value
        if len(self._data) > self.limits.identifier_bytes:
            raise MalformedPdu(f"data set longer than {self.limits.identifier_bytes} bytes")
        if fragment.is_last:
            self.responses.put_nowait(Response(self._of, bytes(self._data)))
            self._data.clear()
            self._of = None


def _rejection(reject: AssociateReject) -> EngineError:
    words = f"association rejected {reject.result}/{reject.source}/{reject.reason}"
    return AssociationRejectedForNow(words) if reject.result == 2 else AssociationRejected(words)
