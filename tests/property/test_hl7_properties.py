"""Laws of engine/hl7 over generated input."""

import string
import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.core.errors import PeerError
from engine.hl7.acknowledgement import Problem, build_ack, read_ack
from engine.hl7.batch import read_batch
from engine.hl7.build import OutgoingMessage
from engine.hl7.charset import codecs_of
from engine.hl7.delimiter import Delimiters
from engine.hl7.location import Location
from engine.hl7.message import Message, check_head, read_head
from engine.hl7.name import person_name
from engine.hl7.timestamp import to_dicom

PUNCTUATION = [c for c in string.punctuation if c != '"']
DELIMITERS = st.permutations(PUNCTUATION).flatmap(
    lambda cs: st.sampled_from([4, 5]).map(lambda n: Delimiters(cs[0], "".join(cs[1 : n + 1])))
)
SETS = st.sampled_from(
    ["8859/1", "8859/5", "ISO IR87", "GB 18030-2000", "KS X 1001", "BIG-5", "UNICODE UTF-8", "ISO IR14"]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def delimiters_of(d: Delimiters) -> tuple[str, str, str]:
    return d.field_separator, d.encoding_characters, d.truncation_character


def is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def carried(text: str, codec: str) -> str:
    """Drop what a charset cannot carry there and back on its own."""
    kept = []
    for c in text:
        try:
            if c.encode(codec).decode(codec) == c:
                kept.append(c)
        except UnicodeError:
            continue
    return "".join(kept)


@given(TEXT, DELIMITERS)
def test_unescape_undoes_escape(text: str, delimiters: Delimiters) -> None:
    raw = delimiters.escape(text)

    assert delimiters.unescape(raw) == text.replace("\r\n", "\n").replace("\r", "\n")
    structure = delimiters.field_separator + delimiters.component_separator + delimiters.repetition_separator
    assert not set(raw) & set(structure + delimiters.subcomponent_separator)
    assert all(c >= " " or c == "\t" for c in raw)


@given(TEXT, DELIMITERS, SETS)
def test_a_written_value_is_read_again_in_every_charset(text: str, delimiters: Delimiters, name: str) -> None:
    codec = codecs_of(name)[0]
    text = carried(text, codec).strip(" \t\ufeff\x85\u2028\u2029\xa0").replace("\r\n", "\n").replace("\r", "\n")
    assume(not set(name) & set("".join(delimiters_of(delimiters))))
    if name.startswith("8859/"):
        assume(text.isascii() or not is_utf_8(text.encode(codec)))  # valid UTF-8 wins over what is declared
    message = OutgoingMessage(delimiters, codec)
    message.segment("MSH").set(18, name)
    message.set(Location("ZZZ", 1, 3, 1, 2, 2), text)
    message.set(Location("ZZZ", 1, 4), "end")

    read = Message.parse(message.to_bytes())

    assert read.get("ZZZ-3.2.2") == (unicodedata.normalize("NFC", text) if text else None)
    assert read.get("ZZZ-4") == "end"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    take(raw)


PIECES = st.sampled_from(
    [b"MSH|^~\\&|", b"MSH", b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"PID|", b"BHS|^~\\&|\r", b"BTS|1\r", b"\xe9",
     b"\x1b$B", b"ORM^O01", b"||||||", b"8859/1", b"ISO IR87", b'""', b"\\X0D\\", b"\\.br\\",
     b"MSA|AA|1", b"\0", b"\xef\xbb\xbf"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_anything_like_a_message_is_read_or_refused(raw: bytes) -> None:
    take(b"MSH|^~\\&|" + raw)
    take(raw)


def take(raw: bytes) -> None:
    """Do all that is done to a message on its way in; only errors of ours may come out."""
    batch = read_batch(raw)
    assert sum(map(len, batch.messages)) <= len(raw)
    for body in batch.messages:
        problems = []
        try:
            message = Message.parse(body)
            assert message.raw is body
            assert "".join(f"{segment.text}\r" for segment in message.segments) == message.normalised
            for segment in message.segments:
                for number in range(1, segment.length + 1):
                    field = segment.field(number)
                    assert field is not None
                    message.delimiters.unescape(field)
                    person_name(field, message.delimiters)
            check_head(message)
        except PeerError as error:
            problems.append(Problem.of(error))
        try:
            to_dicom(raw.decode("latin_1")[:20], Delimiters())
        except PeerError as error:
            problems.append(Problem.of(error))
        ack = build_ack(read_head(body), problems, control_id="1", time="2026")
        if ack.isascii():  # else the sender's own unreadable bytes went back to it as they came
            assert read_ack(ack).is_positive is not bool(problems)
