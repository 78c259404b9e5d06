"""Images over DICOM: files made here, sent by DCMTK's storescu, which waits for each answer."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from tests.bench.figure import Figure
from tests.bench.orders import Order
from tests.bench.serving import Serving

STORESCU = "/usr/bin/storescu"
STORED_WITHIN_S = 280.0


def _slice(order: Order, number: int, pixels: np.ndarray) -> Dataset:
    """Return one CT slice of the study that an order asked for; pixels of shape (rows, columns), 16 bits."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(f"{order.study_uid}.1.{number}")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20261121"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "080000"
    dataset.AccessionNumber = order.accession
    dataset.Modality = "CT"
    dataset.Manufacturer = "INVENTED"
    dataset.StudyDescription = "CT CHEST WITH CONTRAST"
    dataset.SeriesDescription = "AXIAL 1.0"
    dataset.PatientName = f"TEST{order.number:05d}^ALPHA^BRAVO^DR"
    dataset.PatientID = order.patient_id
    dataset.IssuerOfPatientID = "HOSP"
    dataset.PatientBirthDate = "19700131"
    dataset.PatientSex = "F"
    dataset.SliceThickness = "1.0"
    dataset.KVP = "120"
    dataset.StudyInstanceUID = order.study_uid
    dataset.SeriesInstanceUID = f"{order.study_uid}.1"
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [-180, -180, number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelSpacing = [0.7, 0.7]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = "-1024"
    dataset.RescaleSlope = "1"
    dataset.PixelData = pixels.tobytes()
    return dataset


def make(folder: Path, studies: Sequence[Order], *, number: int, size: int, associations: int) -> list[Path]:
    """Write `number` images of size x size pixels, spread over the studies; return one folder for each association."""
    random = np.random.default_rng(number * size)
    noise = random.integers(0, 4096, (size, size), dtype=np.uint16)
    folders = [folder / f"association-{n}" for n in range(associations)]
    for one in folders:
        one.mkdir(parents=True)
    for n in range(number):
        order = studies[n % len(studies)]
        image = _slice(order, n + 1, np.roll(noise, n + 1))
        image.save_as(folders[n % associations] / f"{n:05d}.dcm", enforce_file_format=True)
    return folders


def store(engine: Serving, folders: Sequence[Path], *, what: str) -> Figure:
    """Send each folder on an association of its own, all at once; storescu stops at the first answer but success.

    The time is from the first start to the last end of the senders.
    """
    number = sum(len(list(folder.iterdir())) for folder in folders)
    command = [STORESCU, "-R", "+sd", "-aet", "BENCH", "-aec", "ISTHMUS", "127.0.0.1", str(engine.dicom_port)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    cpu_s = engine.cpu_s()
    started = time.perf_counter()
    senders = [
        subprocess.Popen([*command, str(folder)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for folder in folders
    ]
    for sender in senders:
        said, _ = sender.communicate(timeout=STORED_WITHIN_S)
        if sender.returncode != 0:
            raise RuntimeError(f"storescu ended with {sender.returncode}: {said.decode(errors='replace')[-500:]}")
    seconds = time.perf_counter() - started
    return Figure(
        what=f"{what}, {len(folders)} association{'s' if len(folders) > 1 else ''}",
        number=number,
        seconds=seconds,
        engine_cpu_s=engine.cpu_s() - cpu_s,
    )
