"""The expression language: what parses to what, and what is refused where."""

from __future__ import annotations

import pytest

from engine.mapping.expression import (
    AllOf,
    Comparison,
    FirstOf,
    Literally,
    Membership,
    Negation,
    PathText,
    Piped,
    Several,
)
from engine.mapping.parser import NotAnExpression, parse_expression
from engine.records.explicit import NULL


def test_the_pipe_binds_loosest() -> None:
    parsed = parse_expression("IPC-5 or OBR-24 | lookup(modalities)")

    assert isinstance(parsed, Piped)
    assert parsed.value == FirstOf((PathText("IPC-5", 0), PathText("OBR-24", 9)))
    assert parsed.function == "lookup"
    assert parsed.arguments == (PathText("modalities", 25),)


def test_brackets_hold_a_pipe_inside_an_or() -> None:
    parsed = parse_expression("(OBR-16 | physician) or ORC-12")

    assert isinstance(parsed, FirstOf)
    assert isinstance(parsed.items[0], Piped)
    assert parsed.items[1] == PathText("ORC-12", 24)


def test_and_binds_tighter_than_or_and_not_tighter_than_and() -> None:
    parsed = parse_expression("a or not b and c")

    assert parsed == FirstOf((PathText("a", 0), AllOf((Negation(PathText("b", 9)), PathText("c", 15)))))


def test_membership_and_its_negation() -> None:
    choices = Several((Literally("ORM"), Literally("OMI")))

    taken = parse_expression("MSH-9.1 in ['ORM', 'OMI']")
    left = parse_expression("MSH-9.1 not in ['ORM', 'OMI']")

    assert taken == Membership(PathText("MSH-9.1", 0), choices, negated=False)
    assert left == Membership(PathText("MSH-9.1", 0), choices, negated=True)


@pytest.mark.parametrize("comparator", ["==", "!=", "<", "<=", ">", ">="])
def test_comparisons(comparator: str) -> None:
    parsed = parse_expression(f"MSH-12 {comparator} 2.5")

    assert parsed == Comparison(PathText("MSH-12", 0), comparator, Literally(2.5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'text'", "text"),
        ('"text"', "text"),
        (r"'it\'s'", "it's"),
        (r"'a\\b'", r"a\b"),
        (r"'a\nb'", "a\nb"),
        ("''", ""),
        ("7", 7),
        ("-3", -3),
        ("2.5", 2.5),
        ("true", True),
        ("false", False),
        ("null", NULL),
    ],
)
def test_literals(text: str, value: object) -> None:
    assert parse_expression(text) == Literally(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path",
    [
        "PID-3[1].4.2",
        "OBX[*]-5",
        "OBX[3.1='113014']-5.1",
        "PID-5[7='L'].1",
        "ZDS",
        "code.coding[system='http://loinc.org/x|y'].code",
        "identifier[type.coding.code='ACSN'].value",
        "RequestAttributesSequence[0].ScheduledProcedureStepID",
        "ordering.or_not",
        "$this",
    ],
)
def test_paths_are_one_word(path: str) -> None:
    assert parse_expression(path) == PathText(path, 0)


def test_words_that_begin_like_a_keyword_are_names() -> None:
    assert parse_expression("order.x or nothing") == FirstOf((PathText("order.x", 0), PathText("nothing", 11)))


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("ORC-2.1 or", "expression ends too early", 10),
        ("", "expression ends too early", 0),
        ("a b", "'b' is not expected here", 2),
        ("a ? b", "'?' is not expected here", 2),
        ("(a", "expression ends too early", 2),
        ("a | 'x'", "''x'' is not expected here", 4),
        ("a == b == c", "'==' is not expected here", 7),
        ("x" * 10_001, "expression longer than 10000 characters", 0),
        ("(" * 201, "expression has more than 200 brackets, pipes and negations", 0),
    ],
)
def test_what_does_not_parse_says_where(text: str, reason: str, column: int) -> None:
    with pytest.raises(NotAnExpression) as raised:
        parse_expression(text)

    assert (str(raised.value), raised.value.column) == (reason, column)
