"""The lazy view: segments, fields, terminators, delimiters, the head, and what is refused."""

import pytest

from engine.core.errors import PeerError
from engine.core.outcomes import outcome_of
from engine.hl7.message import Message, check_head, read_head

ORM = (
    "MSH|^~\\&|HIS^1.2.3^ISO|HOSP|RIS|RAD|20260102030405||ORM^O01|MSG1|P|2.3.1\r"
    "PID|1||4711^^^HOSP&1.2&ISO^MR~0815^^^NHS||TEST^ALPHA^^^||19800229|M|||\r"
    "ORC|NW|ORD1^HIS\r"
    "OBR|1|ORD1^HIS||71045^CHEST \\T\\ MORE^C4|||||||||||||||ACC1\r"
    "NTE|1||first\r"
    "NTE|2||\r"
    'ZDS|1.2.3^RIS^Application^DICOM|""|x\r'
)


def names(message: Message) -> list[str]:
    return [segment.name for segment in message.segments]


def test_every_segment_stays_visible_in_order() -> None:
    message = Message.parse(ORM.encode())
    assert names(message) == ["MSH", "PID", "ORC", "OBR", "NTE", "NTE", "ZDS"]
    assert [s.occurrence for s in message.named("NTE")] == [1, 2]
    assert message.raw == ORM.encode()
    assert message.normalised == ORM
    assert message.first("IPC") is None
    assert message.named("IPC") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3.2", "1.2.3"),
        ("MSH-9.2", "O01"),
        ("MSH-12", "2.3.1"),
        ("MSH-13", None),
        ("PID-3", "4711^^^HOSP&1.2&ISO^MR"),
        ("PID-3.4.2", "1.2"),
        ("PID-3[2].1", "0815"),
        ("PID-3[2].5", None),
        ("PID-3[3]", None),
        ("PID-2", ""),
        ("PID-5.3", ""),
        ("PID-5.6", None),
        ("PID-20", None),
        ("OBR-4.2", "CHEST & MORE"),
        ("NTE[2]-1", "2"),
        ("NTE[2]-3", ""),
        ("NTE[3]-1", None),
        ("ZDS-1.1", "1.2.3"),
        ("ZDS-2", '""'),
        ("IPC-1", None),
        ("ORC", "ORC|NW|ORD1^HIS"),
    ],
)
def test_paths(path: str, expected: str | None) -> None:
    assert Message.parse(ORM.encode()).get(path) == expected


def test_absent_empty_and_null_are_three_things() -> None:
    message = Message.parse(b'MSH|^~\\&|\rPID|1|""|\r')
    pid = message.first("PID")
    assert pid is not None
    assert (pid.field(1), pid.field(2), pid.field(3), pid.field(4)) == ("1", '""', "", None)
    assert message.delimiters.is_null(pid.field(2))
    assert (pid.field(0), pid.field(-1), pid.length) == (None, None, 3)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\n\n", "\n\n", "\r\r", "\r \r\n\0\r", "\n\r"])
def test_any_terminator_yields_all_segments(end: str) -> None:
    message = Message.parse(ORM.replace("\r", end).encode())
    assert names(message) == ["MSH", "PID", "ORC", "OBR", "NTE", "NTE", "ZDS"]
    assert message.normalised == ORM


def test_mixed_terminators_and_no_final_one() -> None:
    body = b"MSH|^~\\&|\rPID|1\nORC|NW\r\nOBR|1\n\nZDS|1"
    assert names(Message.parse(body)) == ["MSH", "PID", "ORC", "OBR", "ZDS"]


def test_a_line_feed_that_no_segment_follows_is_data() -> None:
    message = Message.parse(b"MSH|^~\\&|\rOBX|1|TX|||line one\nline two\n\nThe end: a|b\rOBX|2\n")
    assert names(message) == ["MSH", "OBX", "OBX"]
    assert message.get("OBX-5") == "line one\nline two\n\nThe end: a"


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\r\n ", b"\0\0", b"\x0b", b"\n\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_what_may_stand_in_front_of_msh(lead: bytes) -> None:
    message = Message.parse(lead + ORM.encode())
    assert message.normalised == ORM
    assert message.raw == lead + ORM.encode()


def test_segments_may_be_indented_or_lower_case_or_unknown() -> None:
    message = Message.parse(b"msh|^~\\&|a\r  pid|1\rZzz|x\rnot a segment\r??|\rPV1\r")
    assert names(message) == ["MSH", "PID", "ZZZ", "", "", "PV1"]
    assert message.get("MSH-3") == "a"
    assert [s.text for s in message.named("")] == ["not a segment", "??|"]


@pytest.mark.parametrize(
    ("head", "given"),
    [
        ("MSH|^~\\&|HIS", "|^~\\&"),
        ("MSH|^~\\|HIS", "|^~\\&"),
        ("MSH|^~|HIS", "|^~\\&"),
        ("MSH|^~&|HIS", "|^~\\&"),
        ("MSH||HIS", "|^~\\&"),
        ("MSH|^~\\&#|HIS", "|^~\\&#"),
        ("MSH$%~?!$HIS", "$%~?!"),
        ("MSH|^~\\& |HIS", "|^~\\&"),
    ],
)
def test_delimiters_are_those_of_the_message(head: str, given: str) -> None:
    message = Message.parse(head.encode() + b"\r")
    d = message.delimiters
    assert given == (
        d.field_separator
        + d.component_separator
        + d.repetition_separator
        + d.escape_character
        + d.subcomponent_separator
        + d.truncation_character
    )
    assert message.get("MSH-3") == "HIS"


