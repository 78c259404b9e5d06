"""DCMTK's tools against the listener: the peer that half the modalities of the world are built on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from engine.connectors.dicom.server import DicomServer
from engine.connectors.dicom.service import PeerAe
from engine.connectors.dicom.storage import StorageService
from engine.connectors.dicom.verification import VerificationService
from engine.connectors.dicom.worklist import WorklistService
from engine.core.errors import PeerError, StorageError

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"

pytestmark = pytest.mark.integration


class Tools(Protocol):
    """Absolute paths of DCMTK's tools."""

    echoscu: str
    findscu: str
    storescu: str


@dataclass
class Shelf:
    """A sink that remembers data sets by SOP Instance UID, and is full when told to be."""

    kept: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    is_full: bool = False

    def begin(self, *, sop_class: str, sop_uid: str, transfer_syntax: str, peer: PeerAe) -> Placing:
        if self.is_full:
            raise StorageError("out of storage", code="STO-101")
        return Placing(self, sop_uid, transfer_syntax)


@dataclass
class Placing:
    shelf: Shelf
    sop_uid: str
    transfer_syntax: str
    data: bytearray = field(default_factory=bytearray)

    def write(self, fragment: bytes | memoryview) -> None:
        self.data += fragment

    async def finish(self) -> None:
        self.shelf.kept[self.sop_uid] = (self.transfer_syntax, bytes(self.data))

    def discard(self) -> None:
        self.data.clear()


@dataclass
class Diary:
    """A worklist of so many steps."""

    steps: int = 3
    error: PeerError | None = None

    async def answers(self, identifier: bytes, transfer_syntax: str, peer: PeerAe) -> AsyncIterator[tuple[int, bytes]]:
        if self.error is not None:
            raise self.error
        for number in range(self.steps):
            name = b"TEST^%04d " % number
            yield (
                0xFF00,
                b"\x10\0\x10\0"
                + (b"PN" if transfer_syntax == EXPLICIT else b"")
                + len(name).to_bytes(2 if transfer_syntax == EXPLICIT else 4, "little")
                + name,
            )


@dataclass
class House:
    server: DicomServer
    shelf: Shelf
    diary: Diary

    async def run(self, tool: str, *arguments: str | Path, peer_first: bool = True) -> tuple[int, str]:
        """Run a tool against the listener; return its exit code and everything it wrote."""
        address = ("-aec", "ISTHMUS", "-aet", "DCMTK", "127.0.0.1", str(self.server.port))
        process = await asyncio.create_subprocess_exec(
            tool,
            *(str(word) for word in arguments if not isinstance(word, Path)),
            *address,
            *(word for word in arguments if isinstance(word, Path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, output.decode("latin-1")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    shelf, diary = Shelf(), Diary()
    server = DicomServer(
        name="test",
        ae_title="ISTHMUS",
        host="127.0.0.1",
        port=0,
        services=(VerificationService(), StorageService(shelf), WorklistService(diary)),
    )
    await server.start()
    yield House(server, shelf, diary)
    await server.stop()


def image(folder: Path, number: int, transfer_syntax: str = EXPLICIT, size: int = 600_000) -> bytes:
    """Write an image; return its data set as it is in the file."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CT, f"2.25.{number}"
    image.PatientName, image.PatientID = "TEST^ALPHA", "4711"
    image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.20", "2.25.30"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    image.file_meta = meta
    if transfer_syntax == EXPLICIT:
        image.add_new(0x7FE00010, "OW", bytes(size))
    else:
        frame = b"\xff\xd8\xff\xf7" + bytes(20)
        image.add_new(
            0x7FE00010,
            "OB",
            b"\xfe\xff\0\xe0\0\0\0\0" + b"\xfe\xff\0\xe0" + len(frame).to_bytes(4, "little") + frame,
        )
        image["PixelData"].is_undefined_length = True
    path = folder / f"{number}.dcm"
    image.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    return raw[144 + int.from_bytes(raw[140:144], "little") :]


async def test_echoscu(house: House, dcmtk: Tools) -> None:
    code, output = await house.run(dcmtk.echoscu, "-v", "--repeat", "3")

    assert code == 0, output
    assert output.count("Received Echo Response (Success)") == 3


async def test_storescu_sends_what_it_holds(house: House, dcmtk: Tools, tmp_path: Path) -> None:
    sent = {f"2.25.{number}": (EXPLICIT, image(tmp_path, number)) for number in range(1, 8)}

    code, output = await house.run(dcmtk.storescu, "-v", "+sd", tmp_path)

    assert code == 0, output
    assert house.shelf.kept == sent
    assert house.server.received == 7


async def test_storescu_sends_compressed_images_untouched(house: House, dcmtk: Tools, tmp_path: Path) -> None:
    sent = image(tmp_path, 1, JPEG_LS)

    code, output = await house.run(dcmtk.storescu, "-v", "-xt", tmp_path / "1.dcm")

    assert code == 0, output
    assert house.shelf.kept == {"2.25.1": (JPEG_LS, sent)}


async def test_storescu_hears_that_storage_is_full(house: House, dcmtk: Tools, tmp_path: Path) -> None:
    image(tmp_path, 1)
    house.shelf.is_full = True

    code, output = await house.run(dcmtk.storescu, "-d", tmp_path / "1.dcm")

    assert code != 0
    assert "0xa700" in output
    assert "STO-101 out of storage" in output


@pytest.mark.parametrize("syntax", ["-xi", "-xe"])
async def test_findscu_reads_the_worklist(house: House, dcmtk: Tools, syntax: str) -> None:
    house.diary.steps = 150

    code, output = await house.run(dcmtk.findscu, "-v", "-W", syntax, "-k", "PatientName")

    assert code == 0, output
    assert [number for number in range(150) if f"[TEST^{number:04}" in output] == list(range(150))
    assert "Received Final Find Response (Success)" in output


async def test_findscu_cancels(house: House, dcmtk: Tools) -> None:
    house.diary.steps = 1_000_000

    _, output = await house.run(dcmtk.findscu, "-v", "-W", "--cancel", "3", "-k", "PatientName")

    assert "Received Final Find Response (Cancel" in output


async def test_findscu_hears_why_a_query_is_refused(house: House, dcmtk: Tools) -> None:
    house.diary.error = PeerError("bad date range", where="ScheduledProcedureStepStartDate", code="DCM-121")

    _, output = await house.run(dcmtk.findscu, "-d", "-W", "-k", "PatientName")

    assert "0xc000" in output
    assert "DCM-121 bad date range" in output
    assert "(0040,0002)" in output
