"""Asking another DICOM application: C-ECHO, C-STORE, C-FIND, and any other DIMSE request.

    async with DicomClient.connect("127.0.0.1", 11112, "HERE", "THERE", contexts=[(VERIFICATION, [IMPLICIT])]) as peer:
        assert await peer.echo() == 0

Source: DICOM PS3.7 sections 9 and 10; PS3.4 annexes A, B and C.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, NamedTuple

from engine.connectors.dicom.requestor import RequestorConnection, Response
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom import command as dimse
from engine.dicom.command import MEDIUM_PRIORITY, NO_DATA_SET, Command, Operation, Value
from engine.dicom.errors import AssociationAborted, AssociationError, AssociationRejected, NoAnswer, Unreachable
from engine.dicom.implementation import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from engine.dicom.negotiation import ACCEPTED
from engine.dicom.pdu import Abort, AssociateAccept, AssociateRequest, ProposedContext
from engine.dicom.sop_class import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from engine.dicom.status import is_pending
from engine.dicom.user_information import RoleSelection, UserInformation

MAX_CONTEXTS: Final = 128
_CHUNK_BYTES: Final = 1024 * 1024


class StoreAnswer(NamedTuple):
    """What the peer said to a C-STORE."""

    status: int
    comment: str


class DicomClient:
    """One association to a peer; one request at a time, others wait their turn. Made by `connect`."""

    def __init__(self, connection: RequestorConnection, accept: AssociateAccept, request: AssociateRequest) -> None:
        self._connection = connection
        self._max_pdu = accept.user.max_length
        self._limits = connection.limits
        self._turn = asyncio.Lock()
        self._last_id = 0
        abstract = {context.context_id: context.abstract_syntax for context in request.contexts}
        self.contexts: dict[tuple[str, str], int] = {
            (abstract[result.context_id], result.transfer_syntax): result.context_id
            for result in reversed(accept.results)
            if result.result == ACCEPTED and result.context_id in abstract
        }
        """(abstract syntax, transfer syntax) → id of the accepted presentation context."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        host: str,
        port: int,
        calling_ae: str,
        called_ae: str,
        *,
        contexts: Sequence[tuple[str, Sequence[str]]],
        roles: Sequence[RoleSelection] = (),
        limits: Limits = DEFAULT_LIMITS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> AsyncIterator[DicomClient]:
        """Open an association, and release it at the end (abort it when the block ends with an error).

        Args:
            host: Address of the peer.
            port: Port of the peer.
            calling_ae: Our AE title.
            called_ae: The peer's AE title.
            contexts: Abstract syntax and transfer syntaxes in order of wish, at most 128.
            roles: SCP/SCU role selection.
            limits: Bounds of waits and sizes.
            ssl_context: Client side TLS; None for plain TCP.

        Raises:
            AssociationRejected: NET-113, for good.
            AssociationRejectedForNow: NET-112.
            Unreachable: NET-112.
            AssociationAborted: NET-114.
            NoAnswer: NET-111.
        """
        request = AssociateRequest(
            called_ae=called_ae,
            calling_ae=calling_ae,
            contexts=tuple(
                ProposedContext(2 * number + 1, abstract, tuple(syntaxes))
                for number, (abstract, syntaxes) in enumerate(contexts[:MAX_CONTEXTS])
            ),
            user=UserInformation(
                max_length=limits.pdu_bytes,
                implementation_uid=IMPLEMENTATION_UID,
                implementation_version=IMPLEMENTATION_VERSION,
                roles=tuple(roles),
            ),
        )
        connection = await _connected(host, port, request, limits, ssl_context)
        try:
            client = cls(connection, await _accepted(connection), request)
            yield client
            await client._release()
        except BaseException:
            connection.association.abort(Abort(0, 0))
            raise
        finally:
            connection.close()

    async def echo(self) -> int:
        """Return the status of a C-ECHO."""
        context_id = next((key for (uid, _), key in self.contexts.items() if uid == VERIFICATION), None)
        if context_id is None:
            raise AssociationRejected("no presentation context accepted for verification")
        async with aclosing(self._exchange(context_id, Operation.C_ECHO, VERIFICATION)) as responses:
            async for response in responses:
                return response.status
        raise AssociationAborted("no response")

    async def store(
        self, data_set: bytes | memoryview, sop_class: str, sop_uid: str, transfer_syntax: str
    ) -> StoreAnswer:
        """Send one instance, its data set encoded in `transfer_syntax` and without file meta information.

        Raises:
            AssociationRejected: NET-113, the peer accepted no context for this class in this transfer syntax.
        """
        fields: Command = {"AffectedSOPInstanceUID": sop_uid, "Priority": MEDIUM_PRIORITY}
        async with aclosing(
            self.request(Operation.C_STORE, sop_class, transfer_syntax, data_set=data_set, fields=fields)
        ) as responses:
            async for response in responses:
                return StoreAnswer(response.status, response.comment)
        raise AssociationAborted("no response")

    async def find(
        self, sop_class: str, identifier: bytes, transfer_syntax: str = IMPLICIT_VR_LITTLE_ENDIAN
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield status and identifier of every response, the final one too (its identifier is empty).

        Leaving the loop early sends C-CANCEL and reads to the end.
        """
        fields: Command = {"Priority": MEDIUM_PRIORITY}
        async with aclosing(
            self.request(Operation.C_FIND, sop_class, transfer_syntax, data_set=identifier, fields=fields)
        ) as responses:
            async for response in responses:
                yield response.status, response.data_set or b""

    async def request(
        self,
        operation: Operation,
        sop_class: str,
        transfer_syntax: str,
        *,
        data_set: bytes | memoryview | None = None,
        fields: Mapping[str, Value] | None = None,
    ) -> AsyncGenerator[Response, None]:
        """Send any DIMSE request and yield its responses, the final one last.

        Args:
            operation: Which request.
            sop_class: Abstract syntax of the context, and the SOP class of the request unless `fields` name another.
            transfer_syntax: In which `data_set` is encoded.
            data_set: What follows the command; None for nothing.
            fields: Further command elements by keyword.

        Raises:
            AssociationRejected: NET-113, no such context was accepted.
            AssociationAborted: NET-114.
            NoAnswer: NET-111, silence for `limits.association_idle_s`; the association is aborted.
        """
        context_id = self.contexts.get((sop_class, transfer_syntax))
        if context_id is None:
            raise AssociationRejected("no presentation context accepted for this SOP class and transfer syntax")
        async with aclosing(self._exchange(context_id, operation, sop_class, data_set, fields)) as responses:
            async for response in responses:
                yield response

    async def _exchange(
        self,
        context_id: int,
        operation: Operation,
        sop_class: str,
        data_set: bytes | memoryview | None = None,
        fields: Mapping[str, Value] | None = None,
    ) -> AsyncGenerator[Response, None]:
        async with self._turn:
            self._last_id = self._last_id % 0xFFFF + 1
            command: Command = {
                "CommandField": int(operation),
                "MessageID": self._last_id,
                "CommandDataSetType": NO_DATA_SET if data_set is None else dimse.HAS_DATA_SET,
                **(fields or {}),
            }
            if "RequestedSOPClassUID" not in command:
                command.setdefault("AffectedSOPClassUID", sop_class)
            await self._send(context_id, command, data_set)
            is_final = False
            try:
                while not is_final:
                    response = await self._response()
                    is_final = not is_pending(response.status)
                    yield response
            except GeneratorExit:
                if not is_final:
                    await self._cancel(context_id)
                raise

    async def _send(self, context_id: int, command: Command, data_set: bytes | memoryview | None) -> None:
        head = dimse.p_data(context_id, True, dimse.encode(command), self._max_pdu)
        if data_set is None:
            self._say(head)
            return
        room = dimse.payload_bytes(self._max_pdu)
        step = max(_CHUNK_BYTES // room, 1) * room
        view = memoryview(data_set)
        for start in range(0, len(view) or 1, step):
            part = view[start : start + step]
            data = dimse.p_data(context_id, False, part, self._max_pdu, ends=start + step >= len(view))
            self._say(head + data)
            head = b""
            if start + step < len(view):
                async with self._deadline():
                    await self._connection.drain()

    def _say(self, data: bytes) -> None:
        if not self._connection.association.may_send:
            raise self._connection.error or AssociationAborted("association is over")
        self._connection.association.send_data(data)
        self._connection.flush()

    async def _response(self) -> Response:
        async with self._deadline():
            return await self._connection.response()

    async def _cancel(self, context_id: int) -> None:
        command: Command = {
            "CommandField": int(Operation.C_CANCEL),
            "MessageIDBeingRespondedTo": self._last_id,
            "CommandDataSetType": NO_DATA_SET,
        }
        self._say(dimse.p_data(context_id, True, dimse.encode(command), self._max_pdu))
        while is_pending((await self._response()).status):
            pass

    async def _release(self) -> None:
        connection = self._connection
        if connection.association.may_send:
            connection.association.release()
            connection.flush()
            async with self._deadline():
                await connection.closed

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.association_idle_s):
                yield
        except TimeoutError as cause:
            error = NoAnswer(self._limits.association_idle_s)
            self._connection.abort(AssociationError("no answer"))
            raise error from cause


async def _connected(
    host: str, port: int, request: AssociateRequest, limits: Limits, ssl_context: ssl.SSLContext | None
) -> RequestorConnection:
    try:
        async with asyncio.timeout(limits.association_request_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: RequestorConnection(request, limits), host, port, ssl=ssl_context
            )
    except TimeoutError as cause:
        raise NoAnswer(limits.association_request_s) from cause
    except OSError as cause:
        raise Unreachable("cannot connect") from cause
    return connection


async def _accepted(connection: RequestorConnection) -> AssociateAccept:
    try:
        async with asyncio.timeout(connection.limits.association_request_s):
            return await asyncio.shield(connection.accepted)
    except TimeoutError as cause:
        raise NoAnswer(connection.limits.association_request_s) from cause
