"""Messages nobody here wrote: each is read with all its segments, or refused in our own words, quickly."""

import re
import time
from pathlib import Path

import pytest

from engine.core.errors import PeerError
from engine.hl7.acknowledgement import Problem, build_ack, read_ack
from engine.hl7.batch import split
from engine.hl7.charset import decode
from engine.hl7.message import Message, check_head, read_head

pytestmark = pytest.mark.corpus

SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?:[^A-Za-z0-9\s]|$)")


def test_every_file_is_read_whole_or_refused(corpus: Path) -> None:
    outcomes: dict[str, int] = {}
    for path in sorted(p for p in (corpus / "hl7").rglob("*") if p.is_file()):
        body = path.read_bytes()
        begun = time.perf_counter()
        for piece in split(body):
            code = _outcome(piece)
            outcomes[code] = outcomes.get(code, 0) + 1
        assert time.perf_counter() - begun < 1, path.name
    assert set(outcomes) <= {"read", "HL7-101", "HL7-102", "HL7-103"}
    assert outcomes["read"] > 300


def _outcome(piece: bytes) -> str:
    try:
        message = Message.parse(piece)
        check_head(message)
    except PeerError as error:
        answer = read_ack(build_ack(read_head(piece), [Problem.of(error)], control_id="1", time="2026"))
        assert not answer.is_positive
        return error.code
    text = decode(piece, message.declared_charset)[0]
    lines = [line.strip(" \t\0\ufeff\v\x1c") for line in re.split(r"[\r\n]+", text)]
    stated = [line[:3] for line in lines if SEGMENT.match(line)]
    assert [segment.name for segment in message.segments if segment.name and SEGMENT.match(segment.text)] == stated
    answer = read_ack(build_ack(message, control_id="1", time="2026"))
    assert answer.is_positive
    assert answer.control_id == message.delimiters.unescape(message.control_id).strip()
    return "read"


def test_what_has_no_message_is_refused(corpus: Path) -> None:
    for name in (
        "cosyte__hl7/empty-input.hl7",
        "cosyte__hl7/no-msh-segment.hl7",
        "rethinkhealth__hl7v2/invalid-missing-msh.hl7",
    ):
        with pytest.raises(PeerError, match="HL7-101"):
            Message.parse((corpus / "hl7" / name).read_bytes())
