"""The demo's pictures and images: the right sizes, no slice like another, and data sets that pydicom reads."""

from __future__ import annotations

from io import BytesIO

import pydicom

from engine.cli.demo import phantom
from engine.cli.demo.modality import Image, Modality, Subject

SUBJECT = Subject(
    patient_id="P1001",
    issuer="HOSP",
    name="TEST^ALPHA",
    birth_date="19800229",
    sex="F",
    accession_number="ACC0001",
    study_uid="2.25.1",
    description="CT abdomen",
    rp_id="RP1",
    sps_id="SPS1",
)


def device(kind: str) -> Modality:
    return Modality(ae_title=f"{kind}1", kind=kind, host="127.0.0.1", port=0, called_ae="ISTHMUS")


def read(image: Image) -> pydicom.Dataset:
    dataset = pydicom.dcmread(BytesIO(image.data_set), force=True)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def test_the_volume_has_64_slices_and_none_is_like_another() -> None:
    slices = list(phantom.abdomen(64))

    assert {(picture.rows, picture.columns, len(picture.pixels)) for picture in slices} == {(512, 512, 524288)}
    assert len({picture.pixels for picture in slices}) == 64


def test_a_ct_series_is_one_series_of_readable_images() -> None:
    images = device("CT").acquire(SUBJECT, list(phantom.head(3)))

    datasets = [read(image) for image in images]
    assert [dataset.InstanceNumber for dataset in datasets] == [1, 2, 3]
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    assert [dataset.SOPInstanceUID for dataset in datasets] == [image.sop_uid for image in images]
    first = datasets[0]
    assert (first.PatientID, first.AccessionNumber, first.StudyInstanceUID) == ("P1001", "ACC0001", "2.25.1")
    assert first.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS1"
    middle = first.pixel_array[256, 200] * first.RescaleSlope + first.RescaleIntercept
    assert first.pixel_array.shape == (512, 512)
    assert first.pixel_array[0, 0] + first.RescaleIntercept < -900  # air [HU]
    assert middle > -200  # tissue [HU]


def test_an_x_ray_is_a_readable_image() -> None:
    (image,) = device("CR").acquire(SUBJECT, [phantom.chest()])

    dataset = read(image)

    assert (dataset.Modality, dataset.SOPClassUID.name) == ("CR", "Computed Radiography Image Storage")
    assert dataset.pixel_array.shape == (1024, 1024)
    assert dataset.pixel_array.max() < 4096
