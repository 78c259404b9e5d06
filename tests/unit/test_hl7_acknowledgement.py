"""Acknowledgements: modes, contents by version, reading."""

import pytest

from engine.core.errors import PeerError
from engine.core.outcomes import OUTCOMES
from engine.hl7.acknowledgement import (
    Ack,
    Problem,
    Wanted,
    ack_code,
    answers_wanted,
    build_ack,
    is_acknowledgement,
    read_ack,
)
from engine.hl7.errors import HeadIncomplete, InvalidValue
from engine.hl7.message import Message, read_head

MISSING = Problem("HL7-111", "PID-3 is required", "PID^1^3")
WRONG = Problem("HL7-112", "OBR-7 is not a date & time", "OBR^2^7^1^1")


def order(version: str = "2.5.1", rest: str = "") -> Message:
    return Message.parse(f"MSH|^~\\&|HIS|HOSP|RIS|RAD|2026||ORM^O01|X\\T\\1|P|{version}{rest}\rPID|1\r".encode())


def answer(message: Message | None, *problems: Problem, accept: bool = False) -> list[str]:
    return build_ack(message, problems, control_id="I1", time="20260102", accept=accept).decode().split("\r")


def test_a_positive_answer() -> None:
    assert answer(order()) == [
        "MSH|^~\\&|RIS|RAD|HIS|HOSP|20260102||ACK^O01^ACK|I1|P|2.5.1",
        "MSA|AA|X\\T\\1",
        "",
    ]
    assert answer(order(), accept=True)[1] == "MSA|CA|X\\T\\1"


@pytest.mark.parametrize(
    ("version", "msh_9"),
    [("2.1", "ACK"), ("2.2", "ACK^O01"), ("2.3", "ACK^O01"), ("2.3.1", "ACK^O01^ACK"), ("2.8", "ACK^O01^ACK"),
     ("", "ACK^O01^ACK")],
)  # fmt: skip
def test_message_type_by_version(version: str, msh_9: str) -> None:
    head = answer(order(version))[0].split("|")
    assert (head[8], head[11]) == (msh_9, version or "2.3.1")


def test_a_message_without_trigger_is_answered_without() -> None:
    message = Message.parse(b"MSH|^~\\&|||||||ADT|1|P|2.5\r")
    assert answer(message)[0] == "MSH|^~\\&|ISTHMUS||||20260102||ACK|I1|P|2.5"


def test_every_problem_has_its_err_from_2_5() -> None:
    assert answer(order(), MISSING, WRONG)[1:] == [
        "MSA|AE|X\\T\\1|HL7-111: PID-3 is required",
        "ERR||PID^1^3|101^Required field missing^HL70357|E|HL7-111^PID-3 is required^L|||PID-3 is required",
        (
            "ERR||OBR^2^7^1^1|102^Data type error^HL70357|E|HL7-112^OBR-7 is not a date \\T\\ time^L"
            "|||OBR-7 is not a date \\T\\ time"
        ),
        "",
    ]


@pytest.mark.parametrize("version", ["2.1", "2.3.1", "2.4"])
def test_before_2_5_places_stand_in_err_1(version: str) -> None:
    assert answer(order(version), MISSING, WRONG)[1:] == [
        "MSA|AE|X\\T\\1|HL7-111: PID-3 is required",
        "ERR|PID^1^3^101&Required field missing&HL70357~OBR^2^7^102&Data type error&HL70357",
        "",
    ]


def test_a_warning_leaves_the_answer_positive() -> None:
    held = Problem("HL7-120", "held for a person", severity="W")
    assert answer(order(), held)[1:3] == [
        "MSA|AA|X\\T\\1|HL7-120: held for a person",
        "ERR|||0^Message accepted^HL70357|W|HL7-120^held for a person^L|||held for a person",
    ]


def test_the_answer_is_written_with_the_senders_delimiters() -> None:
    message = Message.parse(b"MSH$%*?!$HIS$H$RIS$R$$$ORM%O01$7$P$2.5\r")
    assert answer(message, MISSING)[1:3] == [
        "MSA$AE$7$HL7-111: PID-3 is required",
        "ERR$$PID%1%3$101%Required field missing%HL70357$E$HL7-111%PID-3 is required%L$$$PID-3 is required",
    ]


def test_a_short_msh_2_is_written_in_full() -> None:
    assert answer(Message.parse(b"MSH|^~|HIS\r"))[0].startswith("MSH|^~\\&|")


def test_processing_id_version_and_charset_come_back() -> None:
    head = answer(order("2.5^DEU", "||||||8859/1~ISO IR87"))[0].split("|")
    assert (head[10], head[11], head[17]) == ("P", "2.5^DEU", "8859/1~ISO IR87")


@pytest.mark.parametrize(
    ("declared", "codec"), [("8859/1", "iso8859_1"), ("UNICODE UTF-8", "utf_8"), ("GB 18030-2000", "gb18030")]
)
def test_the_answer_is_written_in_the_senders_charset(declared: str, codec: str) -> None:
    body = f"MSH|^~\\&|HÜS|||||| ORM^O01|1|P|2.5||||||{declared}\r".encode(codec)
    assert "HÜS".encode(codec) in build_ack(Message.parse(body), control_id="1", time="2026")


def test_utf_8_sent_as_latin_1_is_answered_as_declared() -> None:
    body = "MSH|^~\\&|HÜS||||||ORM^O01|1|P|2.5||||||8859/1\r".encode()
    assert "HÜS".encode("latin_1") in build_ack(Message.parse(body), control_id="1", time="2026")


