"""An incoming instance: bytes to a file, header to a fact, and success only when both are safe.

While the data set streams in, the loop does nothing but hand fragments to the file. All that costs (reading the header,
digests, the sync) runs in a sync thread. Then the fact goes to the records, and the sender hears success after their
commit.
Source: DESIGN section 3; spec/reliability.md sections 1 and 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from engine.archive.index import check_command, index, instance_fact
from engine.archive.part10 import file_head
from engine.blobs.store import BlobStore, Writer
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.dataset_error import InstanceTooLarge, InvalidUid
from engine.dicom.uid import is_uid
from engine.records.fact import InstanceFact

Accept = Callable[[InstanceFact], Awaitable[None]]
"""Applies a fact to the records; returns after the commit, or raises why the instance is refused."""


class Sender(Protocol):
    """Who sends the instance."""

    @property
    def calling_ae(self) -> str:
        """AE title of the sender, trimmed."""
        ...


class Ingest:
    """Takes instances in; one for all associations."""

    def __init__(
        self, blobs: BlobStore, sync_pool: ThreadPoolExecutor, accept: Accept, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        """Store objects in `blobs`, do what blocks in `sync_pool`, hand every stored instance to `accept`."""
        self._blobs = blobs
        self._pool = sync_pool
        self._accept = accept
        self._limits = limits

    def begin(self, *, sop_class: str, sop_uid: str, transfer_syntax: str, peer: Sender) -> Receiving:
        """Start on an instance that a command announced.

        Raises:
            InvalidUid: DCM-111, the command's own UIDs are none.
            OutOfSpace: STO-101. WriteFailed: STO-103.
        """
        for uid, keyword in ((sop_class, "AffectedSOPClassUID"), (sop_uid, "AffectedSOPInstanceUID")):
            if not is_uid(uid):
                raise InvalidUid(where=keyword)
        writer = self._blobs.begin()
        receiving = Receiving(
            writer,
            self._pool,
            self._accept,
            self._limits,
            sop_class=sop_class,
            sop_uid=sop_uid,
            transfer_syntax=transfer_syntax,
            source_ae=peer.calling_ae,
        )
        receiving.open()
        return receiving


class Receiving:
    """One instance on its way in: `write` fragments, then `finish` or `discard`."""

    __slots__ = (
        "_accept",
        "_data_set_at",
        "_is_handed_over",
        "_limits",
        "_pool",
        "_sop_class",
        "_sop_uid",
        "_source_ae",
        "_syntax",
        "_writer",
    )

    def __init__(
        self,
        writer: Writer,
        pool: ThreadPoolExecutor,
        accept: Accept,
        limits: Limits,
        *,
        sop_class: str,
        sop_uid: str,
        transfer_syntax: str,
        source_ae: str,
    ) -> None:
        self._writer = writer
        self._pool = pool
        self._accept = accept
        self._limits = limits
        self._sop_class = sop_class
        self._sop_uid = sop_uid
        self._syntax = transfer_syntax
        self._source_ae = source_ae
        self._data_set_at = 0
        self._is_handed_over = False

    def open(self) -> None:
        """Write what stands before the data set."""
        head = file_head(self._sop_class, self._sop_uid, self._syntax)
        self._data_set_at = len(head)
        self._write(head)

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the data set; the view is not kept.

        Raises:
            InstanceTooLarge: DCM-113. OutOfSpace: STO-101. WriteFailed: STO-103. Nothing is kept then.
        """
        if self._writer.size - self._data_set_at + len(fragment) > self._limits.instance_bytes:
            self._writer.discard()
            raise InstanceTooLarge(limit_bytes=self._limits.instance_bytes)
        self._write(fragment)

    def _write(self, fragment: bytes | memoryview) -> None:
        try:
            self._writer.write(fragment)
        except BaseException:
            self._writer.discard()
            raise

    async def finish(self) -> None:
        """Make the instance durable and apply it to the records.

        Raises:
            UnreadableDataSet: DCM-110. UidMismatch, InvalidUid: DCM-111. MissingAttribute: DCM-112.
            StorageError: STO-101, STO-103.
            EngineError: what `accept` refuses it for.
        """
        self._is_handed_over = True
        work = self._pool.submit(self._settle)
        try:
            fact = await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if work.cancelled():  # it had not begun; otherwise the thread tidies up itself
                self._writer.discard()
            raise
        await self._accept(fact)

    def discard(self) -> None:
        """Forget the instance: its association ended before it was complete. After `finish` this does nothing."""
        if not self._is_handed_over:
            self._writer.discard()

    def _settle(self) -> InstanceFact:
        """Index and commit; in a sync thread."""
        try:
            with self._writer.contents() as content:
                indexed = index(content, self._syntax, self._limits, start=self._data_set_at)
            check_command(indexed.texts, sop_class=self._sop_class, sop_uid=self._sop_uid)
            key, _ = self._writer.commit()
        finally:
            self._writer.discard()
        return instance_fact(
            indexed,
            transfer_syntax=self._syntax,
            blob=key,
            size_bytes=self._writer.size,
            source_ae=self._source_ae,
        )
