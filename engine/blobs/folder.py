"""Stored objects as plain files: `objects/abc/<digest>`, written under `tmp/` first.

A name appears only when its bytes are on the disk: write, start the write-out, digest, sync the file, rename, sync the
folder. Files are 0600, folders 0700. Nothing a peer says becomes part of a path.
Source: spec/reliability.md section 1 (invariants 1, 9, 12); figures in spec/performance.md section 8.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from engine.blobs.errors import DamagedBlob, MissingBlob, OutOfSpace, WriteFailed
from engine.blobs.flush import start_writing_out
from engine.blobs.store import Swept
from engine.core.ids import BlobKey
from engine.core.limits import DEFAULT_LIMITS, Limits

_IN_MEMORY: Final = 1024 * 1024
"""Largest object that is kept in memory while it arrives [bytes]; making a file costs the loop 0.2 ms."""
_EARLY: Final = 8 * 1024 * 1024
"""A large object is written out piece by piece while it arrives, so that the sync at its end is short."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_HEX: Final = frozenset("0123456789abcdef")


class FolderStore:
    """Content-addressed objects under one folder. Methods may be called from several threads."""

    def __init__(self, root: Path, limits: Limits = DEFAULT_LIMITS, *, grace_s: float = 0.0) -> None:
        """Open the store in `root`, making its folders when they are missing.

        Args:
            root: Ours alone, or shared with other processes of the engine.
            limits: For the disk floor.
            grace_s: How much older than this store a leftover must be to be swept [s]; with several processes on
                one folder longer than any of them takes from the first byte to the row.
        """
        self._root = root
        self._objects = root / "objects"
        self._temporary = root / "tmp"
        self._damaged = root / "damaged"
        self._orphans = root / "orphans"
        for folder in (root, self._objects, self._temporary, self._damaged, self._orphans):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._limits = limits
        self._known_folders: set[str] = set()
        self._naming = threading.Lock()
        self._failure: WriteFailed | None = None
        self._numbers = count()
        self._mark = f"{os.getpid():x}-{time.monotonic_ns():x}"
        self._swept_before_ns = self._disk_time_ns() - int(grace_s * 1e9)
        sync_folder(root)

    def _disk_time_ns(self) -> int:
        """Return the time by the clock that dates files: it lags behind the process's by some milliseconds."""
        probe = self._temporary / f"{self._mark}-opened"
        probe.touch(mode=0o600)
        dated = probe.stat().st_mtime_ns
        probe.unlink()
        return dated

    def begin(self) -> FolderWriter:
        """Start a new object; see `BlobStore.begin`."""
        self.check_space()
        return FolderWriter(self, self._temporary / f"{self._mark}-{next(self._numbers):x}")

    def put(self, content: bytes) -> BlobKey:
        """Store `content`; see `BlobStore.put`."""
        writer = self.begin()
        try:
            writer.write(content)
            return writer.commit()[0]
        finally:
            writer.discard()

    def path(self, key: BlobKey) -> Path:
        """Return where an object is, or would be. Its bytes are not checked: serve from `open`."""
        if len(key) != 64 or not _HEX.issuperset(key):
            raise MissingBlob
        return self._objects / key[:3] / key

    def has(self, key: BlobKey) -> bool:
        """Return whether the object is here."""
        return self.path(key).is_file()

    def open(self, key: BlobKey) -> BinaryIO:
        """Open an object after checking its digest; see `BlobStore.open`."""
        path = self.path(key)
        try:
            file = path.open("rb")
        except FileNotFoundError as cause:
            raise MissingBlob from cause
        try:
            is_whole = hashlib.file_digest(file, "sha256").hexdigest() == key
            size = file.tell()
            file.seek(0)
        except OSError:
            file.close()
            raise
        if not is_whole:
            file.close()
            self._set_aside(path, self._damaged)
            raise DamagedBlob(size_bytes=size)
        return file

    def read(self, key: BlobKey) -> bytes:
        """Return the whole object, checked."""
        path = self.path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError as cause:
            raise MissingBlob from cause
        if hashlib.sha256(content).hexdigest() != key:
            self._set_aside(path, self._damaged)
            raise DamagedBlob(size_bytes=len(content))
        return content

    def free_bytes(self) -> int:
        """Return the space [bytes] that is left to us on the disk of the store."""
        state = os.statvfs(self._root)
        return state.f_bavail * state.f_frsize

    def sweep(self, known: Callable[[BlobKey], bool]) -> Swept:
        """Clear what a crash left behind.

        Objects without a row are moved to `orphans/`, not removed: after a restore of an older database they are
        images whose senders were told success.
        """
        unfinished = sum(self._remove_old(entry) for entry in os.scandir(self._temporary))
        orphans = 0
        for folder in sorted(os.scandir(self._objects), key=lambda entry: entry.name):
            for entry in os.scandir(folder.path):
                key = BlobKey(entry.name)
                if self._is_old(entry) and not known(key):
                    with self._naming:  # the same bytes may be arriving again at this moment
                        if self._is_old(entry):
                            self._set_aside(Path(entry.path), self._orphans)
                            orphans += 1
        return Swept(unfinished=unfinished, orphans=orphans)

    def _is_old(self, entry: os.DirEntry[str]) -> bool:
        try:
            return os.stat(entry.path).st_mtime_ns < self._swept_before_ns  # noqa: PTH116  # not DirEntry.stat: that one is cached
        except FileNotFoundError:
            return False

    def _remove_old(self, entry: os.DirEntry[str]) -> bool:
        if entry.name.startswith(self._mark) or not self._is_old(entry):
            return False
        Path(entry.path).unlink(missing_ok=True)
        return True

    def _set_aside(self, path: Path, folder: Path) -> None:
        with suppress(FileNotFoundError):
            path.replace(folder / path.name)

    def check_space(self) -> None:
        """Return while there is room above the floor; see `BlobStore.check_space`."""
        if self._failure is not None:
            raise self._failure
        state = os.statvfs(self._root)
        free = state.f_bavail * state.f_frsize
        share = int(state.f_blocks * state.f_frsize * self._limits.disk_floor_share)
        floor = max(self._limits.disk_floor_bytes, share)
        if free < floor:
            raise OutOfSpace(free_bytes=free, floor_bytes=floor)

    def failed(self, step: str, cause: OSError) -> OutOfSpace | WriteFailed:
        """Return the error for a refused write; a failed sync closes the store until a restart."""
        if cause.errno in _FULL:
            return OutOfSpace(free_bytes=0, floor_bytes=self._limits.disk_floor_bytes)
        failure = WriteFailed(step=step, errno=cause.errno)
        if step == "sync":
            self._failure = failure
        return failure

    def name(self, temporary: Path, key: BlobKey) -> None:
        """Give a synced file its name and make the name durable. The same object twice is one file."""
        path = self.path(key)
        folder = path.parent
        if key[:3] not in self._known_folders:
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._objects)
            self._known_folders.add(key[:3])
        with self._naming:
            temporary.replace(path)
        sync_folder(folder)


