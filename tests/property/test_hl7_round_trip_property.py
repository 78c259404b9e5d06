r"""Charset by escape by delimiter: what is written is read again, and what is read and not touched goes out as it came.

Escape sequences are each given with what they stand for, so that reading any row of them is checked against the row.
"""

from __future__ import annotations

import string
import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.hl7.build import OutgoingMessage
from engine.hl7.charset import codecs_of
from engine.hl7.delimiter import Delimiters
from engine.hl7.location import Location
from engine.hl7.message import Message

SETS = st.sampled_from(
    [*(f"8859/{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)), "WINDOWS-1252", "ISO IR14", "ISO IR87", "ISO IR159",
     "GB 18030-2000", "KS X 1001", "BIG-5", "UNICODE UTF-8"]
)  # fmt: skip
FREE = [c for c in string.punctuation if c not in '".+-/']
"""What may be a delimiter here: nothing that stands inside a sequence or inside the name of a set."""
DELIMITERS = st.permutations(FREE).flatmap(
    lambda cs: st.sampled_from([4, 5]).map(lambda n: (cs[0], "".join(cs[1 : n + 1])))
)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), min_size=1, max_size=8)
MARKS = st.sampled_from(["", "|", "||", "^", "~~", "&", "\\", "\\T\\", "\\.br\\", "\\X0D\\", '""'])
TREE = st.lists(  # fields > repetitions > components > subcomponents
    st.lists(st.lists(st.lists(st.just("") | WORDS, min_size=1, max_size=3), min_size=1, max_size=3), max_size=3),
    max_size=4,
)


def carried(text: str, codec: str) -> str:
    """Return what of a text the set carries there and back, character by character, in its composed form."""
    kept = []
    for c in unicodedata.normalize("NFC", text):
        try:
            if c.encode(codec).decode(codec) == c:
                kept.append(c)
        except UnicodeError:
            continue
    composed = unicodedata.normalize("NFC", "".join(kept))
    return composed if composed == "".join(kept) else ""


def is_other_than_utf_8(body: bytes, codec: str) -> bool:
    """Say whether the codec is the only one that reads these bytes; valid UTF-8 wins over ISO 8859."""
    try:
        return body.isascii() or codec == "utf_8" or body.decode() is None
    except UnicodeDecodeError:
        return True


# -- structure


@given(TREE, DELIMITERS, SETS)
def test_every_level_is_read_as_it_was_written(
    fields: list[list[list[list[str]]]], characters: tuple[str, str], name: str
) -> None:
    codec = codecs_of(name)[0]
    delimiters = Delimiters(*characters, codec)
    message = OutgoingMessage(delimiters, codec)
    message.segment("MSH").set(18, name)
    places = {
        Location("ZZZ", 1, f, r, c, s): carried(text, codec).strip()
        for f, field in enumerate(fields, 1)
        for r, repetition in enumerate(field, 1)
        for c, component in enumerate(repetition, 1)
        for s, text in enumerate(component, 1)
    }
    for place, text in places.items():
        message.set(place, text)
    body = message.to_bytes()
    assume(is_other_than_utf_8(body, codec))

    read = Message.parse(body)

    for place, text in places.items():
        path = f"ZZZ-{place.field}[{place.repetition}].{place.component}.{place.subcomponent}"
        assert (read.get(path) or "") == text
    assert read.normalised.encode(read.charset) == body


@given(TREE, DELIMITERS, st.integers(1, 5), st.integers(1, 5))
def test_trailing_separators_say_nothing(
    fields: list[list[list[list[str]]]], characters: tuple[str, str], more_fields: int, more_parts: int
) -> None:
    delimiters = Delimiters(*characters)
    message = OutgoingMessage(delimiters)
    for f, field in enumerate(fields, 1):
        for r, repetition in enumerate(field, 1):
            message.set(Location("ZZZ", 1, f, r, 1, 1), repetition[0][0])
    short = message.text.rstrip("\r")
    tail = delimiters.subcomponent_separator + delimiters.component_separator * more_parts
    last = short.rpartition("\r")[2]
    longer = short + (tail if delimiters.field_separator in last and not last.startswith("MSH") else "")
    longer += delimiters.field_separator * more_fields

    one, other = Message.parse(f"{short}\r".encode()), Message.parse(f"{longer}\r".encode())

    for f in range(1, len(fields) + more_fields + 1):
        for r in (1, 2, 3):
            path = f"ZZZ-{f}[{r}].1.1"
            assert (one.get(path) or "").strip() == (other.get(path) or "").strip()


# -- bytes


