"""C-STORE: instances stream into a sink as they arrive, and success is said when the sink says durable.

Every storage SOP class in every transfer syntax that is not deflated, stored as received.
Source: DICOM PS3.4 annex B; PS3.7 section 9.1.1; spec/reliability.md section 4.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from engine.connectors.dicom.service import InstanceSink, Receiving, Reply, Request
from engine.core.errors import PeerError
from engine.dicom.command import Operation, text
from engine.dicom.errors import SopClassNotSupported
from engine.dicom.sop_class import KNOWN_UIDS, STORABLE_SYNTAXES, STORAGE_CLASSES, TRANSFER_SYNTAXES
from engine.dicom.status import SUCCESS

_UID: Final = re.compile(r"[0-9.]{1,64}")


class _Store:
    __slots__ = ("_receiving", "_reply", "discard", "write")

    def __init__(self, receiving: Receiving, reply: Reply) -> None:
        self._receiving = receiving
        self._reply = reply
        self.write = receiving.write
        self.discard = receiving.discard

    async def finish(self) -> None:
        """Wait until the instance is durable and applied, then say so."""
        await self._receiving.finish()
        self._reply.send(SUCCESS)


class StorageService:
    """Receives instances.

    Args:
        sink: Where they go.
        accept_unknown: Also take private SOP classes and others that no table lists.
        accept_deflated: Also take deflated transfer syntaxes.
    """

    operations = frozenset({int(Operation.C_STORE)})
    keeps_going = True

    def __init__(self, sink: InstanceSink, *, accept_unknown: bool = False, accept_deflated: bool = False) -> None:
        self._sink = sink
        self._accept_unknown = accept_unknown
        self._syntaxes = frozenset(TRANSFER_SYNTAXES) if accept_deflated else STORABLE_SYNTAXES

    def transfer_syntaxes(self, abstract_syntax: str) -> Collection[str] | None:
        """Take storage SOP classes, and unknown ones when told to; never one that PS3.6 uses for something else."""
        if abstract_syntax in STORAGE_CLASSES or (self._accept_unknown and abstract_syntax not in KNOWN_UIDS):
            return self._syntaxes
        return None

    def begin(self, request: Request, reply: Reply) -> _Store:
        """Open a place for the instance.

        Raises:
            PeerError: DCM-110 without a data set, DCM-111 bad UID, DCM-112 UID missing, DCM-115 other SOP class.
            StorageError: STO-101, no room.
        """
        sop_class = text(request.command, "AffectedSOPClassUID")
        sop_uid = text(request.command, "AffectedSOPInstanceUID")
        for keyword, uid in (("AffectedSOPClassUID", sop_class), ("AffectedSOPInstanceUID", sop_uid)):
            if not uid:
                raise PeerError(f"{keyword} is required", where=keyword, code="DCM-112")
        if sop_class != request.abstract_syntax:
            raise SopClassNotSupported
        if not _UID.fullmatch(sop_uid):
            raise PeerError("UID must be 1 to 64 of 0-9 and .", where="AffectedSOPInstanceUID", code="DCM-111")
        if not request.has_data_set:
            raise PeerError("cannot read data set at byte 0", code="DCM-110")
        return _Store(
            self._sink.begin(
                sop_class=sop_class, sop_uid=sop_uid, transfer_syntax=request.transfer_syntax, peer=request.peer
            ),
            reply,
        )
