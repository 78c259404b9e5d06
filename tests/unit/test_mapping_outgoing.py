"""The ways of receivers: version, charset, names, nulls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.config.settings import MllpDestination
from engine.hl7.charset import writing_codec
from engine.hl7.errors import UnencodableText
from engine.hl7.location import parse_path
from engine.hl7.transliteration import transliterate
from engine.mapping.outgoing import Assignment, Dialect, Outgoing

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MADE = Outgoing(
    message_type="ORM^O01",
    version="2.5.1",
    assignments=(
        Assignment(parse_path("MSH-5"), "RIS"),
        Assignment(parse_path("PID-5"), "ŁUKASZ^JÜRGEN", is_raw=True),
        Assignment(parse_path("OBR-4.1"), "CT"),
    ),
    unsaid=tuple(map(parse_path, ("MSH-6", "PID-7", "OBR-4.2", "OBR-16", "PV1-19"))),
)


def lines(**dialect: Any) -> list[str]:
    said = Dialect(**dialect)
    text = MADE.render(control_id="C1", now=NOW, dialect=said).decode(writing_codec(said.charset or "UTF-8"))
    return text.rstrip("\r").split("\r")


def test_without_wishes_it_is_as_the_mapping_has_it() -> None:
    assert lines() == [
        "MSH|^~\\&|||RIS||20261121000000+0000||ORM^O01|C1|P|2.5.1||||||UNICODE UTF-8",
        "PID|||||ŁUKASZ^JÜRGEN",
        "OBR||||CT",
    ]


def test_names_version_and_charset_of_the_receiver_go_first() -> None:
    head, *_ = lines(application="A&B", facility="F", version="2.6", charset="8859/2")

    assert head == "MSH|^~\\&|||A\\T\\B|F|20261121000000+0000||ORM^O01^ORM_O01|C1|P|2.6||||||8859/2"


@pytest.mark.parametrize(
    ("stated", "version", "written"),
    [
        ("ORM^O01", "2.5.1", "ORM^O01"),
        ("ORM^O01", "2.6", "ORM^O01^ORM_O01"),
        ("OMG^O19^OMG_O19", "2.3.1", "OMG^O19^OMG_O19"),
        ("ORU^R01^ORU_R01", "2.3", "ORU^R01"),
    ],
)
def test_the_structure_is_named_as_the_version_wants(stated: str, version: str, written: str) -> None:
    made = Outgoing(message_type=stated).render(control_id="C1", now=NOW, dialect=Dialect(version=version))

    assert made.split(b"|")[8].decode() == written


def test_nulls_stand_where_a_mapping_has_a_field_and_nothing_is_known() -> None:
    assert lines(include_nulls=True)[1:] == ['PID|||||ŁUKASZ^JÜRGEN||""', 'OBR||||CT||||||||||||""']


def test_text_is_transliterated_only_when_asked_for() -> None:
    with pytest.raises(UnencodableText) as raised:
        lines(charset="8859/1")
    assert raised.value.where == "PID^1^5"

    assert lines(charset="8859/1", transliterate=True)[1] == "PID|||||LUKASZ^JÜRGEN"
    assert lines(charset="ASCII", transliterate=True)[1] == "PID|||||LUKASZ^JURGEN"


@pytest.mark.parametrize(
    ("text", "codec", "written"),
    [
        ("plain", "ascii", "plain"),
        ("Straße – „ok“…", "ascii", 'Strasse - "ok"...'),
        ("ČAPEK Ðorđe ﬁn", "iso8859_1", "CAPEK Ðorde fin"),
        ("Ǿ", "ascii", "O"),
        ("山田", "iso8859_1", "山田"),
        ("Ελλάς", "ascii", "Ελλάς"),
    ],
)
def test_nearest_letters(text: str, codec: str, written: str) -> None:
    assert transliterate(text, codec) == written


def test_what_has_no_nearest_letter_is_never_replaced() -> None:
    made = Outgoing(message_type="ADT^A08", assignments=(Assignment(parse_path("PID-5"), "山田"),))

    with pytest.raises(UnencodableText):
        made.render(control_id="C1", now=NOW, dialect=Dialect(charset="8859/1", transliterate=True))


def test_a_destination_says_all_this() -> None:
    said = MllpDestination.model_validate(
        {"version": "2.3.1", "charset": "ASCII", "application": "RIS", "include_nulls": True, "transliterate": True}
    )

    assert said.dialect == Dialect(
        version="2.3.1", charset="ASCII", application="RIS", include_nulls=True, transliterate=True
    )
    with pytest.raises(ValueError, match="table 0211"):
        MllpDestination.model_validate({"charset": "KLINGON"})
