"""Versions of HL7 v2: which one is meant, and which of two is newer.

A version only chooses the type of a few fields; it never refuses a message unless a listener asks for that.
Source: HL7 table 0104.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

KNOWN: Final = (
    "2.1",
    "2.2",
    "2.3",
    "2.3.1",
    "2.4",
    "2.5",
    "2.5.1",
    "2.6",
    "2.7",
    "2.7.1",
    "2.8",
    "2.8.1",
    "2.8.2",
    "2.9",
)
DEFAULT_VERSION: Final = "2.3.1"

_MOST_CHARACTERS: Final = 16
_NUMBERS = re.compile(r"\s*(\d{1,2})\.(\d{1,2})(?:\.(\d{1,2}))?", re.ASCII)


def version_tuple(version: str) -> tuple[int, int, int]:
    """Return a version as numbers to compare; unreadable ones are `DEFAULT_VERSION`."""
    return _version_tuple(version[:_MOST_CHARACTERS])


@lru_cache(maxsize=256)
def _version_tuple(version: str) -> tuple[int, int, int]:
    found = _NUMBERS.match(version)
    if found is None:
        return (2, 3, 1)
    return (int(found[1]), int(found[2]), int(found[3] or 0))


def is_at_least(version: str, minimum: tuple[int, int]) -> bool:
    """Say whether MSH-12 is `minimum` or newer. Blank and unreadable versions count as `DEFAULT_VERSION`."""
    return version_tuple(version)[:2] >= minimum


def nearest_version(version: str, among: tuple[str, ...] = KNOWN) -> str:
    """Return the newest of `among` that is not newer than `version`; the oldest when all are newer."""
    wanted = version_tuple(version)
    not_newer = [known for known in among if version_tuple(known) <= wanted]
    return max(not_newer or [min(among, key=version_tuple)], key=version_tuple)
