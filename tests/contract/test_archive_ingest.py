"""An instance from its first fragment to the fact: what is kept, what is refused, and when success is said."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from engine.archive.ingest import Ingest
from engine.archive.part10 import file_head, read_head
from engine.archive.pixels import StoredPixels, pixel_digest
from engine.blobs.errors import OutOfSpace, WriteFailed
from engine.blobs.folder import FolderStore
from engine.core.errors import EngineError, PeerError
from engine.core.ids import BlobKey
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.encode import Encoder, encode
from engine.dicom.scanner import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from engine.records.exchange import Sameness
from engine.records.fact import InstanceFact, RequestAttributes

CT = "1.2.840.10008.5.1.4.1.1.2"
PIXELS = bytes(range(256)) * 8
TREE: dict[str, Any] = {
    "SOPClassUID": CT,
    "SOPInstanceUID": "1.2.3.1",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.0",
    "PatientID": "4711",
    "PatientName": "MÜLLER^TEST",
    "Modality": "CT",
    "IssuerOfPatientIDQualifiersSequence": [{"UniversalEntityID": "1.9.9"}],
    "IssuerOfAccessionNumberSequence": [{"LocalNamespaceEntityID": "RIS"}],
    "RequestAttributesSequence": [
        {"AccessionNumber": "A1", "RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "S1"},
        {"AccessionNumber": "A2", "StudyInstanceUID": "1.2.4"},
    ],
}
LIMITS = replace(DEFAULT_LIMITS, disk_floor_bytes=0, disk_floor_share=0.0)


@dataclass(frozen=True)
class Modality:
    calling_ae: str = "CT1"
    called_ae: str = "ISTHMUS"
    address: str = "127.0.0.1"


@dataclass
class Records:
    """Takes facts, as the broker does; notes what was on the disk at that moment."""

    blobs: FolderStore
    facts: list[InstanceFact] = field(default_factory=list)
    refuses: EngineError | None = None

    async def accept(self, fact: InstanceFact) -> None:
        assert self.blobs.has(BlobKey(fact.blob))
        if self.refuses is not None:
            raise self.refuses
        self.facts.append(fact)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path, LIMITS)


@pytest.fixture
def records(blobs: FolderStore) -> Records:
    return Records(blobs)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture
def ingest(blobs: FolderStore, pool: ThreadPoolExecutor, records: Records) -> Ingest:
    return Ingest(blobs, pool, records.accept, LIMITS)


def data_set(syntax: str = EXPLICIT_LITTLE, pixels: bytes = PIXELS, **changed: Any) -> bytes:
    tree = {key: value for key, value in {**TREE, **changed}.items() if value is not None}
    body = encode(tree, syntax, ("ISO_IR 100",))
    return body + Encoder(syntax).header(0x7FE00010, "OW", len(pixels)) + pixels


def pixels_of(blobs: FolderStore, fact: InstanceFact) -> str:
    content = blobs.read(BlobKey(fact.blob))
    head = read_head(content)
    return pixel_digest(content, head.transfer_syntax, LIMITS, start=head.data_set_at)


async def store(
    ingest: Ingest,
    content: bytes,
    syntax: str = EXPLICIT_LITTLE,
    *,
    cut: int = 100,
) -> None:
    receiving = ingest.begin(sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=syntax, peer=Modality())
    for at in range(0, len(content), cut):
        receiving.write(memoryview(content)[at : at + cut])
    await receiving.finish()


def leftovers(root: Path) -> list[Path]:
    return list((root / "tmp").iterdir())


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG])
async def test_the_fact_says_what_the_header_says(
    ingest: Ingest, records: Records, blobs: FolderStore, syntax: str
) -> None:
    await store(ingest, data_set(syntax), syntax)

    (fact,) = records.facts
    assert (fact.sop_uid, fact.sop_class, fact.series_uid, fact.study_uid) == ("1.2.3.1", CT, "1.2.3.0", "1.2.3")
    assert (fact.patient_id, fact.patient_name, fact.modality) == ("4711", "MÜLLER^TEST", "CT")
    assert (fact.issuer, fact.accession_issuer) == ("1.9.9", "RIS")
    assert fact.request_attributes == (
        RequestAttributes(accession_number="A1", rp_id="RP1", sps_id="S1"),
        RequestAttributes(accession_number="A2", study_uid="1.2.4"),
    )
    assert pixels_of(blobs, fact) == hashlib.sha256(PIXELS).hexdigest()
    assert (fact.transfer_syntax, fact.source_ae) == (syntax, "CT1")


async def test_the_blob_is_a_dicom_file_with_the_data_set_as_received(
    ingest: Ingest, records: Records, blobs: FolderStore
) -> None:
    content = data_set()

    await store(ingest, content)

    (fact,) = records.facts
    stored = blobs.read(BlobKey(fact.blob))
    head = read_head(stored)
    file = pydicom.dcmread(io.BytesIO(stored))
    assert stored[:132] == bytes(128) + b"DICM"
    assert stored[head.data_set_at :] == content
    assert len(stored) == fact.size_bytes
    assert (file.file_meta.MediaStorageSOPInstanceUID, file.file_meta.TransferSyntaxUID) == ("1.2.3.1", EXPLICIT_LITTLE)
    assert file.file_meta.FileMetaInformationGroupLength == head.data_set_at - 144
    assert file.PixelData == PIXELS


async def test_the_same_data_set_from_two_senders_is_one_object(ingest: Ingest, records: Records) -> None:
    await store(ingest, data_set())
    receiving = ingest.begin(sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=EXPLICIT_LITTLE, peer=Modality("ROUTER"))
    receiving.write(data_set())
    await receiving.finish()

    first, second = records.facts
    assert first.blob == second.blob
    assert (first.source_ae, second.source_ae) == ("CT1", "ROUTER")


@pytest.mark.parametrize(
    ("changed", "code", "where"),
    [
        ({"SOPInstanceUID": "1.2.3.2"}, "DCM-111", "SOPInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "DCM-111", "SOPClassUID"),
        ({"StudyInstanceUID": "study"}, "DCM-111", "StudyInstanceUID"),
        ({"StudyInstanceUID": None}, "DCM-112", "StudyInstanceUID"),
        ({"SeriesInstanceUID": ""}, "DCM-112", "SeriesInstanceUID"),
        ({"SOPInstanceUID": None}, "DCM-112", "SOPInstanceUID"),
        ({"SOPClassUID": None}, "DCM-112", "SOPClassUID"),
    ],
)
async def test_a_header_that_cannot_be_filed_is_refused(
    ingest: Ingest, records: Records, tmp_path: Path, changed: dict[str, Any], code: str, where: str
) -> None:
    with pytest.raises(PeerError) as refused:
        await store(ingest, data_set(**changed))

    assert (refused.value.code, refused.value.where) == (code, where)
    assert records.facts == []
    assert leftovers(tmp_path) == []
    assert not any((tmp_path / "objects").iterdir())


@pytest.mark.parametrize("missing", [1, len(PIXELS), len(PIXELS) + 5, len(PIXELS) + 40])
async def test_a_cut_data_set_is_refused(ingest: Ingest, tmp_path: Path, missing: int) -> None:
    with pytest.raises(PeerError) as refused:
        await store(ingest, data_set()[:-missing])

    assert refused.value.code == "DCM-110"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("uid", ["", "x", "1.2.3.1 ", "../../1", "1" * 65])
def test_a_command_without_uids_is_refused_at_once(ingest: Ingest, uid: str) -> None:
    with pytest.raises(PeerError) as refused:
        ingest.begin(sop_class=CT, sop_uid=uid, transfer_syntax=EXPLICIT_LITTLE, peer=Modality())

    assert refused.value.code == "DCM-111"


async def test_the_size_is_limited_while_it_streams(
    blobs: FolderStore, pool: ThreadPoolExecutor, records: Records, tmp_path: Path
) -> None:
    content = data_set()
    exact = Ingest(blobs, pool, records.accept, replace(LIMITS, instance_bytes=len(content)))
    tight = Ingest(blobs, pool, records.accept, replace(LIMITS, instance_bytes=len(content) - 1))

    await store(exact, content)
    with pytest.raises(PeerError) as refused:
        await store(tight, content)

    assert refused.value.code == "DCM-113"
    assert refused.value.text == f"instance larger than {len(content) - 1} bytes"
    assert len(records.facts) == 1
    assert leftovers(tmp_path) == []


def test_under_the_disk_floor_nothing_begins(pool: ThreadPoolExecutor, records: Records, tmp_path: Path) -> None:
    full = FolderStore(tmp_path, replace(LIMITS, disk_floor_bytes=2**62))

    with pytest.raises(OutOfSpace):
        Ingest(full, pool, records.accept, LIMITS).begin(
            sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=EXPLICIT_LITTLE, peer=Modality()
        )


async def test_what_the_records_refuse_is_refused(ingest: Ingest, records: Records) -> None:
    records.refuses = PeerError("instance exists with other content", code="DCM-114")

    with pytest.raises(PeerError) as refused:
        await store(ingest, data_set())

    assert refused.value.code == "DCM-114"


async def test_a_refusing_disk_leaves_nothing(ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EIO, "refused by the test")

    receiving = ingest.begin(sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=EXPLICIT_LITTLE, peer=Modality())
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", refuse)
        with pytest.raises(WriteFailed):
            receiving.write(bytes(2_000_000))  # more than is kept in memory

    assert leftovers(tmp_path) == []


async def test_a_cut_association_leaves_nothing(ingest: Ingest, tmp_path: Path) -> None:
    receiving = ingest.begin(sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=EXPLICIT_LITTLE, peer=Modality())
    receiving.write(data_set()[:500])

    receiving.discard()
    receiving.discard()

    assert leftovers(tmp_path) == []


async def test_a_cancelled_finish_leaves_nothing_half_done(
    blobs: FolderStore, records: Records, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        ingest = Ingest(blobs, pool, records.accept, LIMITS)
        gate = threading.Event()
        pool.submit(gate.wait)  # the only thread is busy
        waiting = asyncio.create_task(store(ingest, data_set()))
        await asyncio.sleep(0)  # `store` runs up to the thread pool
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.set()

    assert leftovers(tmp_path) == []
    assert records.facts == []


async def test_discard_after_finish_does_not_disturb_the_thread(ingest: Ingest, records: Records) -> None:
    receiving = ingest.begin(sop_class=CT, sop_uid="1.2.3.1", transfer_syntax=EXPLICIT_LITTLE, peer=Modality())
    receiving.write(data_set())
    finishing = asyncio.create_task(receiving.finish())
    await asyncio.sleep(0)

    receiving.discard()
    await finishing

    assert len(records.facts) == 1


async def test_headers_longer_than_usual_are_read_to_their_end(
    ingest: Ingest, records: Records, blobs: FolderStore
) -> None:
    long: dict[str, Any] = {"ImageComments": "x" * 60_000, "RequestedProcedureComments": "y" * 60_000}

    await store(ingest, data_set(**long), cut=4096)

    (fact,) = records.facts
    assert len(fact.request_attributes) == 2
    assert pixels_of(blobs, fact) == hashlib.sha256(PIXELS).hexdigest()


@pytest.mark.parametrize(
    ("elements", "has_pixels"),
    [
        ([(0x7FE00001, "OV", bytes(8)), (0x7FE00010, "OW", PIXELS)], True),  # extended offset table first
        ([(0x7FE00008, "OF", PIXELS)], True),
        ([(0x7FE00009, "OD", PIXELS)], True),
        ([(0x7FE10010, "LO", b"TEST"), (0x7FE00010, "OW", PIXELS)], False),  # out of order
        ([(0x7FE00010, "OW", b"")], False),
        ([], False),
    ],
)
async def test_which_value_counts_as_pixels(
    ingest: Ingest, records: Records, blobs: FolderStore, elements: list[tuple[int, str, bytes]], has_pixels: bool
) -> None:
    encoder = Encoder(EXPLICIT_LITTLE)
    tail = b"".join(encoder.header(tag, vr, len(value)) + value for tag, vr, value in elements)

    await store(ingest, encode(TREE, EXPLICIT_LITTLE) + tail)

    assert pixels_of(blobs, records.facts[0]) == (hashlib.sha256(PIXELS).hexdigest() if has_pixels else "")


async def test_pixels_of_stored_instances_are_compared(ingest: Ingest, records: Records, blobs: FolderStore) -> None:
    for content in (data_set(), data_set(PatientName="TEST^ALFA"), data_set(pixels=PIXELS[::-1])):
        await store(ingest, content)
    first, header, pixels = (BlobKey(fact.blob) for fact in records.facts)
    stored = StoredPixels(blobs, LIMITS)

    assert stored.compare(first, header) is Sameness.OTHER_HEADER
    assert stored.compare(first, pixels) is Sameness.OTHER


@pytest.mark.parametrize("is_lost", [True, False])
async def test_a_lost_or_damaged_instance_is_the_same_as_none(
    ingest: Ingest, records: Records, blobs: FolderStore, *, is_lost: bool
) -> None:
    for content in (data_set(), data_set(PatientName="TEST^ALFA")):
        await store(ingest, content)
    first, second = (BlobKey(fact.blob) for fact in records.facts)
    path = blobs.path(first)
    if is_lost:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])

    assert StoredPixels(blobs, LIMITS).compare(first, second) is Sameness.OTHER


DEFLATED = "1.2.840.10008.1.2.1.99"


def deflated(content: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


async def test_a_deflated_data_set_is_indexed_and_kept_deflated(
    ingest: Ingest, records: Records, blobs: FolderStore
) -> None:
    content = deflated(data_set())

    await store(ingest, content, DEFLATED)

    (fact,) = records.facts
    assert pixels_of(blobs, fact) == hashlib.sha256(PIXELS).hexdigest()
    assert blobs.read(BlobKey(fact.blob)).endswith(content)


@pytest.mark.parametrize(("content", "code"), [(b"\xff" * 50, "DCM-110"), (deflated(bytes(2_000_000)), "DCM-113")])
async def test_deflated_rubbish_and_bombs_are_refused(
    blobs: FolderStore, pool: ThreadPoolExecutor, records: Records, content: bytes, code: str
) -> None:
    limits: Limits = replace(LIMITS, header_bytes=100_000)

    with pytest.raises(PeerError) as refused:
        await store(Ingest(blobs, pool, records.accept, limits), content, DEFLATED)

    assert refused.value.code == code


def test_the_head_of_a_file_is_read_back() -> None:
    head = read_head(file_head(CT, "1.2.3.1", IMPLICIT_LITTLE))

    assert (head.sop_class, head.sop_uid, head.transfer_syntax) == (CT, "1.2.3.1", IMPLICIT_LITTLE)
    assert len(file_head(CT, "1.2.3.1", IMPLICIT_LITTLE)) % 2 == 0


@pytest.mark.parametrize("content", [b"", b"x" * 200, bytes(128) + b"DICM\x02\x00\x00\x00"])
def test_what_is_no_dicom_file_is_refused(content: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        read_head(content)

    assert refused.value.code == "DCM-110"
