"""Takes FHIR resources: reads and maps them off the writer, applies and journals in one unit of work, then answers.

The same way as an HL7 message takes (engine/broker/intake.py): one truth in two languages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from engine.blobs.store import BlobStore
from engine.config.site import Site
from engine.core.ids import RowId
from engine.core.limits import Limits
from engine.records.exchange import Peer
from engine.store.reader import Reader
from engine.store.writer import Writer


class Preference(StrEnum):
    """What `Prefer: return=` asks to be answered with."""

    MINIMAL = "minimal"
    REPRESENTATION = "representation"
    OUTCOME = "OperationOutcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A request to create a resource."""

    body: bytes
    peer: Peer
    base_url: str
    """Our own base, such as `http://host:8080/fhir`; references that start with it are ours."""
    preference: Preference = Preference.REPRESENTATION
    if_none_exist: str = ""
    """Query of a conditional create, "" when there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send back; only handed out after the commit."""

    status: int
    """HTTP."""
    body: bytes
    """FHIR JSON; empty for `return=minimal`."""
    id: RowId | None = None
    """Logical id of the resource; None when there is none."""
    version: str = ""
    last_modified: datetime | None = None
    code: str = ""
    """Why it was refused (docs/errors.md); "" otherwise."""


class ResourceIntake:
    """Accepts FHIR resources; one per engine."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        writer: Writer,
        reader: Reader,
        blobs: BlobStore,
        wake: Callable[[str], None],
        limits: Limits,
    ) -> None:
        self.counts: dict[str, int] = {}

    async def create_service_request(self, posted: Posted) -> Answer:
        """Take a ServiceRequest; returns once it is durable, refused ones too.

        Raises:
            StorageError: nothing was kept; answer 503.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the thread that validates large bodies."""
