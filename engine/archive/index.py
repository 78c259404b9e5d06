"""From the bytes of an instance to what the records need to know of it.

Source: spec/reliability.md section 4 (what is refused).
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from engine.archive.fallback import scan_with_pydicom
from engine.core.limits import Limits
from engine.dicom.dataset_error import (
    InstanceTooLarge,
    InvalidUid,
    MissingAttribute,
    UidMismatch,
    UnreadableDataSet,
)
from engine.dicom.dictionary import VR_OF_TAG, tag_of
from engine.dicom.scanner import DEFLATED, EXPLICIT_LITTLE, PIXEL_DATA, Buffer, DataSet, Scan, scan_to, value_range
from engine.dicom.text import CharacterSets, character_sets, text_of
from engine.dicom.tree import SPECIFIC_CHARACTER_SET
from engine.dicom.uid import is_uid
from engine.records.fact import InstanceFact, RequestAttributes

FIELDS: Final = {
    "sop_uid": "SOPInstanceUID",
    "sop_class": "SOPClassUID",
    "series_uid": "SeriesInstanceUID",
    "study_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_description": "StudyDescription",
    "modality": "Modality",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "instance_number": "InstanceNumber",
}
"""Fields of an `InstanceFact` that are one attribute of the header."""
_REQUIRED: Final = ("sop_class", "sop_uid", "study_uid", "series_uid")
_TAGS: Final = tuple((name, tag, VR_OF_TAG[tag]) for name, tag in ((n, tag_of(k)) for n, k in FIELDS.items()))
_REQUEST_ATTRIBUTES: Final = tag_of("RequestAttributesSequence")
_PATIENT_ISSUER: Final = tag_of("IssuerOfPatientIDQualifiersSequence")
_ACCESSION_ISSUER: Final = tag_of("IssuerOfAccessionNumberSequence")
_UNIVERSAL_ID: Final = tag_of("UniversalEntityID")
_LOCAL_NAMESPACE: Final = tag_of("LocalNamespaceEntityID")
_REQUEST_TAGS: Final = tuple(
    (name, tag, VR_OF_TAG[tag])
    for name, tag in (
        ("accession_number", tag_of("AccessionNumber")),
        ("study_uid", tag_of("StudyInstanceUID")),
        ("rp_id", tag_of("RequestedProcedureID")),
        ("sps_id", tag_of("ScheduledProcedureStepID")),
    )
)
WANTED: Final = frozenset(
    {SPECIFIC_CHARACTER_SET, _REQUEST_ATTRIBUTES, _PATIENT_ISSUER, _ACCESSION_ISSUER, *(tag for _, tag, _ in _TAGS)}
)
_USUAL_HEADER: Final = 64 * 1024
"""Most headers are shorter than this [bytes]."""
_PIXEL_GROUP: Final = 0x7FE00000
_PIXEL_VALUES: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data."""


class Indexed(NamedTuple):
    """The values of a header by field of `InstanceFact`."""

    texts: dict[str, str]
    request_attributes: tuple[RequestAttributes, ...]


def index(content: Buffer, transfer_syntax: str, limits: Limits, *, start: int = 0) -> Indexed:
    """Read the index values of an instance.

    Args:
        content: The data set, from `start` [bytes] on.
        transfer_syntax: UID.
        limits: eight times `header_bytes` bounds what is inflated or given to pydicom.
        start: Where the data set begins.

    Raises:
        UnreadableDataSet: DCM-110, also for pixel data that is cut. MissingAttribute: DCM-112. InvalidUid: DCM-111.
        InstanceTooLarge: DCM-113.
    Cost: the header; of the pixels only where they end.
    """
    content, found = scanned(content, transfer_syntax, limits, start)
    texts, attributes = header_values(found.elements)
    for name in _REQUIRED:
        if not texts[name]:
            raise MissingAttribute(keyword=FIELDS[name])
        if not is_uid(texts[name]):
            raise InvalidUid(where=FIELDS[name])
    pixel_range(content, found)
    return Indexed(texts, attributes)


def scanned(content: Buffer, transfer_syntax: str, limits: Limits, start: int) -> tuple[Buffer, Scan]:
    """Return a data set, inflated where it was deflated, and its header up to the pixels; arguments as of `index`.

    Raises:
        UnreadableDataSet: DCM-110. InstanceTooLarge: DCM-113.
    """
    if transfer_syntax in DEFLATED:
        content, start, transfer_syntax = _inflated(content[start:], limits), 0, EXPLICIT_LITTLE
    try:
        found = _scan(content, transfer_syntax, limits, start)
    except UnreadableDataSet as refused:
        if not refused.may_fall_back or len(content) > limits.header_bytes * 8:
            raise
        found = scan_with_pydicom(content, transfer_syntax, WANTED, _PIXEL_GROUP, start=start, refused=refused)
    return content, found