def test_what_the_declared_set_cannot_carry_is_answered_in_the_one_that_read_it() -> None:
    body = "MSH|^~\\&|测试||||||ORM^O01|1|P|2.5||||||8859/1\r".encode()
    assert "测试".encode() in build_ack(Message.parse(body), control_id="1", time="2026")


def test_an_unreadable_message_is_answered_from_its_head() -> None:
    body = b"MSH|^~\\&|H\xfcS||||||ORM^O01|42|P|2.5||||||UNICODE UTF-8\rPID|\xff\r"
    ack = build_ack(
        read_head(body),
        [Problem("HL7-102", "byte 9 is not valid UNICODE UTF-8", "MSH^1^18")],
        control_id="1",
        time="2026",
    )
    assert b"||H\xfcS|" in ack
    assert b"\rMSA|AE|42|HL7-102: byte 9 is not valid UNICODE UTF-8\r" in ack


def test_nothing_readable_is_answered_all_the_same() -> None:
    assert answer(None, Problem("HL7-101", "message must start with MSH and different delimiters")) == [
        "MSH|^~\\&|ISTHMUS||||20260102||ACK|I1|P|2.5",
        "MSA|AR||HL7-101: message must start with MSH and different delimiters",
        (
            "ERR|||100^Segment sequence error^HL70357|E|HL7-101^message must start with MSH and different delimiters^L"
            "|||message must start with MSH and different delimiters"
        ),
        "",
    ]


def test_msa_3_is_short() -> None:
    (text,) = [segment.split("|")[3] for segment in answer(order(), Problem("HL7-110", "x" * 200)) if "MSA" in segment]
    assert len(text) == 80


@pytest.mark.parametrize("code", [code for code, outcome in OUTCOMES.items() if outcome.ack])
def test_every_code_that_has_an_answer_is_answered_by_the_table(code: str) -> None:
    read = read_ack(build_ack(order(), [Problem(code, "text")], control_id="1", time="2026"))
    assert (read.code, read.problem_codes) == (OUTCOMES[code].ack, (OUTCOMES[code].hl7,))
    accept = read_ack(build_ack(order(), [Problem(code, "text")], control_id="1", time="2026", accept=True))
    assert accept.code == OUTCOMES[code].accept_ack


def test_a_rejection_outweighs_an_error() -> None:
    assert ack_code([MISSING]) == "AE"
    assert ack_code([MISSING, Problem("HL7-104", "x"), MISSING]) == "AR"
    assert ack_code([MISSING, Problem("HL7-104", "x")], accept=True) == "CR"
    assert ack_code([]) == "AA"
    assert ack_code([Problem("STO-101", "x")]) == "AR"


def test_problems_come_from_errors() -> None:
    assert Problem.of(HeadIncomplete(field=9)) == Problem("HL7-103", "MSH-9 is required", "MSH^1^9")
    assert Problem.of(InvalidValue(field="PID-7", data_type="date")).where is None


ALWAYS, NEVER = Wanted(accept=True, application=True), Wanted(accept=False, application=False)
ASKED = {
    "": None,
    "NE": (False, False),
    "AL": (True, True),
    "ER": (False, True),
    "SU": (True, False),
    "??": (True, True),
}


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("msh_16", ASKED)
@pytest.mark.parametrize("msh_15", ASKED)
def test_every_pair_of_modes(msh_15: str, msh_16: str, ok: bool) -> None:
    wanted = answers_wanted(msh_15, msh_16, ok=ok)
    if not msh_15 and not msh_16:
        assert wanted == Wanted(accept=False, application=True)
        return
    column = 0 if ok else 1
    accept, application = (ASKED[code] or (False, False) for code in (msh_15, msh_16))
    assert wanted == Wanted(accept[column], application[column])


def test_what_counts_as_blank() -> None:
    assert answers_wanted(None, None, ok=True) == Wanted(accept=False, application=True)
    assert answers_wanted('""', " ", ok=False) == Wanted(accept=False, application=True)
    assert answers_wanted("AL", "", ok=True, blank="AL") == ALWAYS
    assert answers_wanted("ne", "ne", ok=False) == NEVER


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"MSH|^~\\&|||||||ACK|1\rMSA|AA|1\r", True),
        (b"MSH|^~\\&|||||||ORR^O02|1\rMSA|CA|1\r", True),
        (b"MSH|^~\\&|||||||ORR^O02|1\rMSA|CE|1\r", True),
        (b"MSH|^~\\&|||||||ORR^O02|1\rMSA|AA|1\r", False),
        (b"MSH|^~\\&|||||||ORM^O01|1\r", False),
    ],
)
def test_loop_guard(body: bytes, expected: bool) -> None:
    assert is_acknowledgement(Message.parse(body)) is expected


def test_reading_an_answer() -> None:
    raw = b"MSH|^~\\&|||||||ACK|1|P|2.3.1\rMSA| ae |X\\T\\1|no \\T\\ no|||207^x\r"
    raw += b"ERR|PID^1^3^101&x~OBR^1^4^206&y\rERR||| 204 ^x\r"
    assert read_ack(raw) == Ack("AE", "X&1", "no & no", (101, 206, 204, 207), raw)
    assert not read_ack(raw).is_positive


def test_the_text_may_stand_in_err_8() -> None:
    raw = b"MSH|^~\\&|||||||ACK|1|P|2.5\rMSA|AR|1\rERR||PID^1|207^x|E||||try later\rERR|||abc\r"
    assert (read_ack(raw).text, read_ack(raw).problem_codes) == ("try later", (207,))


@pytest.mark.parametrize("body", [b"MSH|^~\\&|\r", b"MSH|^~\\&|\rMSA\r", b"MSH|^~\\&|\rMSA|XX|1\r", b"hello", b""])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(PeerError, match="HL7-1"):
        read_ack(body)
