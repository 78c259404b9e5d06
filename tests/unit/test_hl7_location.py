"""Places as people write them and as ERR wants them."""

import pytest

from engine.hl7.location import Location, parse_erl, parse_path


@pytest.mark.parametrize(
    ("path", "erl"),
    [
        ("PID", "PID^1"),
        ("PID-3", "PID^1^3"),
        ("PID-3[2]", "PID^1^3^2"),
        ("PID-3.4", "PID^1^3^1^4"),
        ("PID-3[2].4.2", "PID^1^3^2^4^2"),
        ("OBX[12]-5", "OBX^12^5"),
    ],
)
def test_path_and_erl(path: str, erl: str) -> None:
    place = parse_path(path)
    assert place.erl == erl
    assert place.path == path
    again = parse_erl(erl)
    assert again is not None
    assert again.path == path


def test_lower_case_and_defaults() -> None:
    assert parse_path("pid-3") == Location("PID", 1, 3)
    assert parse_path("PID[1]-3[1].1").path == "PID-3.1"


@pytest.mark.parametrize("text", ["", "PI", "PID-", "PID.3", "PID-3.", "PID-3.4.5.6", "PID-x", "PID[*]-3", "PID-3 "])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="not an HL7 path"):
        parse_path(text)


@pytest.mark.parametrize("text", ["", "PID-3", "ServiceRequest.subject", "pid^1", "PID^1^3^1^4^2^9", "PID^x"])
def test_what_is_no_erl(text: str) -> None:
    assert parse_erl(text) is None


def test_an_erl_may_leave_levels_out() -> None:
    assert parse_erl("PID") == Location("PID")
    assert parse_erl("PID^^3") == Location("PID", 1, 3)
