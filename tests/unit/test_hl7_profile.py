"""Message profiles: every kind of rule, at every level of a place."""

from __future__ import annotations

from typing import Any

import pytest

from engine.hl7.location import parse_path
from engine.hl7.message import Message
from engine.hl7.profile import MOST_PROBLEMS, Demand, Profile

BODY = (
    "MSH|^~\\&|HIS|HOSP|||20261121||ORU^R01|1|P|2.5.1\rPID|1||4711^^^HOSP&1.2&ISO~X9||TEST^ALPHA\r"
    'OBX|1|ST|A||one\rOBX|2|ST|||t\\T\\o\rOBX|3|ST|C||""\r'
)


def found(place: str, **asked: Any) -> list[tuple[str, str, str | None]]:
    profile = Profile(name="test", demands=(Demand(place=parse_path(place), **asked),))
    return [(each.code, each.text, each.where) for each in profile.check(Message.parse(BODY.encode()))]


@pytest.mark.parametrize(
    ("place", "asked", "problems"),
    [
        ("PID", {"least": 1, "most": 1}, []),
        ("ZDS", {"least": 1}, [("HL7-110", "ZDS is required", "ZDS^1")]),
        ("OBX", {"least": 4}, [("HL7-110", "OBX must come at least 4 times", "OBX^4")]),
        ("OBX", {"most": 2}, [("HL7-110", "OBX must not come more than 2 times", "OBX^3")]),
        ("OBX", {"most": 0}, [("HL7-110", "OBX is not taken here", "OBX^1")]),
        ("OBX-3", {"least": 1}, [("HL7-111", "OBX[2]-3 is required", "OBX^2^3")]),
        ("OBX-5", {"least": 1}, [("HL7-111", "OBX[3]-5 is required", "OBX^3^5")]),
        ("ORC-2", {"least": 1}, []),
        ("PID-3", {"most": 1}, [("HL7-110", "PID-3 must not come more than 1 times", "PID^1^3^2")]),
        ("PID-3", {"least": 3}, [("HL7-110", "PID-3 must come at least 3 times", "PID^1^3")]),
        ("PID-3.1", {"least": 2}, []),
        ("PID-3.4", {"least": 1}, [("HL7-111", "PID-3.4 is required", "PID^1^3^2^4")]),
        ("PID-3.4.2", {"most_length": 2}, [("HL7-114", "PID-3.4.2 is longer than 2", "PID^1^3^1^4^2")]),
        ("PID-19", {"least": 1}, [("HL7-111", "PID-19 is required", "PID^1^19")]),
        ("PID-3.1", {"least_length": 3}, [("HL7-112", "PID-3.1 is shorter than 3", "PID^1^3^2^1")]),
        ("OBX-5", {"most_length": 3}, []),
        ("MSH-2", {"most_length": 4}, []),
        ("MSH-12", {"values": frozenset({"2.5.1"})}, []),
        (
            "OBX-3.1",
            {"values": frozenset({"a"})},
            [("HL7-113", "OBX[3]-3.1 is not in the profile's values", "OBX^3^3^1^1")],
        ),
        (
            "OBX-3.1",
            {"values": frozenset({"c"}), "table": "codes"},
            [("HL7-113", "OBX-3.1 is not in table 'codes'", "OBX^1^3^1^1")],
        ),
    ],
)
def test_rules(place: str, asked: dict[str, Any], problems: list[tuple[str, str, str | None]]) -> None:
    assert found(place, **asked) == problems


def test_problems_are_bounded() -> None:
    body = BODY + "OBX|4\r" * 500
    profile = Profile(name="test", demands=(Demand(place=parse_path("OBX-2"), least=1, severity="W"),))

    told = profile.check(Message.parse(body.encode()))

    assert (len(told), told[-1].severity) == (MOST_PROBLEMS + 1, "W")
