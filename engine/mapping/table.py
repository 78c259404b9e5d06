"""Code tables: what `lookup` reads. One CSV file each under mappings/tables/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Two columns: a code of theirs, a code of ours. Case and surrounding spaces of their code do not matter.

    A row for `*` is what every other code becomes.
    """

    name: str
    rows: Mapping[str, str]
    """By folded key; without the row for `*`."""
    default: str | None = None
