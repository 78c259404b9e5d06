"""The data folder: where records and objects live, and that only one engine uses it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.core.errors import ConfigError


class FolderInUse(ConfigError):
    """CFG-130: another engine runs on this data folder."""

    code = "CFG-130"


class FolderUnusable(ConfigError):
    """CFG-131: the data folder cannot be made or written."""

    code = "CFG-131"


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner can read."""
    return os.open(path, flags, 0o600)


@dataclass(slots=True)
class DataFolder:
    """`DIR/isthmus.db`, `DIR/blobs`, and a lock held as long as the engine runs."""

    path: Path
    _lock: IO[str] | None = None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "isthmus.db"

    @property
    def blobs(self) -> Path:
        """The folder of stored objects."""
        return self.path / "blobs"

    def take(self) -> None:
        """Make the folder if it is missing and lock it.

        Raises:
            FolderInUse: CFG-130, another engine holds the lock.
            FolderUnusable: CFG-131, it cannot be made or written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = open(self.path / "lock", "w", opener=_private)  # noqa: SIM115  # Path.open takes no opener
            os.close(
                _private(str(self.database), os.O_WRONLY | os.O_CREAT)
            )  # SQLite gives its other files the same mode
        except OSError as cause:
            raise FolderUnusable(f"{self.path}: {cause.strerror or cause}") from cause
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            lock.close()
            raise FolderInUse("another engine runs on this data folder") from cause
        self._lock = lock

    def release(self) -> None:
        """Unlock it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