class FolderWriter:
    """One object on its way into a `FolderStore`.

    Small ones stay in memory until `commit`, so that the loop does not wait for a file to be made.
    """

    __slots__ = ("_buffer", "_fd", "_path", "_started", "_store", "size")

    def __init__(self, store: FolderStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._buffer = bytearray()
        self._fd = -1
        self._started = 0
        self.size = 0

    def write(self, fragment: bytes | memoryview) -> None:
        """Append `fragment`."""
        self.size += len(fragment)
        if self._fd < 0:
            self._buffer += fragment
            if self.size > _IN_MEMORY:
                self._spill()
            return
        self._write(fragment)
        if self.size - self._started >= _EARLY:
            start_writing_out(self._fd, self._started, self.size - self._started)
            self._started = self.size

    def _spill(self) -> None:
        """Make the file and move into it what is in memory."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise self._store.failed("create", cause) from cause
        self._write(self._buffer)
        self._buffer = bytearray()

    def _write(self, fragment: bytes | bytearray | memoryview) -> None:
        left = memoryview(fragment)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as cause:
            raise self._store.failed("write", cause) from cause

    @contextmanager
    def contents(self) -> Iterator[memoryview]:
        """Give what has been written so far, without copying it."""
        if self._fd < 0:
            yield memoryview(self._buffer)
            return
        mapped = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
        try:
            with memoryview(mapped) as view:
                yield view
        finally:
            with suppress(BufferError):  # a traceback still holds a slice: the mapping ends when that does
                mapped.close()

    def commit(self) -> tuple[BlobKey, int]:
        """Make the object durable; see `Writer.commit`."""
        in_memory = self._buffer if self._fd < 0 else None
        if in_memory is not None:
            self._spill()
        try:
            start_writing_out(self._fd, self._started, self.size - self._started)
            key = self._digest(in_memory)
            os.fdatasync(self._fd)
            self._store.name(self._path, key)
        except OSError as cause:
            raise self._store.failed("sync", cause) from cause
        self._close()
        return key, self.size

    def _digest(self, in_memory: bytearray | None) -> BlobKey:
        if in_memory is not None:
            return BlobKey(hashlib.sha256(in_memory).hexdigest())
        with self.contents() as content:
            return BlobKey(hashlib.sha256(content).hexdigest())

    def discard(self) -> None:
        """Forget what was written; after `commit` this does nothing."""
        self._buffer = bytearray()
        if self._fd >= 0:
            self._close()
            with suppress(FileNotFoundError):
                self._path.unlink()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
