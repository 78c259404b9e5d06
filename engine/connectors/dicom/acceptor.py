"""One accepted association: negotiates, puts DIMSE messages together, and hands each request to its service.

One request is worked on at a time. The next one waits, and reading stops behind it; only C-CANCEL and the end of the
association are heard meanwhile. Data sets are never collected: their fragments go on as they arrive.
Source: DICOM PS3.7 sections 8 to 10; spec/reliability.md section 4.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from secrets import token_hex
from typing import ParamSpec, TypeVar, assert_never

import structlog

from engine.connectors.dicom.admission import Admission
from engine.connectors.dicom.reply import Dropped, ResponseWriter
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
from engine.dicom.command import NO_DATA_SET, RESPONSE, Command
from engine.dicom.errors import AssociationError, MalformedPdu, OperationNotSupported, UnexpectedPdu
from engine.dicom.implementation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from engine.dicom.negotiation import ACCEPTED, negotiate
from engine.dicom.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest
from engine.dicom.user_information import UserInformation

log = structlog.get_logger()

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Context:
    """An accepted presentation context and who serves it."""

    abstract_syntax: str
    transfer_syntax: str
    service: Service


class AcceptorConnection(Connection):
    """The listener's end of one association."""

    def __init__(self, admission: Admission) -> None:
        super().__init__(is_requestor=False, limits=admission.limits)
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is closed and nothing is being worked on for it."""
        self._admission = admission
        self._id = admission.next_association_id()
        self._peer = PeerAe("", "", "", self._id)
        self._max_pdu = 0  # what the peer takes [bytes]; 0 for no bound
        self._contexts: dict[int, _Context] = {}
        self._command = bytearray()
        self._command_context = 0
        self._waiting: tuple[int, Command] | None = None
        self._operation: Operation | None = None
        self._operation_context = 0
        self._reply: ResponseWriter | None = None
        self._service: Service | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = log.bind(listener=admission.name, association=self._id)
        self._is_draining = False
        self._is_counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the listener's connections, or be cut when there are far too many."""
        super().connection_made(transport)
        if not self._admission.joined(self):
            self.cut()

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
        self._depart()

    def is_working(self) -> bool:
        """Whether a request is being worked on."""
        return self._task is not None

    def drain_out(self) -> None:
        """End the association as soon as nothing is being worked on: the listener stops."""
        self._is_draining = True
        if self._task is None and self._operation is None:
            self._leave("stopped")
            self.association.abort(Abort(0, 0))
            self.close()

    def _depart(self) -> None:
        if not self.is_open and self._task is None and not self.gone.done():
            self._admission.left(self)
            self.gone.set_result(None)

    # -- association -------------------------------------------------------------------------------------------------

    def _associate(self, request: AssociateRequest) -> None:
        refused = self._admission.refusal(request)
        if refused is not None:
            self._refuse(*refused)
            return
        services: dict[str, Service] = {}

        def supported(abstract_syntax: str) -> Collection[str] | None:
            for service in self._admission.services:
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
        self._max_pdu = request.user.max_length
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
        self._admission.accepted(request.calling_ae)
        self._log.debug("association.accepted", contexts=len(self._contexts))

    def _refuse(self, reject: AssociateReject, code: str) -> None:
        self.association.reject(reject)
        self._log.warning("association.refused", code=code)

    def _leave(self, how: str, error: AssociationError | None = None) -> None:
        """Let go of everything of the association; safe to call again."""
        operation, self._operation = self._operation, None
        self._waiting = None
        self._command.clear()
        if self._reply is not None:
            self._reply.is_cancelled = True
        if operation is not None:
            self._guarded(operation.discard)
        if self._task is not None and self._service is not None and not self._service.keeps_going:
            self._task.cancel()
        if error is not None:
            self._log.warning("association.aborted", code=error.code)
        if self._is_counted:
            self._is_counted = False
            self._admission.ended(self._peer.calling_ae)
            self._log.debug("association.ended", how=how)

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
            return
        if operation & RESPONSE:
            raise UnexpectedPdu("response without a request")
        dimse.number(command, "MessageID")
        if self._task is not None:
            self._waiting = (fragment.context_id, command)
        else:
            self._begin(fragment.context_id, command)

    def _begin(self, context_id: int, command: Command) -> None:
        context = self._contexts[context_id]
        field = dimse.number(command, "CommandField")
        has_data_set = dimse.number(command, "CommandDataSetType") != NO_DATA_SET
        reply = ResponseWriter(self, context_id, self._max_pdu, command)
        request = Request(command, field, has_data_set, context.abstract_syntax, context.transfer_syntax, self._peer)
        self._reply, self._service, self._operation_context = reply, context.service, context_id
        operation: Operation | EngineError
        if field in context.service.operations:
            operation = self._guarded(context.service.begin, request, reply)
        else:
            operation = OperationNotSupported(field)
        if isinstance(operation, EngineError):
            operation = Dropped(operation, reply)
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
        error = self._guarded(operation.write, fragment.value)
        if error is not None and self._reply is not None:
            self._guarded(operation.discard)
            operation = self._operation = Dropped(error, self._reply)
        if fragment.is_last:
            self._operation = None
            self._start(operation)

    def _start(self, operation: Operation) -> None:
        assert self._reply is not None
        self._task = self._loop.create_task(self._work(operation, self._reply))

    async def _work(self, operation: Operation, reply: ResponseWriter) -> None:
        try:
            await operation.finish()
        except EngineError as error:
            reply.fail(error)
        except Exception as error:  # noqa: BLE001 - the services' own worker boundary
            reply.fail(self._unforeseen(error))
        finally:
            self._finished(reply)

    def _finished(self, reply: ResponseWriter) -> None:
        self._task = self._reply = self._service = None
        self._admission.answered(reply.operation, is_refused=reply.error is not None)
        if reply.error is not None:
            self._log.warning("request.refused", code=reply.error.code, calling_ae=self._peer.calling_ae)
        self._depart()
        if self._is_draining:
            self.drain_out()
            return
        waiting, self._waiting = self._waiting, None
        if waiting is not None and self.association.may_send:
            self._begin(*waiting)
        self.pump()

    def _unforeseen(self, cause: Exception) -> InvariantError:
        incident = token_hex(4)
        place = traceback.extract_tb(cause.__traceback__)[-1:]  # not the text: it may quote what the peer sent
        self._log.error(
            "request.failed",
            code="BUG-101",
            incident=incident,
            error=type(cause).__name__,
            at=[f"{frame.filename}:{frame.lineno}" for frame in place],
        )
        return InvariantError(f"processing failure {incident}")

    def _guarded(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | EngineError:
        """Return what a service returns, or the error it ends with: one bad request does not spoil the association."""
        try:
            return call(*args, **kwargs)
        except EngineError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the services' own worker boundary
            return self._unforeseen(error)