@given(st.lists(WORDS | MARKS, max_size=20), SETS)
def test_what_is_not_touched_goes_out_as_it_came(pieces: list[str], name: str) -> None:
    codec = codecs_of(name)[0]
    line = carried("".join(pieces), codec).strip(" \t\ufeff\x85\xa0\u2028\u2029\u3000")
    head = f"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.5||||||{name}|"
    body = f"{head}\rZZZ|{line}|.\rPV1|1\r".encode(codec)
    assume(is_other_than_utf_8(body, codec))

    read = Message.parse(body)

    assert read.raw is body
    assert read.normalised.encode(read.charset) == body
    assert "".join(f"{segment.text}\r" for segment in read.segments).encode(read.charset) == body
    zzz = read.segments[1]
    assert "|".join([zzz.name, *(zzz.field(n) or "" for n in range(1, zzz.length + 1))]) == zzz.text
    for n in range(1, zzz.length + 1):
        raw = zzz.field(n) or ""
        d = read.delimiters
        again = [["&".join(d.subcomponents(c)) for c in d.components(r)] for r in d.repetitions(raw)]
        assert "~".join("^".join(components) for components in again) == raw


# -- escapes


def hexadecimal(text: str, codec: str) -> str:
    return text.encode(codec).hex().upper()


COUNT = st.integers(0, 99)
SEQUENCES = st.one_of(
    st.sampled_from(["F", "S", "T", "R", "E"]).map(lambda letter: (letter, letter)),
    st.sampled_from([("H", ""), ("N", ""), (".fi", ""), (".nf", ""), (".in+4", ""), (".in-4", ""), (".ce", "\n")]),
    st.sampled_from([(".br", "\n"), (".BR", "\n"), (".sp", "\n"), (".sk", " "), ("X0D", "\n"), ("X0D0A", "\n")]),
    COUNT.map(lambda n: (f".sp{n}", "\n" * n)),
    COUNT.map(lambda n: (f".sk{n}", " " * n)),
    COUNT.map(lambda n: (f".ti+{n}", " " * n)),
    st.text(string.ascii_letters + string.digits, max_size=6).map(lambda local: (f"Z{local}", "")),
    st.text(string.ascii_letters + " ", min_size=1, max_size=6).map(lambda text: (None, text)),
    st.text(string.ascii_letters, min_size=1, max_size=4).map(lambda text: ("X", text)),
)


@given(st.lists(SEQUENCES, max_size=12), DELIMITERS, SETS)
def test_every_sequence_is_read_as_what_it_stands_for(
    sequences: list[tuple[str | None, str]], characters: tuple[str, str], name: str
) -> None:
    codec = codecs_of(name)[0]
    delimiters = Delimiters(*characters, codec)
    escape = delimiters.escape_character
    letters = {
        "F": delimiters.field_separator,
        "S": delimiters.component_separator,
        "T": delimiters.subcomponent_separator,
        "R": delimiters.repetition_separator,
        "E": escape,
    }
    raw, meant = "", ""
    for sequence, text in sequences:
        if sequence is None:
            raw, meant = raw + text, meant + text
        elif sequence == "X":
            raw, meant = f"{raw}{escape}X{hexadecimal(text, codec)}{escape}", meant + text
        else:
            raw, meant = f"{raw}{escape}{sequence}{escape}", meant + letters.get(sequence, text)

    assert delimiters.unescape(raw) == meant
    assert delimiters.unescape(delimiters.escape(meant)) == meant


KANJI = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA0), min_size=1, max_size=4)
DESIGNATED = st.one_of(
    KANJI.map(lambda text: ("M2442", text, "iso2022_jp", b"\x1b$B")),
    KANJI.map(lambda text: ("M242844", text, "iso2022_jp_1", b"\x1b$(D")),
)


@given(st.lists(st.tuples(st.text(string.ascii_letters, max_size=4), DESIGNATED), max_size=4))
def test_text_in_a_designated_set_is_read_until_the_next_designation(
    pieces: list[tuple[str, tuple[str, str, str, bytes]]],
) -> None:
    raw, meant = "", ""
    for plain, (designation, text, codec, start) in pieces:
        shifted = encoded(text, codec)
        assume(shifted.startswith(start) and shifted.endswith(b"\x1b(B") and shifted.count(b"\x1b") == 2)
        inside = shifted[len(start) : -3].decode("ascii")
        assume("\\" not in inside)  # a sender that puts the escape character there has escaped it
        raw += f"{plain}\\{designation}\\{inside}\\C2842\\"
        meant += plain + text

    assert Delimiters().unescape(raw) == meant


def encoded(text: str, codec: str) -> bytes:
    """Return the bytes of a text, b"" when the set cannot carry it."""
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return b""


@given(st.text(st.sampled_from("\\FSTREHNXCMZ.brsp0D+24|^&~ aé"), max_size=30), DELIMITERS)
def test_reading_anything_is_stable(raw: str, characters: tuple[str, str]) -> None:
    delimiters = Delimiters(*characters)
    text = delimiters.unescape(raw.replace("\\", delimiters.escape_character))

    assert delimiters.unescape(delimiters.escape(text)) == text.replace("\r\n", "\n").replace("\r", "\n")
