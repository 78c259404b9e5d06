"""Orders, images and queries that nobody here made, against a whole engine, with DCMTK as the modality."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from engine.hl7.message import Message
from tests.conftest import Dcmtk
from tests.integration.conftest import Running
from tests.integration.test_engine_morning import find, run
from tests.peers.his import order

pytestmark = [pytest.mark.integration, pytest.mark.corpus]

ORDERS = [
    # file, accession number, modality that the worklist shows ("" when the order cannot be told one: it is held)
    ("cosyte__hl7/visage__orm-o01.hl7", "AC-VS-001", None),
    ("cosyte__hl7/philips__orm-o01.hl7", "AC-PH-001", "CT"),
    ("kcenon__pacs_bridge/orm_o01_sample.hl7", "ACC001", "DX"),
    ("dcm4che__dcm4che/OMI^O23-ImagingOrder.hl7", None, None),
    ("dcm4che__dcm4che/ORM^O01-GeneralOrder.hl7", None, None),
    ("dcm4che__dcm4che/OMG^O19-GeneralClinicalOrder-Eyecare.hl7", None, None),
]


@pytest.mark.parametrize(("name", "accession", "modality"), ORDERS, ids=[name for name, _, _ in ORDERS])
async def test_an_order_of_another_vendor_is_on_the_worklist_or_held_with_words(
    running: Running, dcmtk: Dcmtk, corpus: Path, tmp_path: Path, name: str, accession: str | None, modality: str | None
) -> None:
    body = (corpus / "hl7" / name).read_bytes()
    async with running.his() as his:
        answer = Message.parse((await his.send(body)).encode())
    assert answer.get("MSA-1") in ("AA", "CA"), answer.text

    orders = (await running.get("/api/orders"))["orders"]
    assert orders
    found = accession or orders[0]["accession_number"]
    answers = await find(
        running, dcmtk, tmp_path / "wl", f"AccessionNumber={found}", "PatientName", "PatientID", "StudyInstanceUID",
        "ScheduledProcedureStepSequence[0].Modality", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
    )  # fmt: skip
    if not answers:
        holds = (await running.get(f"/api/orders/{found}"))["holds"]
        assert [hold["code"] for hold in holds] == ["step_incomplete"] * len(holds)
        assert holds
        assert modality is None
        return
    assert all(each.PatientID and each.StudyInstanceUID for each in answers)
    if modality:
        assert answers[0].ScheduledProcedureStepSequence[0].Modality == modality


IMAGES = [
    ("CT_small.dcm", ()),
    ("MR_small.dcm", ()),
    ("MR_small_implicit.dcm", ("-xi",)),
    ("MR_small_bigendian.dcm", ("-xb",)),
    ("MR_small_RLE.dcm", ("-xr",)),
    ("MR_small_jpeg_ls_lossless.dcm", ("-xt",)),
    ("MR_small_jp2klossless.dcm", ("-xv",)),
    ("SC_rgb_small_odd_jpeg.dcm", ("-xy",)),
]


@pytest.mark.parametrize(("name", "syntax"), IMAGES, ids=[name for name, _ in IMAGES])
async def test_an_image_is_stored_as_it_was_sent_whatever_its_transfer_syntax(
    running: Running, dcmtk: Dcmtk, corpus: Path, name: str, syntax: tuple[str, ...]
) -> None:
    path = corpus / "dicom" / "pydicom__pydicom" / name
    code, output = await run(
        dcmtk.storescu, *syntax, "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port), str(path)
    )
    assert code == 0, output

    sent = pydicom.dcmread(path)
    (study,) = (await running.get("/api/studies"))["studies"]
    assert study["study_uid"] == sent.StudyInstanceUID
    (blob,) = (running.engine.folder.blobs / "objects").glob("*/*")
    kept = pydicom.dcmread(blob)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.PixelData == sent.PixelData
    assert kept.get("PatientName") == sent.get("PatientName")


async def test_a_foreign_image_links_to_the_order_it_was_made_for(running: Running, dcmtk: Dcmtk, corpus: Path) -> None:
    path = corpus / "dicom" / "pydicom__pydicom" / "CT_small.dcm"
    image = pydicom.dcmread(path)
    ordered = order(
        patient_id=image.PatientID, name=str(image.PatientName), birth_date="", sex="O",
        study_uid=image.StudyInstanceUID,
    )  # fmt: skip
    async with running.his() as his:
        assert await his.code(ordered) == "AA"

    code, output = await run(dcmtk.storescu, "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port), str(path))

    assert code == 0, output
    detail = await running.settled("/api/orders/ACC0001", lambda found: found["studies"])
    assert detail["studies"][0]["link"]["rule"] == "B1"
    (notice,) = await running.ris.wait_for(1)
    assert image.StudyInstanceUID in notice.text


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "reportsi.dcm", "rtplan.dcm"])
async def test_an_object_that_comes_again_in_another_transfer_syntax_is_no_collision(
    running: Running, dcmtk: Dcmtk, corpus: Path, name: str
) -> None:
    path = corpus / "dicom" / "pydicom__pydicom" / name
    for syntax in ("-xe", "-xi", "-xb"):
        code, output = await run(
            dcmtk.storescu, "-v", syntax, "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port), str(path)
        )
        assert code == 0, output
        assert "Received Store Response (Success)" in output

    (study,) = (await running.get("/api/studies"))["studies"]
    assert study["instances"] == 1
    assert not [hold for hold in (await running.get("/api/holds"))["holds"] if hold["danger"] == "RED"]
