"""Whether what a mapping writes exists in the version of HL7 v2 that its receiver speaks.

Receivers ignore what their version does not have, so this is a warning: the mapping may say nothing to them.
Source: HL7 v2.5.1 chapter 2.8 (version compatibility).
"""

from __future__ import annotations

from engine.hl7.location import Location
from engine.hl7.structure import infer_structure
from engine.hl7.version_table import message_structure, segment_fields, table_version
from engine.mapping.build import Entry
from engine.mapping.document import MappingDocument
from engine.mapping.place import Document, Flaw, KeyPath
from engine.mapping.target import hl7_place

_CODE = "MAP-106"


def mapping_flaws(entry: Entry) -> list[Flaw]:
    """Return what a mapping sets that its own `version:` does not have."""
    said, document = entry.said, entry.document
    return [
        Flaw(document.key_place(at), _CODE, f"{what} is not in HL7 {said.version}", "warning")
        for at, what in _strangers(said, said.version)
    ]


def destination_flaws(said: MappingDocument, version: str, *, route: Document, at: KeyPath) -> list[Flaw]:
    """Return what a mapping sets that the version of a route's destination does not have.

    Args:
        said: The mapping.
        version: The destination's.
        route: The document of the route.
        at: Where the route names the destination.
    """
    place = route.place(at)
    return [
        Flaw(place, _CODE, f"{what}, which the mapping sends, is not in HL7 {version}", "warning")
        for _, what in _strangers(said, version)
    ]


def _strangers(said: MappingDocument, version: str) -> list[tuple[KeyPath, str]]:
    """Return (place in the mapping, name) of what a version does not have; of an unknown segment no fields are told."""
    if said.target != "hl7v2" or said.message is None:
        return []
    version = table_version(version)
    found: dict[str, KeyPath] = {}
    kind, trigger = said.message.split("^")[:2]
    names = {infer_structure(kind, trigger), f"{kind}_{trigger}", kind} - {""}
    if not any(message_structure(version, name) for name in names):
        found[f"{kind}^{trigger}"] = ("message",)
    for key in said.rules:
        place = hl7_place(key)
        if place is None or place.field is None or place.segment.startswith("Z"):
            continue
        fields = segment_fields(version, place.segment)
        if fields is None:
            found.setdefault(place.segment, ("set", key))
        elif place.field > len(fields) or fields[place.field - 1].is_withdrawn:
            found.setdefault(Location(place.segment, 1, place.field).path, ("set", key))
    return [(at, what) for what, at in found.items()]
