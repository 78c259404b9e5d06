"""Over real sockets: temporary patient, orders, images, report, then A40; every view shows the survivor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Dcmtk
from tests.integration.conftest import Running
from tests.integration.test_engine_morning import UID, find, image, store
from tests.peers.his import order

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"
TRAUMA = {"patient_id": "T0007", "name": "TRAUMA^SEVEN", "birth_date": "", "sex": "M"}
REPORT = (
    "MSH|^~\\&|RIS|RAD|ISTHMUS|RAD|20261121100000||ORU^R01|R1|P|2.3.1\rPID|1||T0007^^^HOSP^MR||TRAUMA^SEVEN|||M\r"
    "OBR|1|PL0001^HIS|FL0001^RIS|CTABD^CT abdomen^L||||||||||||||ACC0001|||||||F\r"
    "OBX|1|TX|GDT^Report||NOTHING SEEN||||||F\r"
)


async def test_after_a_merge_every_view_shows_the_survivor(running: Running, dcmtk: Dcmtk, tmp_path: Path) -> None:
    old = image(tmp_path, PatientID="T0007", PatientName="TRAUMA^SEVEN", PatientBirthDate="", PatientSex="M")
    late = image(tmp_path, PatientID="T0007", PatientName="TRAUMA^SEVEN", PatientBirthDate="", PatientSex="M")
    async with running.his() as his:
        assert await his.code((SAMPLES / "adt-a28-unknown.hl7").read_bytes()) == "AA"
        assert await his.code(order(study_uid=UID, **TRAUMA)) == "AA"
        assert await his.code(order(accession="ACC0002", control_id="M2", study_uid=f"{UID}.2", **TRAUMA)) == "AA"
        await store(running, dcmtk, old)
        assert await his.code(REPORT) == "AA"

        assert await his.code((SAMPLES / "adt-a40.hl7").read_bytes()) == "AA"

    await store(running, dcmtk, late)
    for patient_id in ("T0007", "4711"):
        listed = (await running.get(f"/api/orders?patient_id={patient_id}"))["orders"]
        assert {(each["accession_number"], each["patient"]["name"]) for each in listed} == {
            ("ACC0001", "TEST^ALPHA"),
            ("ACC0002", "TEST^ALPHA"),
        }
        keys = (f"PatientID={patient_id}", "PatientName", "AccessionNumber")
        (answer,) = await find(running, dcmtk, tmp_path / patient_id, *keys)
        assert (answer.PatientID, str(answer.PatientName), answer.AccessionNumber) == ("4711", "TEST^ALPHA", "ACC0002")
    study = await running.get(f"/api/studies/{UID}")
    assert (study["patient"]["name"], study["instances"]) == ("TEST^ALPHA", 2)
    (resource,) = (await running.get("/fhir/ServiceRequest?identifier=ACC0001"))["entry"]
    survivor = await running.get(f"/fhir/{resource['resource']['subject']['reference']}")
    assert (survivor["active"], survivor["identifier"][0]["value"]) == (True, "4711")
    assert (await running.get("/api/holds?state=open"))["holds"] == []
