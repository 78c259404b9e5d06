"""Which routes need not be asked about a message: those that cannot hold for its type. The answer is the same."""

from __future__ import annotations

import pytest

from engine.config.route_document import _only
from engine.config.site import load_site
from engine.hl7.message import Message
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("when", "only"),
    [
        ("MSH-9.1 == 'ADT'", {"ADT"}),
        ("MSH-9 in ['ORM', 'OMG'] and ORC-1 == 'NW'", {"ORM", "OMG"}),
        ("ORC-1 == 'NW' and (MSH-9.1 == 'ORM' or MSH-9.1 == 'OMI')", {"ORM", "OMI"}),
        ("MSH-9.1 in ['ORM', 'OMG'] and MSH-9.1 != 'OMG' and MSH-9.1 in ['OMG', 'ORU']", {"OMG"}),
        ("MSH-9.1 == 'ORM' or ORC-1 == 'NW'", None),
        ("not MSH-9.1 == 'ADT'", None),
        ("MSH-9.1 not in ['ADT']", None),
        ("MSH-9.2 == 'A08'", None),
        ("MSH-9.1", None),
        ("not an expression (", None),
    ],
)
def test_types_that_a_condition_cannot_do_without(when: str, only: set[str] | None) -> None:
    assert _only(when) == only


def test_a_route_that_is_not_asked_would_have_said_no() -> None:
    site = load_site(None, environ={})
    context = site.context()
    routes = site.message_routes("mllp", "his")
    spared = 0
    for path in sorted((REPOSITORY / "samples" / "hl7").iterdir()):
        body = path.read_bytes()
        if not body.startswith(b"MSH"):
            continue
        message = Message.parse(body)
        for route in routes:
            assert route.when is not None
            assert route.matches(message, context) == route.when(message, context)
            spared += route.only is not None and message.type not in route.only
    assert spared > 0
