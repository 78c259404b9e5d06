"""What every home of stored objects can do; ingest and delivery know only this."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from engine.core.ids import BlobKey


class Writer(Protocol):
    """One object on its way in. Nothing of it can be read back by key before `commit` has returned."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, fragment: bytes | memoryview) -> None:
        """Append `fragment`. Does not wait for the disk.

        Raises:
            OutOfSpace: STO-101. WriteFailed: STO-103.
        """
        ...

    def contents(self) -> AbstractContextManager[memoryview]:
        """Give what has been written so far, to be looked at before it is committed."""
        ...

    def commit(self) -> tuple[BlobKey, int]:
        """Make the object durable and return its key and size [bytes]. Blocks: call it in a sync thread.

        An object that exists already is kept once.

        Raises:
            OutOfSpace: STO-101. WriteFailed: STO-103, and the store takes nothing more.
        """
        ...

    def discard(self) -> None:
        """Forget what was written; harmless after `commit` or a second time."""
        ...


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found."""

    unfinished: int = 0
    """Temporary files, removed."""
    orphans: int = 0
    """Objects that no row knows, set aside."""


class BlobStore(Protocol):
    """Content-addressed home of objects: the key is the SHA-256 of the bytes."""

    def check_space(self) -> None:
        """Return while there is room above the floor.

        Raises:
            OutOfSpace: STO-101. WriteFailed: STO-103, an earlier sync failed.
        """
        ...

    def begin(self) -> Writer:
        """Start a new object.

        Raises:
            OutOfSpace: STO-101, free space is under the floor. WriteFailed: STO-103, an earlier sync failed.
        """
        ...

    def put(self, content: bytes) -> BlobKey:
        """Store `content` and return its key once it is durable. Blocks; raises what `begin` and `commit` raise."""
        ...

    def open(self, key: BlobKey) -> BinaryIO:
        """Open an object for reading, after its digest was checked. Blocks for the length of one read.

        Raises:
            DamagedBlob: STO-104, its bytes are not those that were stored; it is set aside and never served.
            MissingBlob: STO-104, it is not here.
        """
        ...

    def read(self, key: BlobKey) -> bytes:
        """Return the whole object, checked; raises what `open` raises."""
        ...

    def has(self, key: BlobKey) -> bool:
        """Return whether the object is here; its bytes are not looked at."""
        ...

    def sweep(self, known: Callable[[BlobKey], bool]) -> Swept:
        """Remove what a crash left behind: unfinished objects, and objects for which `known` is false.

        Only what is older than this store object is looked at, so intake may be open meanwhile.
        """
        ...

    def free_bytes(self) -> int | None:
        """Return the free space [bytes], or None when the store has no such bound."""
        ...
