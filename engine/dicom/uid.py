"""Unique identifiers: what counts as one, and how ours are made."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid4, uuid5

LIMIT_CHARACTERS: Final = 64

_TOLERANT = re.compile(r"[0-9.]{1,64}")
_STRICT = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_NAMESPACE: Final = UUID("6d6b8c1e-3f0a-5d52-9a4e-7b1f0c5e2a90")
"""Root of all derived UIDs. It may never change: the same order must give the same Study Instance UID for ever."""


def is_uid(text: str) -> bool:
    """Return whether `text` can be stored and compared as a UID: digits and dots, at most 64 characters.

    Tolerant on purpose: modalities send components with leading zeros, and refusing them loses images.

    Source: spec/reliability.md section 4, DCM-111.
    """
    return _TOLERANT.fullmatch(text) is not None


def is_strict_uid(text: str) -> bool:
    """Return whether `text` keeps every rule for a UID; ours always do.

    Source: DICOM PS3.5 section 9.1.
    """
    return len(text) <= LIMIT_CHARACTERS and _STRICT.fullmatch(text) is not None


def derived_uid(*parts: str) -> str:
    """Return the UID that belongs to `parts`: same parts, same UID, on every machine and after every restart.

    The parts are joined with their lengths, so ("AB", "C") and ("A", "BC") give different UIDs.

    Source: DICOM PS3.5 B.2 (UUID under 2.25), RFC 9562 section 5.5 (name-based UUID, version 5).
    """
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return f"2.25.{uuid5(_NAMESPACE, name).int}"


def new_uid() -> str:
    """Return a UID that nobody has used before.

    Source: DICOM PS3.5 B.2, RFC 9562 section 5.4 (random UUID, version 4).
    """
    return f"2.25.{uuid4().int}"