def test_custom_delimiters_are_used_throughout() -> None:
    message = Message.parse(b"MSH$%*?!$A\rPID$1$$a%b%%N!1.2!ISO*c%d$x?F?y?S?z|^~\\&\r")
    assert message.get("PID-3.4.2") == "1.2"
    assert message.get("PID-3[2].2") == "d"
    assert message.get("PID-4") == "x$y%z|^~\\&"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"MSH",
        b"\r\n",
        b"PID|1\r",
        b"EVN|A01\rMSH|^~\\&|\r",
        b"MSHX^~\\&|\r",
        b"MSH\r|",
        b"MSH|^^\\&|\r",
        b"MSH|&^|\r",
        b"MSH|^~\\^|\r",
        b"MSH^^~\\&^\r",
        b"MSH|^~\\\x01|\r",
        b"MSH|abcd|\r",
        b"MSH\xff^~\\&\xff\r",
        b"M\0S\0H\0|\0",
        b"\xff\xfeM\0S\0H\0|\0",
    ],
)
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        Message.parse(body)
    assert refused.value.code == "HL7-101"
    assert refused.value.text == "message must start with MSH and different delimiters"
    assert outcome_of(refused.value.code).ack == "AR"


@pytest.mark.parametrize(
    ("msh_9", "type_", "trigger", "structure"),
    [
        ("ORM^O01^ORM_O01", "ORM", "O01", "ORM_O01"),
        ("ORM", "ORM", "O01", "ORM_O01"),
        ("ORU", "ORU", "R01", "ORU_R01"),
        ("ADT^A08", "ADT", "A08", "ADT_A01"),
        ("ADT^A40", "ADT", "A40", "ADT_A39"),
        ("ADT^A28", "ADT", "A28", "ADT_A05"),
        ("ADT^A47", "ADT", "A47", "ADT_A30"),
        ("OMI^O23", "OMI", "O23", "OMI_O23"),
        ("OMG^O19", "OMG", "O19", "OMG_O19"),
        ("MDM^T02", "MDM", "T02", "MDM_T02"),
        ("MDM^T11", "MDM", "T11", "MDM_T01"),
        ("SIU^S15", "SIU", "S15", "SIU_S12"),
        ("ACK", "ACK", "", "ACK"),
        ("ADT^A08^ADT_A08", "ADT", "A08", "ADT_A08"),
        ("ADT", "ADT", "", ""),
        ("XYZ^Z01", "XYZ", "Z01", ""),
    ],
)
def test_what_a_message_says_it_is(msh_9: str, type_: str, trigger: str, structure: str) -> None:
    message = Message.parse(f"MSH|^~\\&|A|B|C|D|||{msh_9}|1|P|2.5\r".encode())
    assert (message.type, message.trigger, message.structure) == (type_, trigger, structure)


def test_the_rest_of_the_head() -> None:
    message = Message.parse(b"MSH|^~\\&|HIS^1.2^ISO|^9.8^ISO|RIS|RAD|||ORM^O01| A\\T\\1|T^A|2.5^DEU^2.5||||||8859/1\r")
    assert message.sender == ("HIS", "9.8")
    assert message.receiver == ("RIS", "RAD")
    assert message.control_id == " A\\T\\1"
    assert (message.processing_id, message.version, message.declared_charset) == ("T", "2.5", "8859/1")


@pytest.mark.parametrize(
    ("msh", "field"),
    [
        ("MSH|^~\\&|A|B|C|D||||1|P", 9),
        ("MSH|^~\\&|A|B|C|D|||ORM^O01||P", 10),
        ("MSH|^~\\&|", 9),
        ("MSH|^~\\&|A|B|C|D|||ORM^O01", 10),
    ],
)
def test_a_head_without_type_or_control_id(msh: str, field: int) -> None:
    with pytest.raises(PeerError) as refused:
        check_head(Message.parse(msh.encode()))
    assert str(refused.value) == f"HL7-103: MSH-{field} is required at MSH^1^{field}"
    assert outcome_of(refused.value.code).hl7 == 101


def test_a_whole_head_is_accepted() -> None:
    check_head(Message.parse(ORM.encode()))


def test_the_head_of_what_cannot_be_read_as_a_whole() -> None:
    head = read_head(b"MSH|^~\\&|H\xfcS||||||ORM^O01|42|P|2.5||||||UNICODE UTF-8\rPID|\xff\r")
    assert head is not None
    assert (head.control_id, head.type, head.sender) == ("42", "ORM", ("H\xfcS", ""))
    assert names(head) == ["MSH"]


@pytest.mark.parametrize("body", [b"", b"hello", b"PID|\rMSH|", b"MSH", b"MSH|^^^^|", b"MSH\r"])
def test_no_head_at_all(body: bytes) -> None:
    assert read_head(body) is None


def test_no_value_shows_in_a_representation() -> None:
    message = Message.parse(ORM.encode())
    assert "TEST" not in repr(message) + repr(message.segments)


def test_a_large_message_of_many_segments_is_linear() -> None:
    body = b"MSH|^~\\&|\r" + b"OBX|1|TX|||" + b"\n" * 200_000 + b"x\r" + b"OBX|2\r" * 100_000
    message = Message.parse(body)
    assert len(message.segments) == 100_002


def test_a_line_behind_an_obx_that_is_no_segment_goes_on_with_its_field() -> None:
    message = Message.parse(b"MSH|^~\\&|a\rOBX|1|ED|||^AP^PDF^Base64^QUJD\rREVG==||||||F\r||\rNTE|1\rno segment\r")

    assert names(message) == ["MSH", "OBX", "", "NTE", ""]
    assert message.get("OBX-5.5") == "QUJD\rREVG=="
    assert message.get("OBX-11") == "F"
    assert "".join(f"{segment.text}\r" for segment in message.segments) == message.normalised
