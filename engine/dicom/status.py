"""DIMSE statuses, and how one of our errors is said in them.

The number of each error code stands in `core.outcomes`.
Source: DICOM PS3.7 annex C; PS3.4 annexes B.2.3 and C.4.1.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.datadict import tag_for_keyword

from engine.core.errors import AccessError, EngineError, StorageError
from engine.core.outcomes import outcome_of
from engine.dicom.command import Value

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
PENDING_WITH_WARNING: Final = 0xFF01
CANCELLED: Final = 0xFE00
PROCESSING_FAILURE: Final = 0x0110
NOT_AUTHORISED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700

COMMENT_CHARACTERS: Final = 64
"""What VR LO holds."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A status other than success, with what says why."""

    status: int
    comment: str
    offending: tuple[int, ...] = ()

    def fields(self) -> dict[str, Value]:
        """Return Error Comment (0000,0902) and, when known, Offending Element (0000,0901)."""
        fields: dict[str, Value] = {"ErrorComment": self.comment}
        if self.offending:
            fields["OffendingElement"] = self.offending
        return fields


def failure_of(error: EngineError) -> Failure:
    """Return how the peer is told about `error`: the status of its code, code and text, the element it means."""
    status = outcome_of(error.code).dimse
    if status is None:
        status = (
            OUT_OF_RESOURCES
            if isinstance(error, StorageError)
            else NOT_AUTHORISED
            if isinstance(error, AccessError)
            else PROCESSING_FAILURE
        )
    comment = f"{error.code} {error.text}".encode("ascii", "replace").decode("ascii")[:COMMENT_CHARACTERS]
    return Failure(status, comment.rstrip(), _tags(error.where))


def is_pending(status: int) -> bool:
    """Whether more responses to the same request follow."""
    return status in (PENDING, PENDING_WITH_WARNING)


@lru_cache(maxsize=256)
def _tags(where: str | None) -> tuple[int, ...]:
    """Return the tag of the last keyword of a place such as `ScheduledProcedureStepSequence[0].Modality`."""
    keyword = (where or "").rpartition(".")[2].partition("[")[0]
    tag = tag_for_keyword(keyword) if keyword else None
    return () if tag is None else (tag,)
