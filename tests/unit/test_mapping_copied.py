"""A message sent on with some fields changed: what is not changed comes out byte for byte."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import PeerError
from engine.hl7.delimiter import DEFAULT_DELIMITERS
from engine.hl7.errors import UnencodableText
from engine.hl7.location import parse_path
from engine.hl7.message import Message
from engine.mapping.copied import Changes, Copied
from engine.mapping.outgoing import Assignment, Dialect

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "hl7"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
HEAD = "MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121||ADT^A01|C1|P|2.3"


def sent(body: bytes, changes: dict[str, str] | None = None, **dialect: Any) -> bytes:
    assignments = tuple(Assignment(parse_path(path), text) for path, text in (changes or {}).items())
    copied = Copied(source=Message.parse(body), changes=Changes(assignments=assignments))
    return copied.render(control_id="NEW", now=NOW, dialect=Dialect(**dialect))


@pytest.mark.parametrize(
    "body",
    [
        f"{HEAD}|||||||\rPID|1||X  |\t\rZXX|a\\F\\b^^|\\Z1\\||\r".encode(),
        f"{HEAD}\r\nPID|1||X\r\n\r\nNTE|1||tail".encode(),
        f"\n{HEAD}\nPID|1\nnote without a name\nPV1|1|O\n".encode(),
        f"\ufeff{HEAD}\rPID|1||||TEST^ÄLPHA\rNTE|1||a\u0308 kept apart\r".encode(),
        f"{HEAD}||||||8859/1\rPID|1||||TEST^ÄLPHA\xa0|\x85\rPV1|1\r".encode("latin_1"),
        f"{HEAD}\rOBX|1|ED|A||X^AP^PDF^Base64^QUJD\r\nREVG \rR0hJ||||||F\r\nNTE|1\r".encode(),
        f"{HEAD}||||||ISO IR87\rPID|1||||\x1b$B;3ED\x1b(B^X\r".encode("latin_1"),
    ],
)
def test_only_what_is_changed_changes(body: bytes) -> None:
    assert sent(body) == body
    assert sent(body, {"MSH-3": "US"}) == body.replace(b"|HIS|", b"|US|")


@pytest.mark.parametrize(
    ("path", "text", "before", "after"),
    [
        ("PID-3", "9", "PID|1||4711^^^A~4712||X|||", "PID|1||9||X|||"),
        ("PID-3.4", "B&C", "PID|1||4711^^^A^MR~4712||X", "PID|1||4711^^^B\\T\\C^MR~4712||X"),
        ("PID-3[2].1", "9", "PID|1||4711^^^A~4712^^^B", "PID|1||4711^^^A~9^^^B"),
        ("PID-3[3].1", "9", "PID|1||4711", "PID|1||4711~~9"),
        ("PID-5.1.2", "VAN", "PID|1||||TEST&X^Y", "PID|1||||TEST&VAN^Y"),
        ("PID-8", "F", "PID|1", "PID|1|||||||F"),
        ("NTE[2]-3", "N|T", "NTE|1||A\rNTE|2||B", "NTE|1||A\rNTE|2||N\\F\\T"),
        ("ZXX-1", "NEW", "PID|1", "PID|1\rZXX|NEW"),
    ],
)
def test_a_part_is_replaced_and_the_rest_of_its_field_stays(path: str, text: str, before: str, after: str) -> None:
    assert sent(f"{HEAD}\r{before}\r".encode(), {path: text}) == f"{HEAD}\r{after}\r".encode()


def test_a_last_segment_without_end_gets_one_before_another_follows() -> None:
    assert sent(f"{HEAD}\rPID|1".encode(), {"ZXX-1": "A"}) == f"{HEAD}\rPID|1\rZXX|A\r".encode()


def test_values_are_written_with_the_delimiters_of_the_message() -> None:
    body = "MSH$%~\\&$HIS$HOSP$$$20261121$$ADT%A01$C1$P$2.3\rPID$1$$4711%%%A\r"
    name = DEFAULT_DELIMITERS.escape("A^B$") + "^GIVEN"
    changes = Changes(
        assignments=(Assignment(parse_path("PID-5"), name, is_raw=True), Assignment(parse_path("PID-8"), "A%B"))
    )

    made = Copied(source=Message.parse(body.encode()), changes=changes).render(control_id="", now=NOW)

    assert made == body.replace("4711%%%A", "4711%%%A$$A^B\\F\\%GIVEN$$$A\\S\\B").encode()


def test_fields_are_emptied_and_the_control_id_is_ours_where_that_is_asked_for() -> None:
    source = Message.parse(f"{HEAD}\rPID|1||4711||X||||||||||||||SSN|L\r".encode())
    changes = Changes(emptied=(parse_path("PID-19"),), new_control_id=True)
    copied = Copied(source=source, changes=changes)

    made = copied.render(control_id="NEW", now=NOW)

    assert copied.control_id("NEW") == "NEW"
    assert made == (
        b"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121000000+0000||ADT^A01|NEW|P|2.3\rPID|1||4711||X|||||||||||||||L\r"
    )


def test_a_receiver_has_its_own_name_version_and_charset() -> None:
    body = f"{HEAD}\rPID|1||||TEST^ÄLPHA\r".encode()

    made = sent(body, application="RIS", facility="R^1", version="2.4", charset="8859/1")

    expected = HEAD.replace("|ISTHMUS|RAD|", "|RIS|R\\S\\1|").replace("|2.3", "|2.4||||||8859/1")
    assert made == f"{expected}\rPID|1||||TEST^ÄLPHA\r".encode("latin_1")


def test_text_that_the_receivers_charset_cannot_carry_is_transliterated_only_when_asked_for() -> None:
    body = f"{HEAD}\rPID|1||||TEST^ŁUKASZ\r".encode()

    with pytest.raises(UnencodableText) as raised:
        sent(body, charset="8859/1")
    assert (raised.value.code, raised.value.where) == ("HL7-102", "PID^1")
    assert sent(body, charset="8859/1", transliterate=True).endswith(b"PID|1||||TEST^LUKASZ\r")


def test_a_value_that_the_message_cannot_carry_has_its_place() -> None:
    body = f"{HEAD}||||||8859/1\rPID|1||||TEST^ÄLPHA\r".encode("latin_1")

    with pytest.raises(UnencodableText) as raised:
        sent(body, {"PID-5.2": "ŁUKASZ"})

    assert raised.value.where == "PID^1^5^1^2"


@pytest.mark.corpus
def test_no_byte_of_any_real_message_is_lost() -> None:
    if not CORPUS.is_dir():
        if os.environ.get("ISTHMUS_REQUIRE_CORPUS") == "1":
            pytest.fail(f"{CORPUS} is absent")
        pytest.skip(f"{CORPUS} is absent")
    seen = 0
    for path in sorted(CORPUS.rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        try:
            source = Message.parse(raw)
        except PeerError:
            continue
        seen += 1
        assert Copied(source=source).render(control_id="", now=NOW) == raw, path.name

    assert seen > 200
