"""Outgoing messages: order, escapes, charsets; an independent library confirms whole messages."""

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from engine.core.errors import PeerError
from engine.hl7.build import OutgoingMessage
from engine.hl7.delimiter import Delimiters
from engine.hl7.location import parse_path
from engine.hl7.message import Message


def built(values: dict[str, str], message: OutgoingMessage | None = None) -> OutgoingMessage:
    message = message or OutgoingMessage()
    for path, text in values.items():
        message.set(parse_path(path), text)
    return message


ORM = {
    "MSH-3": "ISTHMUS", "MSH-5": "RIS", "MSH-7": "20260102030405", "MSH-9.1": "ORM", "MSH-9.2": "O01", "MSH-10": "1",
    "MSH-11": "P", "MSH-12": "2.3.1", "PID-3[1].1": "4711", "PID-3[1].4.1": "HOSP", "PID-3[2].1": "0815",
    "PID-5.1": "TEST", "PID-5.2": "ALPHA", "PV1-2": "O", "ORC-1": "SC", "ORC-2": "ORD1", "ORC-5": "CM",
    "OBR-2": "ORD1", "OBR-4.1": "71045", "OBR-4.2": "CHEST & MORE", "OBR-18": "ACC1", "NTE-3": "one\ntwo",
}  # fmt: skip
OMG = {
    "MSH-3.1": "ISTHMUS", "MSH-7": "20260102030405", "MSH-9.1": "OMG", "MSH-9.2": "O19", "MSH-9.3": "OMG_O19",
    "MSH-10": "1", "MSH-11": "P", "MSH-12": "2.5.1", "PID-3.1": "4711", "PID-3.5": "MR", "PID-5.1.1": "TEST",
    "PV1-2": "U",
    "ORC-1": "SC", "ORC-5": "CM", "TQ1-7": "20260102", "OBR-4.1": "71045", "OBR-18": "ACC1",
    "OBX-1": "1", "OBX-2": "ST", "OBX-3.1": "113014", "OBX-3.2": "DICOM Study", "OBX-3.3": "DCM", "OBX-5": "1.2.3",
    "OBX-11": "F",
}  # fmt: skip


def test_values_stand_where_they_were_set() -> None:
    assert built(ORM).to_bytes() == (
        b"MSH|^~\\&|ISTHMUS||RIS||20260102030405||ORM^O01|1|P|2.3.1\r"
        b"PID|||4711^^^HOSP~0815||TEST^ALPHA\rPV1||O\rORC|SC|ORD1|||CM\r"
        b"OBR||ORD1||71045^CHEST \\T\\ MORE||||||||||||||ACC1\rNTE|||one\\.br\\two\r"
    )


@pytest.mark.parametrize("values", [ORM, OMG])
def test_what_we_write_we_read(values: dict[str, str]) -> None:
    message = Message.parse(built(values).to_bytes())
    assert {path: message.get(path) for path in values} == values


@pytest.mark.parametrize("values", [ORM, OMG])
def test_an_independent_library_reads_and_validates_it(values: dict[str, str]) -> None:
    values = {path: text for path, text in values.items() if path != "NTE-3"}  # the library does not know line breaks
    text = built(values).text
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    assert parsed.to_er7().rstrip("\r") == text.rstrip("\r")
    assert [segment.name for segment in parsed.children] == [line[:3] for line in text.split("\r") if line]
    for segment in parsed.children:
        assert segment.validate()


def test_an_independent_library_validates_a_whole_omg() -> None:
    assert parse_message(built(OMG).text, find_groups=True).validate()


def test_segments_stand_in_order_of_first_mention() -> None:
    message = built({"MSH-9.1": "ORU", "OBX[1]-1": "1", "OBX[2]-1": "2", "NTE-1": "1", "OBX[1]-2": "TX"})
    assert message.text == "MSH|^~\\&|||||||ORU\rOBX|1|TX\rOBX|2\rNTE|1\r"


def test_msh_is_first_even_when_it_is_set_last() -> None:
    assert built({"PID-1": "1", "MSH-3": "A"}).text == "MSH|^~\\&|A\rPID|1\r"


def test_trailing_empties_are_dropped() -> None:
    message = built({"PID-3[2].4.2": "", "PID-5.1": "A", "PID-5.4": "", "PID-9": "", "ZZZ-1": ""})
    assert message.text == "MSH|^~\\&\rPID|||||A\rZZZ\r"


def test_raw_fields_and_null() -> None:
    message = built({"PID-1": "1", "PID-8": '""'})
    message.set_raw(parse_path("PID-3"), "1^^^H&1.2&ISO~2")
    assert message.text == 'MSH|^~\\&\rPID|1||1^^^H&1.2&ISO~2|||||""\r'


def test_other_delimiters_and_charset() -> None:
    message = built({"PID-5.1": "T%É\rX", "PID-5.2": "|^"}, OutgoingMessage(Delimiters("$", "%*?!"), "iso8859_1"))
    assert message.to_bytes() == b"MSH$%*?!\rPID$$$$$T?S?\xc9?.br?X%|^\r"


def test_what_a_charset_cannot_carry_is_refused_with_its_place() -> None:
    message = built({"PID[1]-1": "1", "PID[2]-5.2": "山田"}, OutgoingMessage(charset="iso8859_1"))
    with pytest.raises(PeerError) as refused:
        message.to_bytes()
    assert str(refused.value) == "HL7-102: value cannot be written in 8859/1 at PID^2^5"


def test_a_place_without_field_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="names no field"):
        OutgoingMessage().set(parse_path("PID"), "x")
    with pytest.raises(ValueError, match="names no field"):
        OutgoingMessage().set_raw(parse_path("PID"), "x")


def test_control_characters_never_leave_raw() -> None:
    assert built({"NTE-3": "a\x0bb\x1c\rc"}).to_bytes().count(b"\x0b") == 0
