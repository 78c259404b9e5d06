"""A Core statement compiled once and run on the driver's cursor: the hot path spends its time in the database.

`Connection.execute` costs 40 us a statement, several times what SQLite needs for an indexed row
(docs/decisions/0002). The SQL is still SQLAlchemy's, for whichever database the engine runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement


class Statement:
    """A Core statement; parameters are `bindparam`s, none of them expanding (no `IN`); literals stay as they are."""

    __slots__ = ("_core", "_dialect", "_fixed", "_in_order", "_sql")

    def __init__(self, core: ClauseElement) -> None:
        self._core = core
        self._dialect = ""
        self._sql = ""
        self._in_order: Callable[[Mapping[str, Any]], Any] | None = None
        self._fixed: dict[str, Any] = {}

    def sql(self, dialect: Dialect) -> str:
        """Return the text for a database, compiled at the first call."""
        if self._dialect != dialect.name:
            compiled = cast("SQLCompiler", self._core.compile(dialect=dialect))
            self._sql = str(compiled)
            self._in_order = _in_order(compiled.positiontup or ()) if compiled.positional else None
            self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
            self._dialect = dialect.name
        return self._sql

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters as the driver takes them; call `sql` before."""
        if self._fixed:
            values = {**self._fixed, **values}
        return values if self._in_order is None else self._in_order(values)


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what takes the values of parameters, in the order of their places."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]
