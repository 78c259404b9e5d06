"""How a request is answered: response command sets with their data sets, in order; refusals after the data was read.

Source: DICOM PS3.7 sections 9.3 and 10.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.connectors.dicom.wire import Connection
from engine.core.errors import EngineError
from engine.dicom import command as dimse
from engine.dicom.command import NO_DATA_SET, RESPONSE, Command, Value
from engine.dicom.status import failure_of, is_pending


class ResponseWriter:
    """The `Reply` of one request. Responses queue in the association and leave when it is flushed."""

    __slots__ = (
        "_connection",
        "_context_id",
        "_heads",
        "_max_pdu",
        "_request",
        "error",
        "is_cancelled",
        "message_id",
        "operation",
    )

    def __init__(self, connection: Connection, context_id: int, max_pdu: int, request: Command) -> None:
        self._connection = connection
        self._context_id = context_id
        self._max_pdu = max_pdu
        self._request = request
        self._heads: dict[tuple[int, bool], bytes] = {}
        self.operation = dimse.number(request, "CommandField")
        self.message_id = dimse.number(request, "MessageID")
        self.error: EngineError | None = None
        """What the request was refused for, once it was."""
        self.is_cancelled = False

    def send(self, status: int, *, data_set: bytes | None = None, fields: Mapping[str, Value] | None = None) -> None:
        """Queue one response; after the end of the association it goes nowhere and the request counts as cancelled."""
        association = self._connection.association
        if not association.may_send:
            self.is_cancelled = True
            return
        key = (status, data_set is not None)
        head = self._heads.get(key) if fields is None else None
        if head is None:
            head = self._pdus(dimse.encode(self._response(status, key[1], fields or {})), is_command=True)
            if fields is None:
                self._heads[key] = head
        association.send_data(head if data_set is None else head + self._pdus(data_set, is_command=False))
        if is_pending(status):
            self._connection.flush_soon()

    async def drain(self) -> None:
        """Let what is queued leave and the loop turn."""
        await self._connection.drain()

    def fail(self, error: EngineError) -> None:
        """Answer with the status of an error."""
        self.error = error
        failure = failure_of(error)
        self.send(failure.status, fields=failure.fields())

    def _pdus(self, payload: bytes, *, is_command: bool) -> bytes:
        return dimse.p_data(self._context_id, is_command, payload, self._max_pdu)

    def _response(self, status: int, has_data_set: bool, fields: Mapping[str, Value]) -> Command:
        request = self._request
        response: Command = {
            "CommandField": self.operation | RESPONSE,
            "MessageIDBeingRespondedTo": self.message_id,
            "CommandDataSetType": dimse.HAS_DATA_SET if has_data_set else NO_DATA_SET,
            "Status": status,
        }
        for affected, requested in (
            ("AffectedSOPClassUID", "RequestedSOPClassUID"),
            ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID"),
        ):
            value = request.get(affected) or request.get(requested)
            if isinstance(value, str) and value.isascii():
                response[affected] = value
        response.update(fields)
        return response


class Dropped:
    """Stands in for an operation that was refused: reads the rest of its data set, then says why."""

    __slots__ = ("_error", "_reply")

    def __init__(self, error: EngineError, reply: ResponseWriter) -> None:
        self._error = error
        self._reply = reply

    def write(self, fragment: bytes | memoryview) -> None:
        """Drop it."""

    async def finish(self) -> None:
        """Say why."""
        self._reply.fail(self._error)

    def discard(self) -> None:
        """Forget it."""
