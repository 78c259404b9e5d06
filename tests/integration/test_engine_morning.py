"""An order in, a worklist answered, images stored and linked, the RIS told: with DCMTK as the modality."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.conftest import Dcmtk
from tests.integration.conftest import Running
from tests.peers.his import order

pytestmark = pytest.mark.integration

UID = "1.2.826.0.1.3680043.8.498.77"


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def image(folder: Path, **values: str) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = UID
    dataset.SeriesInstanceUID = f"{UID}.1"
    dataset.PatientID = "P0001"
    dataset.PatientName = "TEST^ALPHA"
    dataset.PatientBirthDate = "19800229"
    dataset.PatientSex = "F"
    dataset.AccessionNumber = "ACC0001"
    dataset.Modality = "CT"
    dataset.StudyDate = "20261121"
    dataset.StudyTime = "093500"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(512)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


async def find(running: Running, dcmtk: Dcmtk, folder: Path, *keys: str) -> list[Dataset]:
    folder.mkdir()
    asked = [part for key in keys for part in ("-k", key)]
    code, output = await run(
        dcmtk.findscu, "-W", "-aet", "CT1", "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port),
        "-X", "-od", str(folder), *asked,
    )  # fmt: skip
    assert code == 0, output
    return [pydicom.dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]


async def store(running: Running, dcmtk: Dcmtk, *files: Path) -> str:
    code, output = await run(
        dcmtk.storescu, "-v", "-aet", "CT1", "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port), *map(str, files)
    )
    assert code == 0, output
    return output


async def test_echo(running: Running, dcmtk: Dcmtk) -> None:
    code, output = await run(dcmtk.echoscu, "-aec", "ISTHMUS", "127.0.0.1", str(running.dicom_port))

    assert code == 0, output


async def test_an_order_is_on_the_worklist_and_its_images_are_linked_and_told(
    running: Running, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    async with running.his() as his:
        assert await his.code(order(study_uid=UID)) == "AA"
    answers = await find(
        running, dcmtk, tmp_path / "wl", "AccessionNumber=ACC0001", "PatientName", "PatientID", "StudyInstanceUID",
        "ScheduledProcedureStepSequence[0].Modality", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
    )  # fmt: skip
    (answer,) = answers
    assert (answer.PatientName, answer.PatientID, answer.StudyInstanceUID) == ("TEST^ALPHA", "P0001", UID)
    assert answer.ScheduledProcedureStepSequence[0].Modality == "CT"

    await store(running, dcmtk, image(tmp_path), image(tmp_path))

    detail = await running.settled("/api/orders/ACC0001", lambda found: found["notices"])
    (study,) = detail["studies"]
    assert study["study_uid"] == UID
    assert study["instances"] == 2
    assert study["link"]["rule"] == "B1"
    (notice,) = await running.ris.wait_for(1)
    assert notice.structure == "OMG_O19"
    assert notice.get("OBR-18") == "ACC0001"
    assert notice.get("ORC-2.1") == "PL0001"
    assert notice.get("PID-3.1") == "P0001"
    assert UID in notice.text
    told = await running.settled("/api/orders/ACC0001", lambda found: found["notices"][0]["state"] == "delivered")
    assert told["state"] == "ACQUIRED"
    names = [event["name"] for event in told["events"]]
    assert names.index("order.placed") < names.index("step.listed") < names.index("study.linked")
    assert names.index("study.linked") < names.index("study.completed")


async def test_images_of_another_patient_are_held_not_linked(running: Running, dcmtk: Dcmtk, tmp_path: Path) -> None:
    async with running.his() as his:
        await his.code(order(study_uid=UID))

    await store(running, dcmtk, image(tmp_path, PatientID="P9999"))

    detail = await running.settled("/api/orders/ACC0001", lambda found: found["holds"])
    assert [hold["danger"] for hold in detail["holds"]] == ["RED"]
    assert "patient ID" in detail["holds"][0]["reason"]
    assert not [study for study in detail["studies"] if study["link"]]
    assert detail["state"] == "SCHEDULED"
    assert not running.ris.received


async def test_images_before_their_order_link_when_it_comes(running: Running, dcmtk: Dcmtk, tmp_path: Path) -> None:
    await store(running, dcmtk, image(tmp_path))
    await running.settled("/api/studies?linked=false", lambda found: found["studies"])

    async with running.his() as his:
        assert await his.code(order(study_uid=UID)) == "AA"

    detail = await running.settled("/api/orders/ACC0001", lambda found: found["studies"])
    assert detail["studies"][0]["link"]["rule"] == "B1"
    await running.ris.wait_for(1)


async def test_an_order_without_study_uid_links_by_accession(running: Running, dcmtk: Dcmtk, tmp_path: Path) -> None:
    async with running.his() as his:
        await his.code(order(study_uid=""))
    ordered = (await running.get("/api/orders/ACC0001"))["procedures"][0]["study_uid"]
    assert ordered.startswith("2.25.")

    await store(running, dcmtk, image(tmp_path))

    detail = await running.settled("/api/orders/ACC0001", lambda found: found["studies"])
    assert detail["studies"][0]["link"]["rule"] == "B3"


async def test_a_resent_message_is_answered_alike_and_applied_once(running: Running) -> None:
    async with running.his() as his:
        first = await his.send(order())
        again = await his.send(order())

    assert first == again
    assert len((await running.get("/api/orders?accession=ACC0001"))["orders"]) == 1


async def test_the_ris_is_told_again_with_the_same_bytes_until_it_says_yes(
    running: Running, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    running.ris.answers[:] = ["drop", "AA"]
    async with running.his() as his:
        await his.code(order(study_uid=UID))

    await store(running, dcmtk, image(tmp_path))

    first, second = (await running.ris.wait_for(2))[:2]
    assert first.raw == second.raw
    told = await running.settled("/api/orders/ACC0001", lambda found: found["notices"][0]["state"] == "delivered")
    assert len(told["notices"]) == 1


async def test_a_refused_notice_is_kept_and_shown(running: Running, dcmtk: Dcmtk, tmp_path: Path) -> None:
    running.ris.answers[:] = ["AE"]
    async with running.his() as his:
        await his.code(order(study_uid=UID))

    await store(running, dcmtk, image(tmp_path))

    told = await running.settled(
        "/api/orders/ACC0001", lambda found: found["notices"] and found["notices"][0]["state"] == "dead"
    )
    assert told["notices"][0]["answer"].startswith("AE")


async def test_a_changed_and_a_cancelled_order_move_on_the_worklist(
    running: Running, dcmtk: Dcmtk, tmp_path: Path
) -> None:
    async with running.his() as his:
        await his.code(order())
        await his.code(order(control="XO", control_id="M2", modality="MR"))
        (moved,) = await find(
            running, dcmtk, tmp_path / "moved", "AccessionNumber=ACC0001",
            "ScheduledProcedureStepSequence[0].Modality", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
        )  # fmt: skip
        await his.code(order(control="CA", status="CA", control_id="M3"))
        gone = await find(running, dcmtk, tmp_path / "gone", "AccessionNumber=ACC0001")

    assert moved.ScheduledProcedureStepSequence[0].Modality == "MR"
    assert moved.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "MR1"
    assert gone == []