def _scan(content: Buffer, transfer_syntax: str, limits: Limits, start: int) -> Scan:
    """Scan the first bytes, copied because reading a view costs twice as much; the whole when they are not enough."""
    if len(content) > _USUAL_HEADER:
        head = bytes(content[:_USUAL_HEADER])
        try:
            found = scan_to(head, transfer_syntax, wanted=WANTED, stop_before=_PIXEL_GROUP, limits=limits, start=start)
        except UnreadableDataSet:
            pass
        else:
            if found.end < len(head):
                return found
    return scan_to(content, transfer_syntax, wanted=WANTED, stop_before=_PIXEL_GROUP, limits=limits, start=start)


def check_command(texts: dict[str, str], *, sop_class: str, sop_uid: str) -> None:
    """Compare what the command announced with what the data set is.

    Raises:
        UidMismatch: DCM-111.
    """
    if texts["sop_uid"] != sop_uid:
        raise UidMismatch(where="SOPInstanceUID")
    if texts["sop_class"] != sop_class:
        raise UidMismatch(where="SOPClassUID")


def instance_fact(
    indexed: Indexed, *, transfer_syntax: str, blob: str, size_bytes: int, source_ae: str
) -> InstanceFact:
    """Return what the records are told of a stored instance."""
    return InstanceFact(
        **indexed.texts,
        request_attributes=indexed.request_attributes,
        transfer_syntax=transfer_syntax,
        blob=blob,
        size_bytes=size_bytes,
        source_ae=source_ae,
    )


def header_values(elements: DataSet) -> tuple[dict[str, str], tuple[RequestAttributes, ...]]:
    """Return the index values of a scanned header by field name, "" for what is absent."""
    declared = elements.get(SPECIFIC_CHARACTER_SET)
    sets = character_sets(declared.value) if declared is not None else ()
    texts = {name: _text(elements, tag, vr, sets) for name, tag, vr in _TAGS}
    texts["issuer"] = texts["issuer"] or _issuer(elements, _PATIENT_ISSUER, sets)
    texts["accession_issuer"] = _issuer(elements, _ACCESSION_ISSUER, sets)
    items = _items(elements, _REQUEST_ATTRIBUTES)
    attributes = tuple(
        RequestAttributes(**{name: _text(item, tag, vr, sets) for name, tag, vr in _REQUEST_TAGS}) for item in items
    )
    return texts, attributes


def _text(elements: DataSet, tag: int, vr: str, sets: CharacterSets) -> str:
    element = elements.get(tag)
    return text_of(vr, element.value, sets) if element is not None and element.value else ""


def _items(elements: DataSet, tag: int) -> tuple[DataSet, ...]:
    element = elements.get(tag)
    return element.items or () if element is not None else ()


def _issuer(elements: DataSet, sequence: int, sets: CharacterSets) -> str:
    """Return the universal id of a hierarchic designator, else its local namespace.

    Source: DICOM PS3.3 table 10-17.
    """
    for item in _items(elements, sequence):
        name = _text(item, _UNIVERSAL_ID, "UT", sets) or _text(item, _LOCAL_NAMESPACE, "UT", sets)
        if name:
            return name
    return ""


def pixel_range(content: Buffer, found: Scan) -> tuple[int, int]:
    """Return where the first pixel value at or after the end of a scan begins and ends; (0, 0) without pixels.

    Raises:
        UnreadableDataSet: DCM-110, a value goes on past the end.
    """
    before = 0
    while (here := value_range(content, found)) is not None:
        tag, start, end = here
        if tag in _PIXEL_VALUES:
            return start, end
        if not before < tag < PIXEL_DATA:  # out of order or past it: there will be none
            break
        before = tag
        found = found._replace(end=end)
    return 0, 0


def _inflated(content: Buffer, limits: Limits) -> bytes:
    """Inflate a data set, but not without bound: a deflated instance of 4 KiB can stand for gigabytes."""
    bound = limits.header_bytes * 8
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(content, bound)
    except zlib.error as cause:
        raise UnreadableDataSet(offset=0, may_fall_back=False) from cause
    if inflater.unconsumed_tail:
        raise InstanceTooLarge(limit_bytes=bound)
    return plain
