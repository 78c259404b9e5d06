"""From the text of an expression to its parts. The grammar stands in grammar.lark."""

from __future__ import annotations

import re
from functools import cache

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken, v_args

from engine.mapping.expression import (
    AllOf,
    Comparison,
    Expression,
    FirstOf,
    Literally,
    Membership,
    Negation,
    PathText,
    Piped,
    Several,
)
from engine.records.explicit import NULL

LONGEST_EXPRESSION = 10_000
MOST_BRACKETS = 200
"""Brackets, pipes and `not` in one expression; they are what nests."""


class NotAnExpression(ValueError):
    """The text does not follow the grammar; `column` counts from 0."""

    def __init__(self, reason: str, column: int) -> None:
        self.column = column
        super().__init__(reason)


def parse_expression(text: str) -> Expression:
    """Return the parts of an expression.

    Raises:
        NotAnExpression: the text does not follow the grammar, is too long or too deep.
    """
    if len(text) > LONGEST_EXPRESSION:
        raise NotAnExpression(f"expression longer than {LONGEST_EXPRESSION} characters", 0)
    if text.count("(") + text.count("[") + text.count("|") + text.count("not") > MOST_BRACKETS:
        raise NotAnExpression(f"expression has more than {MOST_BRACKETS} brackets, pipes and negations", 0)
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as cause:
        raise NotAnExpression(*_reason(cause, text)) from cause
    parsed: Expression = _Parts().transform(tree)
    return parsed


@cache
def _grammar() -> Lark:
    return Lark.open_from_package(__package__, "grammar.lark", parser="lalr", lexer="contextual")


def _reason(cause: UnexpectedInput, text: str) -> tuple[str, int]:
    match cause:
        case UnexpectedEOF():
            return "expression ends too early", len(text)
        case UnexpectedToken() if cause.token.type == "$END":
            return "expression ends too early", len(text)
        case UnexpectedToken() | UnexpectedCharacters():
            column = cause.column - 1 if cause.line == 1 else 0
            return f"'{text[column : column + 20].split(' ', maxsplit=1)[0]}' is not expected here", max(column, 0)
        case _:
            return "not an expression", 0


@v_args(inline=True)
class _Parts(Transformer[Token, Expression]):
    """Turns the tree of the grammar into ours."""

    def start(self, item: Expression) -> Expression:
        return item

    def piped(self, value: Expression, name: Token, arguments: tuple[Expression, ...] | None = None) -> Piped:
        return Piped(value, str(name), arguments or (), (name.column or 1) - 1)

    def arguments(self, *items: Expression) -> tuple[Expression, ...]:
        return items

    def first_of(self, *items: Expression) -> Expression:
        return items[0] if len(items) == 1 else FirstOf(items)

    def all_of(self, *items: Expression) -> Expression:
        return items[0] if len(items) == 1 else AllOf(items)

    def negated(self, item: Expression) -> Negation:
        return Negation(item)

    def compared(self, left: Expression, comparator: Token, right: Expression) -> Comparison:
        return Comparison(left, comparator.value, right)

    def member(self, item: Expression, choices: Expression) -> Membership:
        return Membership(item, choices, negated=False)

    def no_member(self, item: Expression, choices: Expression) -> Membership:
        return Membership(item, choices, negated=True)

    def several(self, *items: Expression | None) -> Several:
        return Several(tuple(item for item in items if item is not None))

    def text(self, token: Token) -> Literally:
        return Literally(_unquoted(str(token)))

    def number(self, token: Token) -> Literally:
        return Literally(float(token) if "." in token else int(token))

    def true(self) -> Literally:
        return Literally(True)

    def false(self) -> Literally:
        return Literally(False)

    def null(self) -> Literally:
        return Literally(NULL)

    def path(self, token: Token) -> PathText:
        return PathText(str(token), (token.column or 1) - 1)


_ESCAPES = re.compile(r"\\(.)", re.DOTALL)


def _unquoted(token: str) -> str:
    return _ESCAPES.sub(lambda found: "\n" if found[1] == "n" else found[1], token[1:-1])
