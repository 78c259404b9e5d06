"""From MSH-18 to text: every set of table 0211 that has a codec, aliases, fallbacks, refusals."""

import unicodedata

import pytest

from engine.core.errors import PeerError
from engine.hl7.charset import codecs_of, decode, hl7_name, is_undeclared
from engine.hl7.message import Message


def message(name: str, codec: str, declared: str) -> bytes:
    return f"MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.5||||||{declared}\rPID|1||1||{name}^ALPHA\rPV1|1\r".encode(codec)


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("8859/1", "iso8859_1", "TÉST"),
        ("8859/2", "iso8859_2", "TEŚT"),
        ("8859/3", "iso8859_3", "TEĦT"),
        ("8859/4", "iso8859_4", "TEŖT"),
        ("8859/5", "iso8859_5", "ТЕСТ"),
        ("8859/6", "iso8859_6", "اختبار"),
        ("8859/7", "iso8859_7", "ΤΕΣΤ"),
        ("8859/8", "iso8859_8", "מבחן"),
        ("8859/9", "iso8859_9", "TEŞT"),
        ("8859/15", "iso8859_15", "T€ST"),
        ("ISO IR14", "shift_jis", "ﾃｽﾄ"),
        ("ISO IR87", "iso2022_jp_2", "山田"),
        ("~ISO IR87", "iso2022_jp_2", "山田"),
        ("ISO IR159", "iso2022_jp_2", "丂"),
        ("JIS X 0202", "iso2022_jp_2", "山田"),
        ("JAS2020", "iso2022_jp_2", "山田"),
        ("GB 18030-2000", "gb18030", "测试"),
        ("KS X 1001", "cp949", "시험"),
        ("BIG-5", "big5hkscs", "測試"),
        ("UNICODE", "utf_8", "テスト"),
        ("UNICODE UTF-8", "utf_8", "テスト"),
        ("UTF-8", "utf_8", "TÉST"),
        ("utf8", "utf_8", "TÉST"),
        ("ISO-8859-1", "iso8859_1", "TÉST"),
        ("8859-1", "iso8859_1", "TÉST"),
        ("ISO_IR 100", "iso8859_1", "TÉST"),
        ("LATIN1", "iso8859_1", "TÉST"),
        ("WINDOWS-1252", "cp1252", "T€ST"),
        ("ANSI", "cp1252", "T€ST"),
        ("", "utf_8", "TÉST"),
        ("", "cp1252", "TÉST"),
        ("ASCII", "cp1252", "TÉST"),
    ],
)
def test_declared_sets(declared: str, codec: str, name: str) -> None:
    read = Message.parse(message(name, codec, declared))
    assert read.get("PID-5.1") == name
    assert read.charset == codec
    assert [s.name for s in read.segments] == ["MSH", "PID", "PV1"]


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("ISO IR14", "shift_jis", "ソー表能"),  # second bytes are 5C and 7C
        ("GB 18030-2000", "gb18030", "亅亊亐乗"),  # second bytes are 7C, 5E …
        ("BIG-5", "big5hkscs", "功許蓋"),  # second bytes are 5C
        ("ISO IR87", "iso2022_jp_2", "万五京"),
    ],
)
def test_characters_that_hold_delimiter_bytes_stay_whole(declared: str, codec: str, name: str) -> None:
    assert set(name.encode(codec)) & set(b"|^~\\&")
    read = Message.parse(message(name, codec, declared))
    assert (read.get("PID-5.1"), read.get("PID-5.2")) == (name, "ALPHA")


def test_a_sender_name_that_holds_a_delimiter_byte_does_not_hide_msh_18() -> None:
    body = "MSH|^~\\&|ポA|B|C|D|||ADT^A01|1|P|2.5||||||ISO IR14\rPID|1||1||ソ\r".encode("shift_jis")
    assert b"|" in "ポ".encode("shift_jis")
    read = Message.parse(body)
    assert (read.get("MSH-3"), read.get("PID-5"), read.charset) == ("ポA", "ソ", "shift_jis")


def test_utf_8_wins_over_a_declared_eight_bit_set() -> None:
    assert decode("É".encode(), "8859/1") == ("É", "utf_8")
    assert decode(b"\xc9", "8859/1") == ("É", "iso8859_1")


def test_a_byte_order_mark_decides() -> None:
    assert decode("\ufeffÉ".encode(), "8859/1", "GB 18030-2000") == ("É", "utf_8")


