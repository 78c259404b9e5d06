"""The MLLP edge of a whole engine as `isthmus.yaml` sets it: batches, charsets, tolerance, limits, TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.app.engine import Engine
from engine.core.errors import ConfigError
from engine.hl7.message import Message
from tests.peers.authority import Authority
from tests.peers.his import His, order
from tests.peers.ris import Ris
from tests.peers.running import deliveries, journal, rows, running_engine

pytestmark = pytest.mark.integration


def numbered(number: int, version: str = "2.5") -> str:
    made = order(
        control_id=f"M{number}", accession=f"ACC{number:04}", patient_id=f"P{number:04}", study_uid=f"1.2.3.{number}"
    )
    return made.replace("|P|2.3.1", f"|P|{version}")


def batch(*messages: str, says: int | None = None, files: int = 1) -> str:
    count = len(messages) if says is None else says
    return f"FHS|^~\\&|HIS\rBHS|^~\\&|HIS||||||||B77\r{''.join(messages)}BTS|{count}\rFTS|{files}\r"


def his(engine: Engine) -> His:
    return His(engine.mllp["his"].port)


async def states(engine: Engine) -> list[tuple[str, str]]:
    return [(row["control_id"], row["state"]) for row in await journal(engine)]


# -- batches


async def test_a_wrong_count_is_a_warning_and_the_messages_are_processed(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, his(engine) as sender:
        answer = Message.parse((await sender.send(batch(numbered(1), says=3, files=2))).encode())

        assert (answer.get("MSA-1"), answer.get("ERR[1]-4"), answer.get("ERR[2]-4")) == ("AA", "W", "W")
        assert answer.get("ERR[1]-8") == "BTS-1 says 3 messages, the batch holds 1"
        (row,) = await journal(engine)
        assert row["state"] == "applied"
        assert "FTS-1 says 2 batches, the file holds 1" in row["text"]


async def test_a_batch_is_answered_with_a_batch_where_that_is_set(tmp_path: Path) -> None:
    body = batch(numbered(1), numbered(2).replace("ORM^O01", "BAR^P01"), numbered(3))
    async with running_engine(tmp_path, listener={"batch_answer": "batch"}) as engine, his(engine) as sender:
        answer, again = await sender.send(body), await sender.send(body)

    segments = [segment.split("|") for segment in answer.strip("\r").split("\r")]
    assert [segment[0] for segment in segments] == ["BHS", "MSH", "MSA", "MSH", "MSA", "ERR", "MSH", "MSA", "BTS"]
    assert segments[0][11] == "B77"
    assert [segment[1:3] for segment in segments if segment[0] == "MSA"] == [["AA", "M1"], ["AR", "M2"], ["AA", "M3"]]
    assert segments[-1] == ["BTS", "3"]
    assert again.split("\r")[0] == answer.split("\r")[0]


async def test_single_messages_are_answered_singly_where_batches_are_answered_as_such(tmp_path: Path) -> None:
    async with running_engine(tmp_path, listener={"batch_answer": "batch"}) as engine, his(engine) as sender:
        assert await sender.code(numbered(1)) == "AA"


async def test_what_follows_a_long_batch_waits_its_turn(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, his(engine) as sender:
        change = numbered(90).replace("|M90|", "|M91|").replace("ORC|NW", "ORC|CA").replace("||SC||", "||CA||")
        sender.write(batch(*(numbered(number) for number in range(1, 91))))
        sender.write(change)
        sender.write(numbered(92))
        answers = [Message.parse((await sender.receive()).encode()) for _ in range(92)]

        assert [answer.get("MSA-2") for answer in answers] == [f"M{number}" for number in range(1, 93)]
        assert {answer.get("MSA-1") for answer in answers} == {"AA"}
        assert [name for name, _ in await states(engine)] == [f"M{number}" for number in range(1, 93)]


async def test_an_envelope_without_messages_is_refused(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, his(engine) as sender:
        assert await sender.code(batch()) == "AR"


async def test_an_initial_load_tells_nobody(tmp_path: Path) -> None:
    ris = Ris()
    await ris.start()
    try:
        async with running_engine(
            tmp_path,
            destination={"port": ris.port},
            routes={"tell": "route: tell\nfrom: {event: order.placed}\nmap: told\nto: [{mllp: ris}]\n"},
            mappings={"told": TOLD},
        ) as engine:
            async with his(engine) as sender:
                assert await sender.code(numbered(1).replace("|P|2.5", "|P^I|2.5")) == "AA"
                assert await sender.code(numbered(2)) == "AA"
            (notice,) = await ris.wait_for(1)
            assert notice.get("ORC-2.1") == "PL0002"
            assert len(await deliveries(engine)) == 1
            assert await states(engine) == [("M1", "applied"), ("M2", "applied")]
    finally:
        await ris.stop()


TOLD = """\
from: event
to: hl7v2
message: ORM^O01
version: '2.3.1'
set: {PID-3: patient.identifiers | cx, ORC-1: {text: SC}, ORC-2: order.placer_number, OBR-4: {text: X}}
"""


async def test_a_message_in_parts_is_refused_and_not_half_applied(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine, his(engine) as sender:
        part = Message.parse((await sender.send(numbered(1) + "DSC|GO1|F\r")).encode())
        rest = await sender.code("MSH|^~\\&|HIS|HOSP|I|R|20261121||ORM^O01|M2|P|2.5||GO1\rADD|1|2\r")

        assert (part.get("MSA-1"), part.get("ERR-2"), part.get("ERR-3.1"), rest) == ("AE", "DSC^1^1", "100", "AE")
        assert await states(engine) == [("M1", "refused"), ("M2", "refused")]


# -- answers and charsets


@pytest.mark.parametrize(("blank", "codes"), [("NE", ["CA"]), ("AL", ["CA", "AA"])])
async def test_a_blank_condition_means_what_is_set(tmp_path: Path, blank: str, codes: list[str]) -> None:
    async with running_engine(tmp_path, listener={"blank_ack_condition": blank}) as engine, his(engine) as sender:
        sender.write(numbered(1).replace("|P|2.5", "|P|2.5|||AL"))
        sender.write(numbered(2))
        answers = [Message.parse((await sender.receive()).encode()) for _ in range(len(codes) + 1)]

        assert [(each.get("MSA-1"), each.get("MSA-2")) for each in answers] == [
            *((code, "M1") for code in codes),
            ("AA", "M2"),
        ]


async def test_charsets_of_the_listener_are_tried_in_turn(tmp_path: Path) -> None:
    listener = {"default_charset": ["KS X 1001", "8859/2"]}
    korean, polish = "TEST^알파", "TEST^Łódź"
    async with running_engine(tmp_path, listener=listener) as engine, his(engine) as sender:
        assert await sender.code(numbered(1).replace("TEST^ALPHA", korean).encode("cp949")) == "AA"
        assert await sender.code(numbered(2).replace("TEST^ALPHA", polish).encode("iso8859_2")) == "AA"

        names = [each["name"] for each in await rows(engine, "patient")]
    assert names == ["TEST^알파", "TEST^Łódź"]


# -- tolerance and limits


async def test_a_message_without_frame_is_taken_where_that_is_allowed(tmp_path: Path) -> None:
    async with running_engine(
        tmp_path, listener={"allow_unframed": True}, limits={"mllp_unframed_gap_s": "50ms"}
    ) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.mllp["his"].port)
        for number in (1, 2):
            writer.write(numbered(number).encode())
            async with asyncio.timeout(20):
                answer = Message.parse((await reader.readuntil(b"\x1c\r")).strip(b"\x0b\x1c\r"))
            assert (answer.get("MSA-1"), answer.get("MSA-2")) == ("AA", f"M{number}")
        writer.close()


async def test_a_message_without_frame_closes_the_connection_otherwise(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.mllp["his"].port)
        writer.write(numbered(1).encode())
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        assert await journal(engine) == []


async def test_the_end_of_the_stream_is_an_end_where_that_is_accepted(tmp_path: Path) -> None:
    async with running_engine(tmp_path, listener={"accept_eof_as_end": True}) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.mllp["his"].port)
        writer.write(b"\x0b" + numbered(1).encode())
        writer.write_eof()
        async with asyncio.timeout(20):
            assert b"MSA|AA|M1" in await reader.read()
        writer.close()


async def test_a_message_over_the_limit_of_its_listener_gets_ar_and_the_connection_ends(tmp_path: Path) -> None:
    async with running_engine(tmp_path, listener={"max_message": "1KiB"}) as engine, his(engine) as sender:
        answer = Message.parse((await sender.send(numbered(1) + "NTE|1||" + "x" * 2000 + "\r")).encode())

        assert (answer.get("MSA-1"), answer.get("MSA-2"), answer.get("ERR-3.1")) == ("AR", "M1", "207")
        assert answer.get("ERR-8") == "message longer than 1024 bytes"
        assert await sender.receive() == ""


async def test_only_those_listed_may_connect(tmp_path: Path) -> None:
    async with running_engine(tmp_path, listener={"allow_from": ["10.1.2.0/24"]}) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.mllp["his"].port)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_msa_2_cut_off_by_the_receiver_is_matched_where_that_is_set(tmp_path: Path) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        control_id = Message.parse((await reader.readuntil(b"\x1c\r")).strip(b"\x0b\x1c\r")).control_id
        writer.write(f"\x0bMSH|^~\\&|RIS||I||20261121||ACK|1|P|2.3\rMSA|AA|{control_id[:20]}\r\x1c\r".encode())
        await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(cut_off, "127.0.0.1", 0)
    destination = {"port": receiver.sockets[0].getsockname()[1], "ack_match": "prefix"}
    async with running_engine(tmp_path, destination=destination, forward=True) as engine, his(engine) as sender:
        body = f"MSH|^~\\&|HIS|HOSP|I|R|20261121||ADT^A01|{'A' * 30}|P|2.5\rPID|1||P1^^^HOSP^MR||TEST^ALPHA\rPV1|1|O\r"
        assert await sender.code(body) == "AA"
        async with asyncio.timeout(20):
            while [row["state"] for row in await deliveries(engine)] != ["delivered"]:
                await asyncio.sleep(0.02)
    receiver.close()


async def test_without_its_certificate_the_engine_does_not_start(tmp_path: Path) -> None:
    listener = {"tls": {"certificate": "absent.pem", "key": "absent.key"}}
    with pytest.raises(ConfigError, match=r"CFG-205: '.*absent\.key' cannot be used for TLS: there is no such file"):
        async with running_engine(tmp_path, listener=listener):
            pass


async def test_tls_both_ways_through_a_whole_engine(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    ours = authority.sign("engine")
    listening = authority.listener(ours, mutual=True).model_dump()
    sending = authority.destination(ours).model_dump()
    async with running_engine(tmp_path / "ris", listener={"tls": listening}) as ris:
        destination = {"port": ris.mllp["his"].port, "tls": sending}
        async with (
            running_engine(tmp_path / "engine", destination=destination, forward=True) as engine,
            his(engine) as sender,
        ):
            body = "MSH|^~\\&|HIS|HOSP|I|R|20261121||ADT^A01|A1|P|2.5\rPID|1||P1^^^HOSP^MR||TEST^ALPHA\rPV1|1|O\r"
            assert await sender.code(body) == "AA"
            async with asyncio.timeout(20):
                while [row["state"] for row in await deliveries(engine)] != ["delivered"]:
                    await asyncio.sleep(0.02)
        assert await states(ris) == [("A1", "applied")]
