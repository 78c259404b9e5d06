"""pydicom as a second reader of headers that the scanner refuses; about 30 times slower, seldom needed.

Source: DESIGN section 3, headers.
"""

from __future__ import annotations

import io
import warnings
from struct import error as StructError  # noqa: N812
from typing import Any, Final

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from engine.dicom.dataset_error import UnreadableDataSet
from engine.dicom.scanner import EVERYTHING, EXPLICIT_BIG, IMPLICIT_LITTLE, Buffer, DataSet, Element, Scan

_DEPTH: Final = 4
"""Levels of sequences we keep; the sequences of the index have one."""

_GIVES_UP: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    StructError,
    TypeError,
    ValueError,
)
"""What pydicom lets out of a damaged data set."""


def scan_with_pydicom(
    content: Buffer,
    transfer_syntax: str,
    wanted: frozenset[int],
    stop_before: int,
    *,
    start: int,
    refused: UnreadableDataSet,
) -> Scan:
    """Read the `wanted` elements as `scan_to` does.

    Raises:
        UnreadableDataSet: DCM-110; `refused` again when pydicom cannot read it either.
    """
    file = io.BytesIO(content)
    file.seek(start)
    is_big = transfer_syntax == EXPLICIT_BIG
    is_implicit = transfer_syntax == IMPLICIT_LITTLE

    def stop_when(tag: BaseTag, vr: str | None, length: int) -> bool:
        return stop_before <= int(tag) < EVERYTHING  # stray delimiters are read over

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = read_dataset(file, is_implicit, not is_big, stop_when=stop_when)
            elements = _elements(data_set, wanted, _DEPTH)
    except Exception as cause:  # a library that lets any class out of a damaged file
        raise refused from cause
    return Scan(elements, file.tell(), bool(is_implicit), is_big)


def _elements(data_set: Dataset, wanted: frozenset[int] | None, depth: int) -> DataSet:
    found: DataSet = {}
    for tag in data_set.keys():  # noqa: SIM118  # iterating a Dataset converts every element
        if wanted is not None and int(tag) not in wanted:
            continue
        raw: Any = data_set.get_item(tag)
        if raw.VR == "SQ" and depth:
            items = tuple(_elements(item, None, depth - 1) for item in data_set[tag].value)
            found[int(tag)] = Element("SQ", b"", items)
        elif isinstance(raw.value, bytes):
            found[int(tag)] = Element(str(raw.VR or "UN"), raw.value)
    return found