def test_text_is_composed() -> None:
    assert decode("E\u0301".encode(), "UNICODE UTF-8")[0] == "\u00c9"


def test_the_listeners_set_is_used_when_nothing_is_declared() -> None:
    assert decode("ТЕСТ".encode("iso8859_5"), "", "8859/5") == ("ТЕСТ", "iso8859_5")
    assert decode("ТЕСТ".encode("iso8859_5"), "no such set", "8859/5") == ("ТЕСТ", "iso8859_5")


def test_the_listeners_set_is_tried_when_the_declared_one_does_not_fit() -> None:
    assert decode("ТЕСТ".encode("iso8859_5"), "UNICODE UTF-8", "8859/5") == ("ТЕСТ", "iso8859_5")


def test_plain_ascii_can_be_read_whatever_is_declared() -> None:
    assert decode(b"MSH", "CNS 11643-1992")[0] == "MSH"
    assert decode(b"MSH", "no such set")[0] == "MSH"
    assert decode(b"MSH", "8859/2") == ("MSH", "iso8859_2")


@pytest.mark.parametrize(
    ("raw", "declared", "default", "text"),
    [
        (b"ab\xff", "UNICODE UTF-8", None, "byte 2 is not valid UNICODE UTF-8"),
        (b"\xef\xbb\xbfab\xff", "", None, "byte 5 is not valid UNICODE UTF-8"),
        (b"a\x81", "", None, "byte 1 is not valid UNICODE UTF-8"),
        (b"a\xa5", "8859/3", None, "byte 1 is not valid 8859/3"),
        (b"a\xff", "GB 18030-2000", None, "byte 1 is not valid GB 18030-2000"),
        (b"a\xff", "CNS 11643-1992", None, "byte 1 is not valid ASCII"),
        (b"a\xff", "secret name", None, "byte 1 is not valid ASCII"),
        (b"a\xff", "", "UTF-8", "byte 1 is not valid UNICODE UTF-8"),
        (b"\x1b$Bx", "ISO IR87", None, "byte 3 is not valid ISO IR87"),
    ],
)
def test_what_no_set_fits_is_refused(raw: bytes, declared: str, default: str | None, text: str) -> None:
    with pytest.raises(PeerError) as refused:
        decode(raw, declared, default)
    assert (refused.value.code, refused.value.text, refused.value.where) == ("HL7-102", text, "MSH^1^18")


def test_escape_sequences_that_nobody_declared_are_text() -> None:
    assert decode(b"a\x1bb", "") == ("a\x1bb", "utf_8")
    assert decode(b"a\x1bb", "no such set") == ("a\x1bb", "ascii")


def test_utf_8_declared_as_iso_2022_is_read() -> None:
    assert decode("山田".encode(), "ISO IR87") == ("山田", "utf_8")


def test_names_and_codecs() -> None:
    assert codecs_of("8859/12") == ()
    assert codecs_of("CNS 11643-1992") == ()
    assert is_undeclared("iso ir6")
    assert not is_undeclared("8859/1")
    for name in ("8859/1", "8859/15", "UNICODE UTF-8", "GB 18030-2000", "KS X 1001", "BIG-5", "ISO IR87", "ISO IR14"):
        assert hl7_name(codecs_of(name)[0]) == name


def test_several_fallback_sets_are_tried_in_order() -> None:
    assert decode("알파".encode("cp949"), "", "KS X 1001~8859/2") == ("알파", "cp949")
    assert decode(b"\xa3\xf3d\xbc", "", "KS X 1001~8859/2") == ("Łódź", "iso8859_2")
    assert decode("Łódź".encode("iso8859_2"), "UNICODE UTF-8", "KS X 1001~8859/2") == ("Łódź", "iso8859_2")


@pytest.mark.parametrize("marks", ["\u0301", "\u0f73", "\u3099\u0323"])
def test_marks_without_end_are_refused_before_they_cost_anything(marks: str) -> None:
    body = message(f"TEST{marks * 200_000}", "utf_8", "UNICODE UTF-8")

    with pytest.raises(PeerError, match=r"HL7-102: more than 30 combining marks in a row after character \d+"):
        Message.parse(body)


def test_as_many_marks_as_any_script_has_are_composed() -> None:
    name = "TEST" + "\u0301" * 30 + "ก็ད\u0f71\u0f72" + "字" * 100

    read = Message.parse(message(name, "utf_8", "UNICODE UTF-8"))

    assert read.get("PID-5.1") == unicodedata.normalize("NFC", name)
