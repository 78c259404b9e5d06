"""What can go wrong between the engine and its database."""

from __future__ import annotations

from engine.core.errors import ConfigError, StorageError


class DatabaseDown(StorageError):
    """STO-102: the database refused a write; nothing of the batch was kept and nothing is answered."""

    code = "STO-102"


class DiskFull(StorageError):
    """STO-101: no room for the write; nothing of the batch was kept and nothing is answered."""

    code = "STO-101"


class SyncFailed(StorageError):
    """STO-103: the disk did not confirm a write. Final: intake stops until the operator has looked."""

    code = "STO-103"


class NotDurable(ConfigError):
    """The database does not hold what AA promises (WAL with synchronous=FULL); the engine does not start."""

    code = "STO-102"
