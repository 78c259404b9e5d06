"""What can go wrong with stored objects. Every one of them is for our operator, none for the sender."""

from __future__ import annotations

from engine.core.errors import StorageError


class OutOfSpace(StorageError):
    """Free space is under the floor, or the disk is full."""

    code = "STO-101"

    def __init__(self, *, free_bytes: int, floor_bytes: int) -> None:
        self.free_bytes = free_bytes
        self.floor_bytes = floor_bytes
        super().__init__("out of storage")


class WriteFailed(StorageError):
    """The disk refused a write or a sync. A failed sync is final: the store takes nothing more until a restart.

    Source: spec/reliability.md section 1, invariant 12.
    """

    code = "STO-103"

    def __init__(self, *, step: str, errno: int | None) -> None:
        self.step = step
        self.errno = errno
        super().__init__(f"{step} failed with error number {errno}")


class DamagedBlob(StorageError):
    """The bytes of a stored object are not those that were stored."""

    code = "STO-104"

    def __init__(self, *, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        super().__init__(f"stored object of {size_bytes} bytes is damaged")


class MissingBlob(StorageError):
    """A row names an object that is not in the store."""

    code = "STO-104"

    def __init__(self) -> None:
        super().__init__("stored object is missing")
