"""What a mapping may know besides its source: nothing that changes while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.core.limits import DEFAULT_LIMITS
from engine.records.issuer import IssuerTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The site, and the listener that took the message."""

    issuers: IssuerTable = field(default_factory=IssuerTable)
    default_issuer: str = ""
    """Key of identifiers whose sender names no assigning authority."""
    timezone: str = "UTC"
    """IANA name; what times without an offset mean when a target must have one."""
    most_steps: int = DEFAULT_LIMITS.mapping_steps
    most_bytes: int = DEFAULT_LIMITS.mapping_result_bytes
    """What one run may cost and make (MAP-205)."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """What paths such as `site.name` read, by their whole name."""
