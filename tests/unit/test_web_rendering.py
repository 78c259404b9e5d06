"""How names, times, sizes and addresses are written for people, and how parameters are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from multidict import MultiDict

from engine.config.code_map import CodeMap
from engine.config.settings import Settings
from engine.config.site import Site
from engine.connectors.web import query
from engine.connectors.web.content import answer_text, media_type, read
from engine.connectors.web.errors import BadParameter
from engine.connectors.web.rendering import Pages, day, order_path, person, size, span, tone, words

SETTINGS = Settings.model_validate({"site": {"timezone": "America/New_York", "name": "Test & Sons"}})
SITE = Site(folder=None, settings=SETTINGS, issuers=SETTINGS.issuer_table(), code_map=CodeMap(), revision="")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("TEST^ALPHA", "TEST, ALPHA"),
        ("TEST^ALPHA^B^DR^MD", "TEST, ALPHA B"),
        ("TEST", "TEST"),
        ("^ALPHA", "ALPHA"),
        ("YAMADA^TARO=\u5c71\u7530^\u592a\u90ce", "YAMADA, TARO"),
        ("", "\N{EN DASH}"),
    ],
)
def test_a_name_is_written_family_first(name: str, written: str) -> None:
    assert person(name) == written


def test_figures_are_written_for_people() -> None:
    assert [day("19800229"), day("198002"), day("1980"), day("unknown"), day("")] == [
        "1980-02-29",
        "1980-02",
        "1980",
        "unknown",
        "\N{EN DASH}",
    ]
    assert [size(0), size(1536), size(5 * 1024**3), size(3 * 1024**4), size(None)] == [
        "0 B",
        "1.5 KB",
        "5.0 GB",
        "3.0 TB",
        "\N{EN DASH}",
    ]
    assert [span(4), span(90), span(7200), span(200_000)] == ["4 s", "2 min", "2 h", "2 d"]
    assert [words("IN_PROGRESS"), tone("HELD"), tone("delivered"), tone("RED"), tone("SCHEDULED")] == [
        "in progress",
        "warn",
        "good",
        "bad",
        "plain",
    ]


def test_the_path_of_an_order_is_safe_for_any_accession() -> None:
    assert order_path("2026/17?x", None) == "/orders/2026%2F17%3Fx"
    assert order_path("A1", "N&S") == "/orders/A1?issuer=N%26S"


def test_a_time_is_written_in_the_zone_of_the_site_with_utc_behind_it() -> None:
    text = Pages(lambda: SITE).render(
        "messages.html",
        found={
            "messages": [
                {
                    "id": 1,
                    "received_at": datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
                    "type": "",
                    "kind": "mllp",
                    "sender": "",
                    "listener": "<his>",
                    "control_id": "",
                    "state": "refused",
                    "code": "HL7-101",
                    "text": "",
                    "place": "",
                }
            ]
        },
        asked={},
        older=None,
        newest=None,
        states=["refused"],
    )

    assert 'datetime="2026-01-01T12:00:00Z" title="2026-01-01 12:00:00.000 UTC">2026-01-01 07:00:00</time>' in text
    assert "&lt;his&gt;" in text
    assert "<title>Messages · Test &amp; Sons</title>" in text


def test_bytes_are_shown_as_they_can_be() -> None:
    assert read(b'{"a":1}', "fhir", None) == ('{\n  "a": 1\n}', [])
    assert read(b"{", "fhir", None) == ("{", [])
    assert read(b"\xff\rX", "mllp", None) == ("\N{REPLACEMENT CHARACTER}\nX", [])
    text, segments = read("MSH|^~\\&|A\rZXX|\u00e4\r".encode("latin_1"), "mllp", "8859/1")
    assert text == "MSH|^~\\&|A\nZXX|\u00e4\n"
    assert segments[1] == {"name": "ZXX", "fields": ["\u00e4"]}
    assert answer_text(b"MSH|1\rMSA|CA\r\x1cMSH|2\rMSA|AA\r") == "MSH|1\nMSA|CA\n\nMSH|2\nMSA|AA"
    assert media_type("dicom") == ("application/octet-stream", "bin")


def test_a_limit_is_clipped_and_blank_parameters_say_nothing() -> None:
    asked = MultiDict({"limit": "5000", "after": " ", "linked": "", "state": ""})

    assert (query.cut(asked).limit, query.cut(asked).after) == (1000, None)
    assert query.flag(asked, "linked") is None
    assert query.moment(asked, "since") is None


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T08:15:00Z", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("2026-03-01 08:15", datetime(2026, 3, 1, 8, 15, tzinfo=UTC)),
        ("2026-03-01T08:15:00 02:00", datetime(2026, 3, 1, 6, 15, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_or_without_an_offset(stated: str, meant: datetime) -> None:
    assert query.moment(MultiDict({"since": stated}), "since") == meant


@pytest.mark.parametrize("stated", ["now", "0001-01-01T00:00:00+10:00", "2026-13-01"])
def test_what_is_no_time_is_refused(stated: str) -> None:
    with pytest.raises(BadParameter, match="WEB-110: parameter since: a time in ISO 8601"):
        query.moment(MultiDict({"since": stated}), "since")
