"""Every file of the corpus through a real listener: the outcome is the table's, nothing is lost, no answer is untrue.

The table, tests/corpus/hl7_outcomes.tsv, is written by `make corpus-table` and reviewed by people. What is asserted
here beside it holds whatever the table says.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

import pytest

from engine.core.errors import PeerError
from engine.core.outcomes import OUTCOMES
from engine.hl7.acknowledgement import Ack, read_ack
from engine.hl7.message import HEADERS, Message, Segment
from tests.corpus.outcome_table import read_table, rows_of, told
from tests.corpus.sending import Bench, Kept, Sent, body_of, files_of

pytestmark = pytest.mark.corpus

EXPECTED: Final = read_table()
ENVELOPE: Final = re.compile(rb"[ \t\0\x0b\x1c]*(?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\s][^\r\n]*")
SEGMENT: Final = re.compile(r"[ \t\0]*([A-Za-z][A-Za-z0-9]{2})(?:[^A-Za-z0-9\s]|\s*$)")
FILL: Final = " \t\r\n\0\v\x1c\ufeff"
ABOUT_THE_WHOLE: Final = {"HL7-101", "MLLP-105", "HL7-104"}
"""Codes that may come without a place: no message, nothing at all, a batch without messages."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.made_in(tmp_path_factory.mktemp("corpus"))


def test_every_file_stands_in_the_table(corpus: Path) -> None:
    assert sorted(EXPECTED) == sorted(files_of(corpus)), "run `make corpus-table`, then review the change"


@pytest.mark.parametrize("name", EXPECTED)
async def test_the_outcome_is_the_tables_and_nothing_is_lost(
    corpus: Path, bench: Bench, tmp_path: Path, name: str
) -> None:
    sent = await bench.send(body_of(corpus / "hl7" / name), tmp_path)

    assert rows_of(name, sent) == EXPECTED[name], "if this is better: `make corpus-table`, and say why in the commit"
    assert sent.seconds < 1
    assert sent.serves_on
    _journal_holds_every_byte(sent)
    for kept in sent.kept:
        _view_holds_every_field(kept)
        _answer_is_true(kept)
    stored = [frame for kept in sent.kept for frame in kept.answers]
    assert b"".join(sent.answers) == b"".join(stored) or sent.answers[0].startswith(b"BHS")


def _journal_holds_every_byte(sent: Sent) -> None:
    """One message is kept as it came; of a batch only envelope segments and blanks may stand between its messages."""
    if len(sent.kept) == 1 and sent.kept[0].body == sent.body:
        return
    position, between = 0, b""
    for kept in sent.kept:
        found = sent.body.find(kept.body, position)
        assert found >= 0, "a message of the batch is not kept as it came"
        between += sent.body[position:found] + b"\r"
        position = found + len(kept.body)
    between += sent.body[position:]
    assert not ENVELOPE.sub(b"", between).replace(b"\xef\xbb\xbf", b"").strip(FILL[:-1].encode())


def _view_holds_every_field(kept: Kept) -> None:
    """What the view shows is the text, character by character, cut where a second reading cuts it."""
    try:
        message = Message.parse(kept.body)
    except PeerError:
        assert kept.state == "refused"
        return
    text = message.raw.removeprefix(b"\xef\xbb\xbf").decode(message.charset)
    assert _lines(message.normalised) == _lines(unicodedata.normalize("NFC", text))
    assert "".join(f"{segment.text}\r" for segment in message.segments) == message.normalised
    names = [found[1].upper() for line in _lines(text) if (found := SEGMENT.match(line))]
    assert [segment.name for segment in message.segments if segment.name] == names
    for segment in message.segments:
        _segment_holds_every_field(segment, message)


def _lines(text: str) -> list[str]:
    return [line for line in (piece.strip(FILL) for piece in re.split(r"[\r\n]", text)) if line]


def _segment_holds_every_field(segment: Segment, message: Message) -> None:
    separator = message.delimiters.field_separator
    first = 2 if segment.name in HEADERS else 1
    fields = [segment.field(number) for number in range(first, segment.length + 1)]
    assert None not in fields
    start = segment.text.split(separator, 1)[0]
    assert separator.join([start, *(field or "" for field in fields)]) == segment.text
    assert segment.field(segment.length + 1) is None


def _answer_is_true(kept: Kept) -> None:
    answers = [read_ack(frame) for frame in kept.answers]
    if kept.state in {"applied", "held"}:
        assert kept.events, "positive, and nothing happened"
        assert all(answer.is_positive for answer in answers)
    elif kept.state == "filtered":
        assert kept.text, "filtered by a rule without a name"
    else:
        _refusal_says_what_and_where(kept, answers)


def _refusal_says_what_and_where(kept: Kept, answers: list[Ack]) -> None:
    assert kept.state == "refused", "only a defect of ours makes a dead letter"
    assert kept.code in OUTCOMES
    assert kept.text
    assert kept.place or kept.code in ABOUT_THE_WHOLE
    assert not [answer for answer in answers if answer.code == "AA"]
    for answer in answers:
        if not answer.is_positive:
            assert OUTCOMES[kept.code].hl7 in answer.problem_codes
            assert kept.code in answer.raw.decode("latin_1")
            assert b"mappings/" not in answer.raw
            assert told(kept.text)[:40] in Message.parse(answer.raw).normalised
