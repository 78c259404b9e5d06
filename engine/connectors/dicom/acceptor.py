"""One accepted association: negotiates, puts DIMSE messages together, and hands each request to its service.

One request is worked on at a time. The next one waits, and reading stops behind it; only C-CANCEL and the end of the
association are heard meanwhile. Data sets are never collected: their fragments go on as they arrive.
Source: DICOM PS3.7 sections 8 to 10; spec/reliability.md section 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import structlog

from engine.connectors.dicom.service import Operation, PeerAe, Request, Service
from engine.connectors.dicom.wire import Connection
from engine.core.errors import EngineError, InvariantError
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
from engine.dicom.command import NO_DATA_SET, RESPONSE, Command, Value
from engine.dicom.errors import AssociationError, MalformedPdu, OperationNotSupported, UnexpectedPdu
from engine.dicom.negotiation import ACCEPTED, negotiate
from engine.dicom.pdu import AssociateAccept, AssociateReject, AssociateRequest, UserInformation
from engine.dicom.status import failure_of

if TYPE_CHECKING:
    from engine.connectors.dicom.server import DicomServer

log = structlog.get_logger()

IMPLEMENTATION_UID = "2.25.311416227366498829316273226302957243745"
IMPLEMENTATION_VERSION = "ISTHMUS"


@dataclass(frozen=True, slots=True)
class _Context:
    """An accepted presentation context and who serves it."""

    abstract_syntax: str
    transfer_syntax: str
    service: Service


class _Reply:
    """The way back for one request."""

    __slots__ = ("_connection", "_context_id", "_heads", "_request", "is_cancelled", "message_id")

    def __init__(self, connection: AcceptorConnection, context_id: int, request: Command) -> None:
        self._connection = connection
        self._context_id = context_id
        self._request = request
        self._heads: dict[tuple[int, bool], bytes] = {}
        self.message_id = dimse.number(request, "MessageID")
        self.is_cancelled = False

    def send(
        self, status: int, *, data_set: bytes | None = None, fields: Mapping[str, Value] | None = None
    ) -> None:
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

    async def drain(self) -> None:
        await self._connection.drain()

    def fail(self, error: EngineError) -> None:
        """Answer with the status of an error."""
        failure = failure_of(error)
        self.send(failure.status, fields=failure.fields())

    def _pdus(self, payload: bytes, *, is_command: bool) -> bytes:
        return dimse.p_data(self._context_id, is_command, payload, self._connection.max_pdu)

    def _response(self, status: int, has_data_set: bool, fields: Mapping[str, Value]) -> Command:
        request = self._request
        response: Command = {
            "CommandField": dimse.number(request, "CommandField") | RESPONSE,
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


class _Dropping:
    """Stands in for an operation that was refused: reads the rest of its data set, then says why."""

    __slots__ = ("_error", "_reply")

    def __init__(self, error: EngineError, reply: _Reply) -> None:
        self._error = error
        self._reply = reply

    def write(self, fragment: bytes | memoryview) -> None:
        pass

    async def finish(self) -> None:
        self._reply.fail(self._error)

    def discard(self) -> None:
        pass


class AcceptorConnection(Connection):
    """The listener's end of one association."""

    def __init__(self, server: DicomServer, association_id: int) -> None:
        super().__init__(is_requestor=False, limits=server.limits)
        self.max_pdu = 0
        """Maximum length of the PDUs the peer takes [bytes]; 0 for no bound."""
        self.calling_ae = ""
        self._server = server
        self._id = association_id
        self._peer = PeerAe("", "", "", association_id)
        self._contexts: dict[int, _Context] = {}
        self._command = bytearray()
        self._command_context = 0
        self._waiting: tuple[int, Command] | None = None
        self._operation: Operation | None = None
        self._operation_context = 0
        self._reply: _Reply | None = None
        self._service: Service | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_draining = False
        self._is_counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the listener's connections, or be turned away when there are far too many."""
        super().connection_made(transport)
        self._server.joined(self)

    # -- what a Connection asks --------------------------------------------------------------------------------------

    def handled(self, event: Event) -> bool:
        """Take an event unless a request must be finished first."""
        match event:
            case Fragment():
                if self._waiting is not None:
                    return False
                if event.is_command:
                    self._take_command(event)
                else:
                    self._take_data(event)
            case AssociateRequested():
                self._associate(event.request)
            case ReleaseRequested():
                if self._task is not None:
                    return False
                self.association.answer_release()
                self._leave("released")
            case Aborted():
                self._leave("aborted", event.error)
                if event.error is None:
                    self.close()
            case Accepted() | Rejected() | Released():
                raise InvariantError("event of a requestor")
            case _:
                assert_never(event)
        return True

    def ended(self, error: AssociationError | None) -> None:
        """Drop what was not complete; a query stops, a store that is complete is seen through."""
        self._leave("aborted" if error is not None else "lost", error)
        if not self.is_open:
            self._server.left(self)

    def is_working(self) -> bool:
        """Whether a request is being worked on."""
        return self._task is not None

    def drain_out(self) -> None:
        """End the association as soon as nothing is being worked on: the listener stops."""
        self._is_draining = True
        if self._task is None and self._operation is None:
            self._leave("stopped")
            self.association.abort_by_user()
            self.close()

    # -- association -------------------------------------------------------------------------------------------------

    def _associate(self, request: AssociateRequest) -> None:
        refused = self._server.refusal(self, request)
        if refused is not None:
            self._refuse(*refused)
            return
        services: dict[str, Service] = {}

        def supported(abstract_syntax: str) -> Collection[str] | None:
            for service in self._server.services:
                taken = service.transfer_syntaxes(abstract_syntax)
                if taken is not None:
                    services[abstract_syntax] = service
                    return taken
            return None

        results = negotiate(request.contexts, supported)
        abstract = {context.context_id: context.abstract_syntax for context in request.contexts}
        for result in results:
            if result.result == ACCEPTED:
                uid = abstract[result.context_id]
                self._contexts[result.context_id] = _Context(uid, result.transfer_syntax, services[uid])
        self._peer = PeerAe(request.calling_ae, request.called_ae, self.address, self._id)
        self.calling_ae = request.calling_ae
        self.max_pdu = request.user.max_length
        self.association.accept(
            AssociateAccept(
                called_ae=request.called_ae,
                calling_ae=request.calling_ae,
                results=results,
                user=UserInformation(
                    max_length=self.limits.pdu_bytes,
                    implementation_uid=IMPLEMENTATION_UID,
                    implementation_version=IMPLEMENTATION_VERSION,
                ),
            )
        )
        self._is_counted = True
        self._server.accepted(self)
        log.debug(
            "association.accepted", listener=self._server.name, association=self._id, contexts=len(self._contexts)
        )

    def _refuse(self, reject: AssociateReject, code: str) -> None:
        self.association.reject(reject)
        self._server.refused()
        log.warning("association.refused", listener=self._server.name, association=self._id, code=code)

    def _leave(self, how: str, error: AssociationError | None = None) -> None:
        """Let go of everything of the association; safe to call again."""
        operation, self._operation = self._operation, None
        self._waiting = None
        self._command.clear()
        if self._reply is not None:
            self._reply.is_cancelled = how != "released"
        if operation is not None:
            self._guard(operation.discard)
        if self._task is not None and self._service is not None and not self._service.keeps_going:
            self._task.cancel()
        if error is not None:
            log.warning("association.aborted", listener=self._server.name, association=self._id, code=error.code)
        if self._is_counted:
            self._is_counted = False
            self._server.ended(self)
            log.debug("association.ended", listener=self._server.name, association=self._id, how=how)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _take_command(self, fragment: Fragment) -> None:
        if self._operation is not None:
            raise UnexpectedPdu("command inside a data set")
        if fragment.context_id not in self._contexts or (
            self._command and fragment.context_id != self._command_context
        ):
            raise MalformedPdu("fragment of another presentation context")
        self._command_context = fragment.context_id
        self._command += fragment.value
        if len(self._command) > self.limits.command_bytes:
            raise MalformedPdu(f"command longer than {self.limits.command_bytes} bytes")
        if not fragment.is_last:
            return
        command = dimse.decode(bytes(self._command), limit_bytes=self.limits.command_bytes)
        self._command.clear()
        operation = dimse.number(command, "CommandField")
        if operation == dimse.Operation.C_CANCEL:
            if self._reply is not None and command.get("MessageIDBeingRespondedTo") == self._reply.message_id:
                self._reply.is_cancelled = True
        elif operation & RESPONSE:
            raise UnexpectedPdu("response without a request")
        elif self._task is not None:
            self._waiting = (fragment.context_id, command)
        else:
            self._begin(fragment.context_id, command)

    def _begin(self, context_id: int, command: Command) -> None:
        context = self._contexts[context_id]
        field = dimse.number(command, "CommandField")
        has_data_set = dimse.number(command, "CommandDataSetType") != NO_DATA_SET
        reply = _Reply(self, context_id, command)
        request = Request(
            command, field, has_data_set, context.abstract_syntax, context.transfer_syntax, self._peer
        )
        self._reply, self._service, self._operation_context = reply, context.service, context_id
        operation: Operation
        try:
            if field not in context.service.operations:
                raise OperationNotSupported(field)  # noqa: TRY301 - answered like every error of the service
            operation = context.service.begin(request, reply)
        except EngineError as error:
            operation = _Dropping(error, reply)
        except Exception as error:
            operation = _Dropping(self._unforeseen(error), reply)
        if has_data_set:
            self._operation = operation
        else:
            self._start(operation)

    def _take_data(self, fragment: Fragment) -> None:
        operation = self._operation
        if operation is None:
            raise UnexpectedPdu("data set without a command")
        if fragment.context_id != self._operation_context:
            raise MalformedPdu("fragment of another presentation context")
        try:
            operation.write(fragment.value)
        except EngineError as error:
            operation = self._drop(operation, error)
        except Exception as error:
            operation = self._drop(operation, self._unforeseen(error))
        if fragment.is_last:
            self._operation = None
            self._start(operation)

    def _drop(self, operation: Operation, error: EngineError) -> Operation:
        assert self._reply is not None
        self._guard(operation.discard)
        self._operation = _Dropping(error, self._reply)
        return self._operation

    def _start(self, operation: Operation) -> None:
        assert self._reply is not None
        self._task = self._loop.create_task(self._work(operation, self._reply))

    async def _work(self, operation: Operation, reply: _Reply) -> None:
        try:
            await operation.finish()
        except EngineError as error:
            reply.fail(error)
        except Exception as error:
            reply.fail(self._unforeseen(error))
        finally:
            self._finished(reply)

    def _finished(self, reply: _Reply) -> None:
        self._task = self._reply = self._service = None
        self._server.answered(reply.operation)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and self.association.may_send:
            self._begin(*waiting)
        self.pump()
        if self._is_draining:
            self.drain_out()

    def _unforeseen(self, cause: Exception) -> InvariantError:
        log.error("request.failed", listener=self._server.name, association=self._id, code="BUG-101", exc_info=cause)
        return InvariantError("processing failure")

    def _guard(self, discard: Callable[[], None]) -> None:
        try:
            discard()
        except Exception as error:
            self._unforeseen(error)
