"""Specific Character Set, both directions; pydicom and the standard's own examples are the oracle."""

from __future__ import annotations

import pytest

from engine.dicom.text import character_sets, decode_text, encode_text, text_of, transliterate

# PS3.5 annexes H, I, J, K and L: examples of names in code extensions
EXAMPLES = [
    (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        ("", "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        ("", "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
    (("GB18030",), b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"),
]


@pytest.mark.parametrize(("sets", "raw", "text"), EXAMPLES)
def test_the_standards_examples_are_read(sets: tuple[str, ...], raw: bytes, text: str) -> None:
    assert decode_text(raw, sets) == text


@pytest.mark.parametrize(("sets", "raw", "text"), [EXAMPLES[0], EXAMPLES[2], EXAMPLES[3], EXAMPLES[4], EXAMPLES[5]])
def test_the_standards_examples_are_written(sets: tuple[str, ...], raw: bytes, text: str) -> None:
    assert encode_text(text, sets) == raw


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ISO_IR 100", "Müller^Änne"),
        ("ISO_IR 101", "Łódź^Żółw"),
        ("ISO_IR 109", "Ĉapelo"),
        ("ISO_IR 110", "Ēriks"),
        ("ISO_IR 144", "Люкс"),
        ("ISO_IR 127", "قباني"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 138", "שרון"),
        ("ISO_IR 148", "Çavuşoğlu"),
        ("ISO_IR 166", "นามสกุล"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "Müller=Люкс^Änne"),
        ("ISO 2022 IR 6\\ISO 2022 IR 101\\ISO 2022 IR 87", "Łódź 山田 Łódź^x"),
        ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "山田丂"),
        ("GBK", "王小东"),
        ("ISO 2022 IR 149", "洪^吉洞"),
    ],
)
def test_text_survives_there_and_back(name: str, text: str) -> None:
    sets = character_sets(name)

    raw = encode_text(text, sets)

    assert raw is not None
    assert decode_text(raw, sets) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "ü"),
        ("ISO_IR 6", "ü"),
        ("ISO_IR 100", "Ł"),
        ("ISO_IR 13", "山"),
        ("ISO_IR 13", "¥"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "¥"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", "ü"),
    ],
)
def test_what_does_not_fit_is_said(name: str, text: str) -> None:
    assert encode_text(text, character_sets(name)) is None


def test_undeclared_bytes_are_utf8_or_latin1() -> None:
    assert decode_text("Müller".encode()) == "Müller"
    assert decode_text("Müller".encode("latin-1")) == "Müller"


def test_decoding_never_fails() -> None:
    assert decode_text(b"a\xff\xfe", ("ISO_IR 192",)) == "a\ufffd\ufffd"
    assert decode_text(b"a\x1b$Zx\xff", ("", "ISO 2022 IR 87")).startswith("a")
    assert decode_text(b"\xe4", ("NONSENSE",)) == "ä"
    assert decode_text(b"\xe4", ("ISO-IR 100",)) == "ä"
    assert decode_text(b"\xc3\xa4", ("ISO 2022 IR 192",)) == "ä"


def test_a_delimiter_ends_what_an_escape_began() -> None:
    assert decode_text(b"\x1b-L\xbb^\xe4", ("ISO 2022 IR 100", "ISO 2022 IR 144")) == "Л^ä"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Łódź", "Lódz"), ("Müller", "Müller"), ("王", "?"), ("Straße–Ø", "Straße-Ø"), ("ﬁ", "fi")],
)
def test_transliteration_keeps_what_fits(text: str, expected: str) -> None:
    assert transliterate(text, ("ISO_IR 100",)) == expected


@pytest.mark.parametrize("before", ["", "x", "x" * 511, "x" * 512, "\u738b" * 511, "x \u738b" * 511])
def test_long_texts_are_composed_as_short_ones_are(before: str) -> None:
    made = transliterate(f"{before}u\u0308 \u738b", ("ISO_IR 100",))

    assert made == f"{before.replace(chr(0x738B), '?')}\u00fc ?"


def test_marks_without_end_take_no_time_without_end() -> None:
    made = transliterate("e" + "\u0301\u0323" * 100_000, ("ISO_IR 100",))

    assert made.startswith(("e?", "\u00e9?", "?"))


def test_padding_goes_and_layout_stays() -> None:
    assert text_of("LO", b" a ") == "a"
    assert text_of("UI", b"1.2\0") == "1.2"
    assert text_of("LT", b"  a ") == "  a"
    assert text_of("PN", b"A^B==") == "A^B"
    assert text_of("CS", b"\xc3\xa4", ("ISO_IR 192",)) == "\xc3\xa4"  # codes are not governed by the character set
