"""A Core statement compiled once and run on the driver's cursor: the hot path spends its time in the database.

`Connection.execute` costs 40 us a statement, several times what SQLite needs for an indexed row
(docs/decisions/0002). The SQL is still SQLAlchemy's, for whichever database the engine runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement


class Statement:
    """A Core statement; parameters are `bindparam`s, none of them expanding (no `IN`); literals stay as they are."""

    __slots__ = ("_core", "_dialect", "_fixed", "_names", "_sql")

    def __init__(self, core: ClauseElement) -> None:
        self._core = core
        self._dialect = ""
        self._sql = ""
        self._names: tuple[str, ...] | None = None
        self._fixed: dict[str, Any] = {}

    def sql(self, dialect: Dialect) -> str:
        """Return the text for a database, compiled at the first call."""
        if self._dialect != dialect.name:
            compiled = cast("SQLCompiler", self._core.compile(dialect=dialect))
            self._sql = str(compiled)
            self._names = tuple(compiled.positiontup or ()) if compiled.positional else None
            self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
            self._dialect = dialect.name
        return self._sql

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver takes them; call `sql` before."""
        if self._fixed:
            values = {**self._fixed, **values}
        if self._names is None:
            return values
        return [values[name] for name in self._names]
