"""What a sender hears when it errs: in its own protocol, at the right place, and the connection stays."""

from __future__ import annotations

import pytest

from engine.hl7.message import Message
from tests.integration.conftest import Running
from tests.peers.his import order

pytestmark = pytest.mark.integration


async def test_garbage_gets_ar_with_err_and_the_connection_stays(running: Running) -> None:
    async with running.his() as his:
        answer = Message.parse((await his.send("GARBAGE FROM A TERMINAL")).encode())
        assert (answer.get("MSA-1"), answer.get("ERR-3.1")) == ("AR", "100")

        assert await his.code(order()) == "AA"


async def test_an_unknown_message_type_gets_ar_200(running: Running) -> None:
    async with running.his() as his:
        answer = await his.send(order().replace("ORM^O01", "BAR^P01").replace("|2.3.1", "|2.5"))

    message = Message.parse(answer.encode())
    assert (message.get("MSA-1"), message.get("ERR-3.1")) == ("AR", "200")


async def test_an_event_nobody_takes_gets_ar_201(running: Running) -> None:
    async with running.his() as his:
        answer = await his.send(order().replace("ORM^O01", "ADT^A60").replace("|2.3.1", "|2.5"))

    message = Message.parse(answer.encode())
    assert (message.get("MSA-1"), message.get("ERR-3.1")) == ("AR", "201")


async def test_a_missing_patient_id_gets_ae_101_naming_the_field(running: Running) -> None:
    async with running.his() as his:
        answer = await his.send(order(patient_id="").replace("^^^HOSP^MR", "").replace("|2.3.1", "|2.5"))

    message = Message.parse(answer.encode())
    assert (message.get("MSA-1"), message.get("ERR-3.1")) == ("AE", "101")
    assert (message.get("ERR-2.1"), message.get("ERR-2.3")) == ("PID", "3")


async def test_refused_messages_are_kept_and_can_be_read_back(running: Running) -> None:
    async with running.his() as his:
        await his.send("GARBAGE FROM A TERMINAL")

    (kept,) = (await running.get("/api/messages?state=refused"))["messages"]
    assert kept["code"] == "HL7-101"
    async with running.http.get(f"/api/messages/{kept['id']}/raw") as raw:
        assert await raw.read() == b"GARBAGE FROM A TERMINAL"


async def test_one_accession_for_two_patients_is_held_never_merged(running: Running) -> None:
    async with running.his() as his:
        assert await his.code(order(study_uid="")) == "AA"
        other = order(control_id="M2", patient_id="P0002", name="TEST^BETA", birth_date="19900101", study_uid="")
        assert await his.code(other) == "AA"

    detail = await running.get("/api/orders/ACC0001")
    assert detail["patient"]["name"] == "TEST^ALPHA"
    assert [hold["code"] for hold in detail["holds"]] == ["order_of_another_patient"]
    (held,) = (await running.get("/api/messages?state=held"))["messages"]
    assert held["control_id"] == "M2"


async def test_an_accession_too_long_for_dicom_is_held_not_cut(running: Running) -> None:
    async with running.his() as his:
        assert await his.code(order(accession="ACC4567890123456789")) == "AA"

    detail = await running.get("/api/orders/ACC4567890123456789")
    assert "never cut" in detail["holds"][0]["reason"]
