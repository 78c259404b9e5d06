"""Escape sequences, read and written."""

import pytest

from engine.hl7.delimiter import DEFAULT_DELIMITERS, Delimiters


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\P\\g", "a|b^c&d~e\\f#g"),
        ("\\T\\", "&"),
        ("\\E\\T\\E\\", "\\T\\"),
        ("a\\.br\\b", "a\nb"),
        ("a\\.BR\\b", "a\nb"),
        ("a\\.sp\\b\\.sp3\\c", "a\nb\n\n\nc"),
        ("a\\.sk4\\b\\.ti+2\\c", "a    b  c"),
        ("a\\.in+4\\b\\.in-4\\c\\.fi\\d\\.nf\\e", "abcde"),
        ("a\\.ce\\b", "a\nb"),
        ("a\\.sk9999\\b", "a" + " " * 99 + "b"),
        ("\\H\\bold\\N\\ not", "bold not"),
        ("a\\X0D\\b\\X0A\\c\\X0D0A\\d", "a\nb\nc\nd"),
        ("\\X41e9\\", "\\X41e9\\"),  # not UTF-8, so it stays as it is
        ("\\XC3A9\\", "é"),
        ("\\Zlocal\\x", "x"),
        ("\\\\server\\path", "\\server\\path"),
        ("C:\\temp\\file", "C:\\temp\\file"),
        ("lone \\", "lone \\"),
        ("\\", "\\"),
        ("\\\\", "\\"),
        ("\\F", "\\F"),
        ("\\XYZ\\", "\\XYZ\\"),
        ("\\X4\\", "\\X4\\"),
        ("\\.zz\\", "\\.zz\\"),
        ("\\Hx\\", "\\Hx\\"),
        ("\\f\\", "\\f\\"),
        ("\\M2442\\;3ED\\C2842\\abc", "山田abc"),
        ("\\M2442\\;3é\\C2842\\abc", ";3éabc"),
        ("\\M2442\\;3\\.br\\ED\\C2842\\abc", "山\n田abc"),
        ("\\M242844\\0!\\C2842\\abc", "丂abc"),
        ("\\C2849\\TO@\\C2842\\TO", "ﾔﾏﾀTO"),
    ],
)
def test_reading(raw: str, text: str) -> None:
    assert DEFAULT_DELIMITERS.unescape(raw) == text


def test_hexadecimal_is_read_in_the_messages_charset() -> None:
    assert Delimiters("|", "^~\\&", "iso8859_1").unescape("\\XE9\\") == "é"
    assert Delimiters("|", "^~\\&", "shift_jis").unescape("\\X8352\\") == "コ"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("x\\C2D4C\\¿à\\C2D41\\é", "xПрé"),
        ("\\C2949\\ÔÏÀ", "ﾔﾏﾀ"),
        ("\\M242943\\È«", "홍"),
        ("\\C2D4C\\я", "я"),
    ],
)
def test_a_designated_upper_half_is_read_from_the_messages_own_bytes(raw: str, text: str) -> None:
    assert Delimiters("|", "^~\\&", "iso8859_1").unescape(raw) == text


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("plain é\t", "plain é\t"),
        ("a|b^c&d~e\\f#", "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f#"),
        ("a\r\nb\rc\nd", "a\\.br\\b\\.br\\c\\.br\\d"),
        ("\x00\x0b\x1c\x1f\x7f", "\\X00\\\\X0B\\\\X1C\\\\X1F\\\\X7F\\"),
    ],
)
def test_writing(text: str, raw: str) -> None:
    assert DEFAULT_DELIMITERS.escape(text) == raw


def test_other_delimiters() -> None:
    d = Delimiters("$", "%*?!;")
    assert d.escape("a$b%c*d?e!f;g|^~\\&") == "a?F?b?S?c?R?d?E?e?T?f?P?g|^~\\&"
    assert d.unescape("?F??S??R??E??T??P?") == "$%*?!;"


def test_a_full_stop_as_delimiter_does_not_break_line_breaks() -> None:
    d = Delimiters("|", ".~\\&")
    assert d.escape("a\nb.c") == "a\\X0A\\b\\S\\c"
    assert d.unescape("a\\X0A\\b\\S\\c") == "a\nb.c"


def test_taking_fields_apart() -> None:
    d = DEFAULT_DELIMITERS
    assert d.repetitions("") == []
    assert d.repetitions("a~b~") == ["a", "b", ""]
    assert d.components("a^^c") == ["a", "", "c"]
    assert d.component("SMITH", 1) == "SMITH"
    assert (d.component("a^^c", 2), d.component("a^^c", 4), d.component("a", 0)) == ("", None, None)
    assert (d.subcomponent("a&b", 2), d.subcomponent("a&b", 3)) == ("b", None)
    assert d.is_null('""')
    assert not d.is_null("")
    assert not d.is_null(None)
