"""Every DICOM file that other projects test with: our index values are pydicom's, or the file is refused by name."""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.multival import MultiValue

from engine.archive.index import FIELDS, Indexed, index
from engine.archive.part10 import read_head
from engine.archive.pixels import pixel_digest
from engine.core.errors import PeerError
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.dataset_error import UnreadableDataSet
from engine.dicom.scanner import IMPLICIT_LITTLE, scan_to

pytestmark = pytest.mark.corpus

CODES = {"DCM-110", "DCM-111", "DCM-112", "DCM-113"}
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
NOT_DATA_SETS = {".dump", ".tsv", ".xml"}
# cut in a header or in the pixel data: a sender that cut an object must not hear success
REFUSED_BY_US_ONLY = {"pydicom__pydicom/MR_truncated.dcm", "pydicom__pydicom/rtplan_truncated.dcm"}
READ_BY_FALLBACK = "fo-dicom__fo-dicom/GH364.dcm"
"""A sequence item stands where an element should."""
PYDICOM_DIFFERS = {
    # a blank VR: pydicom takes the rest of the file for its value and loses the sequence behind it
    ("fo-dicom__fo-dicom/GH179A.dcm", "request_attributes"),
    # an escape that pydicom shows as text
    ("fo-dicom__fo-dicom/chrGB2312.dcm", "patient_name"),
}


def files(corpus: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted((corpus / "dicom").rglob("*")):
        if path.is_file() and path.suffix not in NOT_DATA_SETS:
            yield f"{path.parent.name}/{path.name}", path


def read_by_us(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Indexed:
    if content[128:132] != b"DICM":  # as if it had come over an association
        return index(content, IMPLICIT_LITTLE, limits)
    head = read_head(content)
    return index(content, head.transfer_syntax or IMPLICIT_LITTLE, limits, start=head.data_set_at)


def digest_by_us(content: bytes) -> str:
    if content[128:132] != b"DICM":
        return pixel_digest(content, IMPLICIT_LITTLE, DEFAULT_LIMITS)
    head = read_head(content)
    return pixel_digest(content, head.transfer_syntax or IMPLICIT_LITTLE, DEFAULT_LIMITS, start=head.data_set_at)


@pytest.fixture
def quiet_pydicom() -> Iterator[None]:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.getLogger("pydicom").setLevel(logging.NOTSET)


def expected(data_set: Any, keyword: str) -> str:
    value = data_set.get(keyword)
    if value is None:
        return ""
    text = "\\".join(map(str, value)) if isinstance(value, list | MultiValue) else str(value)
    return text.strip(" \0")


def test_index_values_are_those_of_pydicom(corpus: Path, quiet_pydicom: None) -> None:
    compared, refused, differences = 0, set(), []

    for name, path in files(corpus):
        began = time.perf_counter()
        try:
            ours = read_by_us(path.read_bytes())
        except PeerError as error:
            assert error.code in CODES  # noqa: PT017  # both outcomes are allowed
            if error.code == "DCM-110":
                refused.add(name)
            continue
        assert time.perf_counter() - began < 10  # a bound, not a measure
        theirs = pydicom.dcmread(path, force=True)
        compared += 1
        values = replace_issuer(ours.texts)
        for field, keyword in FIELDS.items():
            if field in values and values[field] != expected(theirs, keyword) and (name, field) not in PYDICOM_DIFFERS:
                differences.append((name, field))
        items = theirs.get("RequestAttributesSequence") or ()
        if (name, "request_attributes") not in PYDICOM_DIFFERS and [
            (item.accession_number, item.study_uid, item.rp_id, item.sps_id) for item in ours.request_attributes
        ] != [
            tuple(
                expected(item, keyword)
                for keyword in (
                    "AccessionNumber",
                    "StudyInstanceUID",
                    "RequestedProcedureID",
                    "ScheduledProcedureStepID",
                )
            )
            for item in items
        ]:
            differences.append((name, "request_attributes"))

    assert differences == []
    assert compared >= 200
    assert {name for name in refused if readable_by_pydicom(corpus / "dicom" / name)} == REFUSED_BY_US_ONLY


def test_pydicom_reads_what_the_scanner_refuses(corpus: Path, quiet_pydicom: None) -> None:
    content = (corpus / "dicom" / READ_BY_FALLBACK).read_bytes()
    head = read_head(content)

    with pytest.raises(UnreadableDataSet) as refused:
        scan_to(content, head.transfer_syntax, start=head.data_set_at)
    ours = read_by_us(content)

    assert refused.value.may_fall_back
    assert ours.texts["modality"] == "US"
    assert digest_by_us(content)


def replace_issuer(texts: dict[str, str]) -> dict[str, str]:
    """The issuer may come from a sequence instead of (0010,0021)."""
    return {field: value for field, value in texts.items() if field != "issuer"}


def readable_by_pydicom(path: Path) -> bool:
    """Whether pydicom finds an instance in the file: one with the UIDs that we ask for too."""
    try:
        data_set = pydicom.dcmread(path)
    except (OSError, pydicom.errors.InvalidDicomError):
        return False
    return all(data_set.get(FIELDS[field]) for field in ("sop_class", "sop_uid", "study_uid", "series_uid"))


def test_pixel_digest_is_of_the_value_as_received(corpus: Path, quiet_pydicom: None) -> None:
    checked = 0
    for name, path in files(corpus):
        try:
            ours = digest_by_us(path.read_bytes())
        except PeerError:
            continue
        theirs = pydicom.dcmread(path, force=True)
        if theirs.file_meta.get("TransferSyntaxUID", "").endswith(".1.99"):
            continue
        value = next((theirs[keyword].value for keyword in PIXELS if keyword in theirs), b"")
        assert ours == (hashlib.sha256(value).hexdigest() if value else ""), name
        checked += 1

    assert checked >= 200


def test_small_limits_refuse_and_do_not_crash(corpus: Path, quiet_pydicom: None) -> None:
    limits = replace(DEFAULT_LIMITS, dataset_depth=1, dataset_elements=20, header_bytes=64)

    for _, path in files(corpus):
        try:
            read_by_us(path.read_bytes(), limits)
        except PeerError as error:
            assert error.code in CODES  # noqa: PT017
