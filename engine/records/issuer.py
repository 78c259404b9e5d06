"""Who assigned an identifier: one table for HL7 namespaces, OIDs, DICOM issuers and FHIR systems.

An issuer key is the site's short name when the table knows the issuer, else the most specific thing the sender said.
Two identifiers are the same only when value and key are the same: hospital A's 12345 is not hospital B's.
Source: HL7 v2 HD, DICOM PS3.3 table 10-18 (HL7v2 Hierarchic Designator), FHIR R4 Identifier.system.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_OWN_URI = "urn:isthmus:issuer:"
"""What a key without a URI or an OID is called in FHIR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One row of `issuers:` in isthmus.yaml."""

    key: str
    namespaces: tuple[str, ...] = ()
    oid: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class IssuerTable:
    """Looks an issuer up by any of its names."""

    issuers: tuple[Issuer, ...] = ()
    _by_name: dict[str, Issuer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", dict(self._names()))

    def _names(self) -> Iterable[tuple[str, Issuer]]:
        for issuer in self.issuers:
            yield _fold(issuer.key), issuer
            for namespace in issuer.namespaces:
                yield _fold(namespace), issuer
            if issuer.oid:
                yield _fold(issuer.oid), issuer
                yield _fold(f"urn:oid:{issuer.oid}"), issuer
            if issuer.uri:
                yield _fold(issuer.uri), issuer

    def key(self, namespace: str = "", universal_id: str = "") -> str:
        """Return the key of an HD (or of a FHIR system given as `universal_id`); "" when nothing was said."""
        universal_id = universal_id.strip().removeprefix(_OWN_URI)
        for name in (universal_id, namespace):
            found = self._by_name.get(_fold(name)) if name else None
            if found is not None:
                return found.key
        plain = universal_id.removeprefix("urn:oid:")
        return plain or namespace.strip().upper()

    def uri(self, key: str) -> str:
        """Return the FHIR `Identifier.system` of a key; "" for the empty key."""
        issuer = self._by_name.get(_fold(key))
        if issuer is not None and issuer.uri:
            return issuer.uri
        oid = issuer.oid if issuer is not None else key
        if oid and all(part.isdigit() for part in oid.split(".")) and "." in oid:
            return f"urn:oid:{oid}"
        return key if ":" in key or not key else f"{_OWN_URI}{key}"

    def hd(self, key: str) -> tuple[str, str, str]:
        """Return (namespace, universal id, universal id type) for an HL7 HD or a DICOM issuer."""
        issuer = self._by_name.get(_fold(key))
        if issuer is None:
            return (key, "", "")
        return (issuer.namespaces[0] if issuer.namespaces else issuer.key, issuer.oid, "ISO" if issuer.oid else "")


def _fold(name: str) -> str:
    return name.strip().casefold()
