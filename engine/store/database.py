"""Opens the database: connection settings that keep the promise of AA, and migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

from engine.store.errors import NotDurable

_FULL = 2
"""SQLite's number for `synchronous=FULL`."""


def open_engine(url: str) -> Engine:
    """Return an engine for `url` (`sqlite:///…`), each connection set to WAL with FULL synchronisation.

    Raises:
        NotDurable: STO-102, the database would not keep the settings (checked on every connection).
    """
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by us, so that savepoints work
        cursor = connection.cursor()
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        cursor.execute("PRAGMA synchronous=FULL")
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-65536")
        cursor.execute("PRAGMA mmap_size=268435456")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()
        if str(mode).lower() != "wal" or level != _FULL:
            raise NotDurable("the database does not keep journal_mode=WAL with synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def alembic_config(url: str) -> Config:
    """Return the migration settings for `url`."""
    config = Config()
    config.set_main_option("script_location", "engine.store:migrations")
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(url: str) -> None:
    """Bring the database of `url` to the newest revision; an empty one is created."""
    command.upgrade(alembic_config(url), "head")
