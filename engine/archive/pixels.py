"""Whether two stored instances have the same pixels: asked when a SOP Instance UID comes again with other bytes.

Source: spec/reconcile.md section 8.
"""

from __future__ import annotations

import array
import hashlib
import mmap
from typing import NamedTuple

from pydicom import Dataset, FileDataset, dcmread
from pydicom.errors import InvalidDicomError

from engine.archive.index import pixel_range, scanned
from engine.archive.part10 import read_head
from engine.blobs.errors import DamagedBlob, MissingBlob
from engine.blobs.store import BlobStore
from engine.core.ids import BlobKey
from engine.core.limits import Limits
from engine.dicom.scanner import Buffer
from engine.records.exchange import Sameness

_WORD = 16
_ENCODING = frozenset({0x7FE00010, 0xFFFCFFFC, 0x00080005})
"""Pixel Data, Data Set Trailing Padding, Specific Character Set."""


def pixel_digest(content: Buffer, transfer_syntax: str, limits: Limits, *, start: int = 0) -> str:
    """Return the SHA-256 of the value of the pixel data as received; "" without pixels.

    Args:
        content: The data set, from `start` [bytes] on.
        transfer_syntax: UID.
        limits: As for `index`.
        start: Where the data set begins.

    Raises:
        UnreadableDataSet: DCM-110. InstanceTooLarge: DCM-113.
    """
    content, found = scanned(content, transfer_syntax, limits, start)
    begin, end = pixel_range(content, found)
    return hashlib.sha256(content[begin:end]).hexdigest() if end > begin else ""


class StoredPixels:
    """Compares instances of a store."""

    def __init__(self, blobs: BlobStore, limits: Limits) -> None:
        self._blobs = blobs
        self._limits = limits

    def compare(self, one: BlobKey, other: BlobKey) -> Sameness:
        """Say how two instances with different bytes stand to each other; a damaged or lost one is another object.

        In one transfer syntax the pixel bytes decide; across two, what can be told without decoding.
        Blocks: reads both whole.
        """
        try:
            mine, theirs = self._digest(one), self._digest(other)
            if mine.transfer_syntax == theirs.transfer_syntax:
                return Sameness.OTHER_HEADER if mine.pixels == theirs.pixels else Sameness.OTHER
            return self._across_syntaxes(one, other)
        except (DamagedBlob, MissingBlob, InvalidDicomError):
            return Sameness.OTHER

    def _digest(self, key: BlobKey) -> _Digest:
        with (
            self._blobs.open(key) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            head = read_head(view)
            pixels = pixel_digest(view, head.transfer_syntax, self._limits, start=head.data_set_at)
            return _Digest(head.transfer_syntax, pixels)

    def _across_syntaxes(self, one: BlobKey, other: BlobKey) -> Sameness:
        with self._blobs.open(one) as my_file, self._blobs.open(other) as their_file:
            mine, theirs = dcmread(my_file), dcmread(their_file)
            if any(mine.get(keyword) != theirs.get(keyword) for keyword in _SHAPE):
                return Sameness.OTHER
            if _is_compressed(mine) or _is_compressed(theirs):
                return Sameness.OTHER_HEADER
            if _native_pixels(mine) != _native_pixels(theirs):
                return Sameness.OTHER
            return Sameness.SAME if _rest(mine) == _rest(theirs) else Sameness.OTHER_HEADER


class _Digest(NamedTuple):
    transfer_syntax: str
    pixels: str


_SHAPE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel")


def _is_compressed(dataset: FileDataset) -> bool:
    return bool(dataset.file_meta.TransferSyntaxUID.is_compressed)


def _native_pixels(dataset: FileDataset) -> bytes:
    """Return the pixel bytes in little endian."""
    value: bytes = dataset.get("PixelData", b"")
    is_words = dataset.get("BitsAllocated", 8) == _WORD
    if not dataset.file_meta.TransferSyntaxUID.is_little_endian and is_words:
        words = array.array("H", value)
        words.byteswap()
        return words.tobytes()
    return value


def _rest(dataset: FileDataset) -> Dataset:
    """Return what is neither pixels, group length, character set nor padding: the same in every encoding."""
    rest = Dataset()
    for element in dataset:
        if element.tag.element and element.tag not in _ENCODING:
            rest.add(element)
    return rest
