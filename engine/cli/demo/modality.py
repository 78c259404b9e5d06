"""A CT or a CR: asks for its worklist, makes images of what it was told, and stores them. All over one DICOM client."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from engine.cli.demo.phantom import CT_ZERO, Picture
from engine.connectors.dicom.client import DicomClient
from engine.dicom.encode import Encoder, encode
from engine.dicom.scanner import EVERYTHING, scan
from engine.dicom.sop_class import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, MODALITY_WORKLIST_FIND
from engine.dicom.tree import Tree, Value, tree_of
from engine.dicom.uid import new_uid

SUCCESS = 0x0000
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
_PIXEL_DATA = 0x7FE00010
_ASKED = (
    "AccessionNumber",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
)
_ASKED_OF_STEP = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription", "ScheduledProcedureStepStartDate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a modality writes into its images: from a worklist entry, or typed by hand."""

    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str
    accession_number: str
    study_uid: str
    description: str
    rp_id: str = ""
    sps_id: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """One instance, ready to be sent."""

    sop_class: str
    sop_uid: str
    data_set: bytes


@dataclass(frozen=True, slots=True)
class Modality:
    """One device, known to the engine by its AE title."""

    ae_title: str
    kind: str
    """CT or CR."""
    host: str
    port: int
    called_ae: str

    async def worklist(self) -> list[Subject]:
        """Return what is scheduled for this device around today.

        Raises:
            EngineError: no association, no answer, or a failure status.
        """
        step: Tree = {"ScheduledStationAETitle": self.ae_title, "Modality": "", **dict.fromkeys(_ASKED_OF_STEP, "")}
        keys: Tree = {**dict.fromkeys(_ASKED, ""), "ScheduledProcedureStepSequence": [step]}
        found = []
        contexts = [(MODALITY_WORKLIST_FIND, [IMPLICIT_VR_LITTLE_ENDIAN])]
        async with DicomClient.connect(
            self.host, self.port, self.ae_title, self.called_ae, contexts=contexts
        ) as client:
            asked = encode(keys, IMPLICIT_VR_LITTLE_ENDIAN)
            async with aclosing(client.find(MODALITY_WORKLIST_FIND, asked)) as answers:
                async for _, identifier in answers:
                    if identifier:
                        found.append(_subject(identifier))
        return found

    async def store(self, images: Sequence[Image]) -> list[int]:
        """Send images over one association; return the status of each.

        Raises:
            EngineError: no association, or no answer.
        """
        contexts = [(name, [EXPLICIT_VR_LITTLE_ENDIAN]) for name in sorted({image.sop_class for image in images})]
        statuses = []
        async with DicomClient.connect(
            self.host, self.port, self.ae_title, self.called_ae, contexts=contexts
        ) as client:
            for image in images:
                answer = await client.store(image.data_set, image.sop_class, image.sop_uid, EXPLICIT_VR_LITTLE_ENDIAN)
                statuses.append(answer.status)
        return statuses

    def acquire(self, subject: Subject, pictures: Sequence[Picture]) -> list[Image]:
        """Return one series of images of `subject`."""
        now = datetime.now(UTC)
        series: dict[str, Value] = {
            "StudyDate": f"{now:%Y%m%d}",
            "StudyTime": f"{now:%H%M%S}",
            "SeriesDate": f"{now:%Y%m%d}",
            "SeriesTime": f"{now:%H%M%S}",
            "AccessionNumber": subject.accession_number,
            "Modality": self.kind,
            "Manufacturer": "PHANTOM WORKS",
            "StationName": self.ae_title,
            "StudyDescription": subject.description,
            "SeriesDescription": f"{subject.description} phantom",
            "PatientName": subject.name,
            "PatientID": subject.patient_id,
            "IssuerOfPatientID": subject.issuer,
            "PatientBirthDate": subject.birth_date,
            "PatientSex": subject.sex,
            "StudyInstanceUID": subject.study_uid,
            "SeriesInstanceUID": new_uid(),
            "StudyID": subject.rp_id or "1",
            "SeriesNumber": "1",
        }
        if self.kind == "CT":
            series["FrameOfReferenceUID"] = new_uid()
        if subject.sps_id:
            request: Tree = {
                "RequestedProcedureID": subject.rp_id,
                "ScheduledProcedureStepID": subject.sps_id,
            }
            series["RequestAttributesSequence"] = [request]
        device = _ct if self.kind == "CT" else _cr
        return [_image(series | device(number), picture) for number, picture in enumerate(pictures, 1)]


def _subject(identifier: bytes) -> Subject:
    elements = scan(identifier, IMPLICIT_VR_LITTLE_ENDIAN, stop_before=EVERYTHING)
    tree = tree_of(elements)
    (step,) = cast("Sequence[Tree]", tree["ScheduledProcedureStepSequence"])

    def text(of: Tree, keyword: str) -> str:
        return str(of.get(keyword) or "")

    return Subject(
        patient_id=text(tree, "PatientID"),
        issuer=text(tree, "IssuerOfPatientID"),
        name=text(tree, "PatientName"),
        birth_date=text(tree, "PatientBirthDate"),
        sex=text(tree, "PatientSex"),
        accession_number=text(tree, "AccessionNumber"),
        study_uid=text(tree, "StudyInstanceUID"),
        description=text(tree, "RequestedProcedureDescription") or text(step, "ScheduledProcedureStepDescription"),
        rp_id=text(tree, "RequestedProcedureID"),
        sps_id=text(step, "ScheduledProcedureStepID"),
    )


def _ct(number: int) -> dict[str, Value]:
    """Return what a CT adds. Source: DICOM PS3.3 A.3, C.8.2.1; a slice every 5 mm, head first supine."""
    position = f"{-5 * (number - 1):d}"
    return {
        "SOPClassUID": _CT_IMAGE,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceNumber": str(number),
        "AcquisitionNumber": "1",
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
        "ImagePositionPatient": ["-179.65", "-179.65", position],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "SliceLocation": position,
        "SliceThickness": "5",
        "PixelSpacing": ["0.703125", "0.703125"],
        "KVP": "120",
        "RescaleIntercept": str(-CT_ZERO),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenter": "40",
        "WindowWidth": "400",
    }


def _cr(number: int) -> dict[str, Value]:
    """Return what a CR adds. Source: DICOM PS3.3 A.2, C.8.1."""
    return {
        "SOPClassUID": _CR_IMAGE,
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "InstanceNumber": str(number),
        "PatientOrientation": ["L", "F"],
        "ViewPosition": "PA",
        "BodyPartExamined": "",
        "ImagerPixelSpacing": ["0.4", "0.4"],
        "WindowCenter": "1800",
        "WindowWidth": "3200",
    }


def _image(of: dict[str, Value], picture: Picture) -> Image:
    sop_uid = new_uid()
    header: Tree = of | {
        "SOPInstanceUID": sop_uid,
        "SamplesPerPixel": "1",
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": str(picture.rows),
        "Columns": str(picture.columns),
        "BitsAllocated": "16",
        "BitsStored": "12",
        "HighBit": "11",
        "PixelRepresentation": "0",
    }
    pixels = Encoder(EXPLICIT_VR_LITTLE_ENDIAN).header(_PIXEL_DATA, "OW", len(picture.pixels)) + picture.pixels
    return Image(str(of["SOPClassUID"]), sop_uid, encode(header, EXPLICIT_VR_LITTLE_ENDIAN) + pixels)
