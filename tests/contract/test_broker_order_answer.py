"""What the sender of an order hears: plain ACK, or ORR, ORG and ORI with what became of each group."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.hl7.validation import validate
from engine.store import table
from tests.contract.order_desk import OrderDesk, opened
from tests.peers.his import order

ROUTE = """
route: orders-from-his
from:  {mllp: his}
when:  MSH-9.1 in ['ORM', 'OMI', 'OMG']
map:   order-from-hl7
apply: order
answers: order
senders:
  RIS/HOSP: {answers: ack}
  LAB/HOSP: {answers: asked}
"""


@pytest.fixture
async def shipped(tmp_path: Path) -> AsyncIterator[OrderDesk]:
    async with opened(tmp_path) as desk:
        yield desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[OrderDesk]:
    async with opened(tmp_path, orders_from_his=ROUTE) as desk:
        yield desk


def asking(flag: str, text: str) -> str:
    """Return an order with ORC-6."""
    return re.sub(r"(\rORC\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*)\|[^|]*\|", rf"\1|{flag}|", text)


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        ("", None, None),
        ("N", None, None),
        ("E", None, "UX"),
        ("R", None, "UX"),
        ("D", None, "UX"),
        ("F", "OK", "UX"),
    ],
)
async def test_orc_6_says_what_is_answered(shipped: OrderDesk, flag: str, good: str | None, bad: str | None) -> None:
    refused = await shipped.send(asking(flag, order(control="XO", control_id="M0")))
    taken = await shipped.send(asking(flag, order()))

    assert (taken.type, taken.get("MSA-1"), taken.get("ORC-1")) == ("ORR" if good else "ACK", "AA", good)
    assert (refused.type, refused.get("MSA-1"), refused.get("ORC-1")) == ("ORR" if bad else "ACK", "AE", bad)


async def test_details_come_back_with_d_and_f_only(shipped: OrderDesk) -> None:
    brief = await shipped.send(asking("E", order(control="XO", control_id="M0")))
    whole = await shipped.send(asking("F", order()))

    assert [segment.name for segment in brief.segments] == ["MSH", "MSA", "ERR", "ORC"]
    assert [segment.name for segment in whole.segments] == ["MSH", "MSA", "PID", "ORC", "OBR"]
    assert (whole.get("ORC-2.1"), whole.get("ORC-3.1"), whole.get("ORC-5")) == ("PL0001", "FL0001", "SC")
    assert whole.get("OBR-18") == "ACC0001"


@pytest.mark.parametrize(
    ("kind", "answer", "structure"),
    [("ORM^O01", "ORR^O02", "ORR_O02"), ("OMG^O19", "ORG^O20", "ORG_O20"), ("OMI^O23", "ORI^O24", "ORI_O24")],
)
async def test_each_order_message_has_its_own_answer(
    desk: OrderDesk,
    kind: str,
    answer: str,
    structure: str,  # the standard's word
) -> None:
    body = order().replace("ORM^O01", kind).replace("|P|2.3.1", "|P|2.5.1").replace("ZDS|", "ZZZ|")

    got = await desk.send(body)

    assert (got.get("MSH-9.1"), got.get("MSH-9.2"), got.get("MSH-9.3")) == (*answer.split("^"), structure)
    assert (got.get("MSA-1"), got.get("MSA-2"), got.get("ORC-1")) == ("AA", "M1", "OK")


@pytest.mark.parametrize(
    ("before", "control", "status", "answer", "now"),
    [
        ([], "NW", "SC", "OK", "SC"),
        ([("NW", "SC")], "XO", "SC", "XR", "SC"),
        ([("NW", "SC")], "XX", "SC", "OK", "SC"),
        ([("NW", "SC")], "CA", "CA", "CR", "CA"),
        ([("NW", "SC"), ("SC", "IP")], "CA", "CA", "UC", "IP"),
        ([("NW", "SC")], "OC", "CA", "OK", "CA"),
        ([("NW", "SC")], "DC", "DC", "DR", "DC"),
        ([("NW", "SC"), ("SC", "CM")], "DC", "DC", "UD", "CM"),
        ([("NW", "SC")], "HD", "HD", "HR", "HD"),
        ([("NW", "SC"), ("SC", "IP")], "HD", "HD", "UH", "IP"),
        ([("NW", "SC"), ("HD", "HD")], "RL", "", "OR", "SC"),
        ([("NW", "SC"), ("SC", "IP")], "RL", "", "UR", "IP"),
        ([("NW", "SC")], "SC", "IP", "OK", "IP"),
        ([("NW", "SC"), ("SC", "IP")], "SS", "", "SR", "IP"),
    ],
)
async def test_the_answer_says_as_requested_or_unable(  # one row of the table
    desk: OrderDesk, before: list[tuple[str, str]], control: str, status: str, answer: str, now: str
) -> None:
    for number, (earlier, state) in enumerate(before):
        await desk.send(order(control=earlier, status=state, control_id=f"B{number}"))

    got = await desk.send(order(control=control, status=status))

    assert (got.get("MSA-1"), got.get("ORC-1"), got.get("ORC-5")) == ("AA", answer, now)


@pytest.mark.parametrize(
    ("control", "answer"),
    [("XO", "UX"), ("CA", "UC"), ("DC", "UD"), ("HD", "UH"), ("RL", "UR"), ("OC", "DE"), ("SS", "DE"), ("AF", "DE")],
)
async def test_a_refusal_says_what_cannot_be_done(desk: OrderDesk, control: str, answer: str) -> None:
    got = await desk.send(order(control=control, status="", control_id="M2"))

    assert (got.get("MSA-1"), got.get("ORC-1"), got.get("ORC-2.1"), got.get("ORC-5")) == ("AE", answer, "PL0001", None)


async def test_a_message_that_its_mapping_refuses_is_answered_in_kind(desk: OrderDesk) -> None:
    got = await desk.send_sample("orm-o01-bad-date")

    assert (got.type, got.get("MSA-1"), got.get("ORC-1")) == ("ORR", "AE", "UA")


async def test_every_group_has_its_answer(desk: OrderDesk) -> None:
    await desk.send_sample("orm-o01-zds")

    got = await desk.send_sample("orm-o01-replace")

    assert [segment.field(1) for segment in got.named("ORC")] == ["RQ", "RO"]
    assert [segment.field(5) for segment in got.named("ORC")] == ["RP", "SC"]


async def test_an_order_of_another_patient_is_held_and_not_accepted(desk: OrderDesk) -> None:
    await desk.send(order())

    got = await desk.send(order(control_id="M2", patient_id="P0002", name="TEST^BETA", study_uid=""))

    assert (got.get("MSA-1"), got.get("ORC-1")) == ("AA", "UA")


async def test_an_order_without_a_number_gets_one_and_hears_it(shipped: OrderDesk) -> None:
    body = (
        "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121080000||ORM^O01|S1|P|2.5.1\rPID|1||4711^^^HOSP^MR||TEST^ALPHA\r"
        "ORC|SN\rOBR|1|||CTABD^CT abdomen^L||||||||||||||||||||CT\r"
    )

    got = await shipped.send(body)

    (kept,) = await shipped.rows(table.imaging_order)
    assert (got.type, got.get("MSA-1"), got.get("ORC-1")) == ("ORR", "AA", "NA")
    assert got.get("ORC-3") == kept["filler_number"] != ""
    assert await shipped.code(body.replace("ORC|SN", f"ORC|CA||{got.get('ORC-3')}").replace("|S1|", "|S2|")) == "AA"


async def test_the_number_and_the_accession_number_are_filled_in_where_they_were_missing(desk: OrderDesk) -> None:
    got = await desk.send(
        "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121080000||ORM^O01|S1|P|2.5.1\rPID|1||4711^^^HOSP^MR||TEST^ALPHA\r"
        "ORC|NW\rOBR|1|||CTABD^CT abdomen^L||||||||||||||||||||CT\r"
    )

    (kept,) = await desk.rows(table.imaging_order)
    assert (got.get("ORC-1"), got.get("OBR-3"), got.get("OBR-18")) == (
        "OK",
        kept["filler_number"],
        kept["accession_number"],
    )
    assert got.get("OBR-24") == "CT"


async def test_without_an_answer_that_carries_it_no_number_is_made(shipped: OrderDesk) -> None:
    assert (
        await shipped.code(
            "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121080000||ORM^O01|S1|P|2.5.1\rPID|1||4711^^^HOSP^MR||TEST^ALPHA\r"
            "ORC|NW\rOBR|1|||CTABD^CT abdomen^L||||||||||||||||||||CT\r"
        )
        == "AE"
    )


async def test_each_sender_is_answered_in_its_way(desk: OrderDesk) -> None:
    def of(sender: str, text: str) -> str:
        return text.replace("MSH|^~\\&|HIS|", f"MSH|^~\\&|{sender}|")

    assert (await desk.send(of("RIS", asking("F", order(control_id="A"))))).type == "ACK"
    assert (await desk.send(of("LAB", order(control_id="B")))).type == "ACK"
    assert (await desk.send(of("LAB", asking("F", order(control_id="C"))))).type == "ORR"
    assert (await desk.send(order(control_id="D"))).type == "ORR"


async def test_a_resend_gets_the_same_answer(desk: OrderDesk) -> None:
    first, second = await desk.send(order()), await desk.send(order())

    assert first.raw == second.raw


async def test_the_senders_delimiters_stand_in_the_answer(desk: OrderDesk) -> None:
    body = order().replace("^~\\&", "#~\\&").replace("^", "#")

    got = await desk.send(body)

    assert (got.get("MSA-1"), got.get("ORC-2.1"), got.get("MSH-9.1")) == ("AA", "PL0001", "ORR")


_SINCE = {"ORM^O01": "2.3", "OMG^O19": "2.4", "OMI^O23": "2.5"}
_VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6")


@pytest.mark.parametrize(("kind", "version"), [(k, v) for k, since in _SINCE.items() for v in _VERSIONS if v >= since])
async def test_the_answers_are_valid_by_the_tables_of_hl7apy(desk: OrderDesk, version: str, kind: str) -> None:
    extra = "IPC|ACC0001|RP1|1.2.826.0.1.3680043.8.498.1|SPS1|CT\r" if kind == "OMI^O23" else ""
    body = order(study_uid="").replace("ORM^O01", kind).replace("|P|2.3.1", f"|P|{version}") + extra

    got = await desk.send(body)

    assert got.get("MSA-1") == "AA"
    assert validate(got) == ()
