"""The third kind of nothing: a sender's explicit "erase this".

Absent (`None`) says nothing and keeps the old value; empty text does the same but was written; `NULL` (`""`) erases.
Source: HL7 v2.5.1 chapter 2.5.3.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class Explicit(Enum):
    """Values that are statements rather than data."""

    NULL = "null"

    def __bool__(self) -> bool:
        """A null is no value, so `a or b` goes on to `b`."""
        return False


NULL: Final = Explicit.NULL

Stated = str | Literal[Explicit.NULL] | None
"""What a sender said about a text attribute: a value, an erasure, or nothing."""


def updated(old: str, said: Stated) -> str:
    """Return the value after a sender said `said` about an attribute that held `old`."""
    if said is NULL:
        return ""
    return said or old


def plain(said: Stated) -> str:
    """Return the text that was said, "" for nothing and for an erasure: how a new record reads a statement."""
    return said if isinstance(said, str) else ""
