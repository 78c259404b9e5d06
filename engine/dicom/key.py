"""Reads the identifier of a worklist query into keys: what each attribute accepts, and what must come back.

Source: DICOM PS3.4 K.6.1.2, PS3.4 C.2.2.1.1; spec/worklist.md section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.dicom.dataset_error import MalformedIdentifier
from engine.dicom.dictionary import KEYWORD_OF_TAG, keyword_of, vr_of
from engine.dicom.matching import Matcher, is_universal, matcher
from engine.dicom.scanner import DataSet, Element
from engine.dicom.text import CharacterSets, character_sets
from engine.dicom.tree import SPECIFIC_CHARACTER_SET, value_of

MATCHED: Final = frozenset(
    {
        "ScheduledProcedureStepSequence",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledPerformingPhysicianName",
        "ScheduledProcedureStepDescription",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepLocation",
        "ScheduledProcedureStepStatus",
        "ScheduledProtocolCodeSequence",
        "ScheduledStationName",
        "AccessionNumber",
        "AdmissionID",
        "CodeMeaning",
        "CodeValue",
        "CodingSchemeDesignator",
        "CurrentPatientLocation",
        "FillerOrderNumberImagingServiceRequest",
        "InstitutionName",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientID",
        "PatientName",
        "PatientSex",
        "PlacerOrderNumberImagingServiceRequest",
        "ReferringPhysicianName",
        "RequestedProcedureCodeSequence",
        "RequestedProcedureDescription",
        "RequestedProcedureID",
        "RequestedProcedurePriority",
        "RequestingPhysician",
        "RequestingService",
        "StudyInstanceUID",
    }
)
"""Keys we match on; any other key with a value is returned empty or as we know it, under status 0xFF01."""


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute of the identifier: what it accepts, and that it is wanted in the response."""

    tag: int
    vr: str
    keyword: str
    text: str = ""
    accepts: Matcher | None = None
    keys: tuple[Key, ...] | None = None
    """Keys of the item of a sequence; () asks for whole items, None is no sequence."""

    @property
    def restricts(self) -> bool:
        """Whether an item can fail on it."""
        return self.accepts is not None or any(key.restricts for key in self.keys or ())


class KeyReader:
    """Turns the elements of an identifier into keys, and notes what is asked for but not matched."""

    __slots__ = ("_is_big_endian", "unsupported")

    def __init__(self, *, is_big_endian: bool) -> None:
        self._is_big_endian = is_big_endian
        self.unsupported: list[str] = []

    def keys(self, elements: DataSet, inherited: CharacterSets) -> tuple[Key, ...]:
        """Return the keys of one level in tag order. Character set and group lengths are no keys."""
        own = elements.get(SPECIFIC_CHARACTER_SET)
        sets = character_sets(own.value) if own is not None else inherited
        return tuple(
            self._key(tag, element, sets)
            for tag, element in sorted(elements.items())
            if tag & 0xFFFF and tag != SPECIFIC_CHARACTER_SET
        )

    def _key(self, tag: int, element: Element, sets: CharacterSets) -> Key:
        keyword = keyword_of(tag)
        vr = vr_of(tag) if tag in KEYWORD_OF_TAG else element.vr
        supported = keyword in MATCHED
        if vr == "SQ":
            return self._sequence_key(tag, keyword, element, sets)
        value = value_of(element._replace(vr=vr), sets, is_big_endian=self._is_big_endian)
        text = value if isinstance(value, str) else "\\".join(value)
        if is_universal(text):
            return Key(tag, vr, keyword)
        if not supported:
            self.unsupported.append(keyword)
            return Key(tag, vr, keyword)
        return Key(tag, vr, keyword, text=text, accepts=matcher(vr, tag, text))

    def _sequence_key(self, tag: int, keyword: str, element: Element, sets: CharacterSets) -> Key:
        items = element.items or ()
        if len(items) > 1:
            raise MalformedIdentifier("sequence must have one item", keyword=keyword)
        before = len(self.unsupported)
        keys = self.keys(items[0], sets) if items else ()
        if keyword not in MATCHED and any(key.restricts for key in keys):
            self.unsupported[before:] = [keyword]
            keys = tuple(_returned_only(key) for key in keys)
        return Key(tag, "SQ", keyword, keys=keys)


def _returned_only(key: Key) -> Key:
    """Return the key without what it accepts."""
    inner = None if key.keys is None else tuple(_returned_only(below) for below in key.keys)
    return Key(key.tag, key.vr, key.keyword, keys=inner)
