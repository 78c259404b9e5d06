"""Modality worklist C-FIND: one pending response per scheduled step, C-CANCEL heard between them.

Source: DICOM PS3.4 annex K; PS3.7 section 9.1.2; spec/worklist.md section 4.4.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from typing import Final

from engine.connectors.dicom.service import Reply, Request, WorklistSource
from engine.core.errors import PeerError
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.command import Operation, text
from engine.dicom.errors import SopClassNotSupported
from engine.dicom.sop_class import MODALITY_WORKLIST_FIND, UNCOMPRESSED
from engine.dicom.status import CANCELLED, SUCCESS

_ANSWERS_A_WRITE: Final = 32
"""Responses that may leave together; between such groups the peer's C-CANCEL is heard."""


class _Find:
    def __init__(self, source: WorklistSource, request: Request, reply: Reply, limit_bytes: int) -> None:
        self._source = source
        self._request = request
        self._reply = reply
        self._limit_bytes = limit_bytes
        self._identifier = bytearray()

    def write(self, fragment: bytes | memoryview) -> None:
        """Collect the identifier.

        Raises:
            PeerError: DCM-120, longer than the limit.
        """
        self._identifier += fragment
        if len(self._identifier) > self._limit_bytes:
            raise PeerError(f"identifier longer than {self._limit_bytes} bytes", code="DCM-120")

    async def finish(self) -> None:
        """Answer each match, then say that was all, or that it was cancelled."""
        reply, request = self._reply, self._request
        answers = self._source.answers(bytes(self._identifier), request.transfer_syntax, request.peer)
        sent = 0
        try:
            async for status, identifier in answers:
                if reply.is_cancelled:
                    break
                reply.send(status, data_set=identifier)
                sent += 1
                if sent % _ANSWERS_A_WRITE == 0:
                    await reply.drain()
        finally:
            if isinstance(answers, AsyncGenerator):
                await answers.aclose()
        reply.send(CANCELLED if reply.is_cancelled else SUCCESS)

    def discard(self) -> None:
        """Forget it."""
        self._identifier.clear()


class WorklistService:
    """Answers modality worklist queries from a source.

    Args:
        source: Who knows the scheduled steps.
        limits: For the size of an identifier.
    """

    operations = frozenset({int(Operation.C_FIND)})
    keeps_going = False

    def __init__(self, source: WorklistSource, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._source = source
        self._limit_bytes = limits.identifier_bytes

    def transfer_syntaxes(self, abstract_syntax: str) -> Collection[str] | None:
        """Take the worklist FIND SOP class in any uncompressed transfer syntax."""
        return UNCOMPRESSED if abstract_syntax == MODALITY_WORKLIST_FIND else None

    def begin(self, request: Request, reply: Reply) -> _Find:
        """Start on a query.

        Raises:
            PeerError: DCM-115 for another SOP class, DCM-120 without an identifier.
        """
        if text(request.command, "AffectedSOPClassUID") != request.abstract_syntax:
            raise SopClassNotSupported
        if not request.has_data_set:
            raise PeerError("identifier is required", code="DCM-120")
        return _Find(self._source, request, reply, self._limit_bytes)
