"""What the routes of a message look for in it, and what that means: kept and told, or refused.

Profiles are checked where the message is read; the tables of the standard cost more, so they are consulted elsewhere
(`StandardCheck`), while the messages behind this one on its connection wait their turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from engine.config.route import Route, Validate
from engine.core.errors import InvariantError, PeerError
from engine.hl7.acknowledgement import Problem
from engine.hl7.message import Message
from engine.hl7.validation import as_warnings

_STRICTNESS: dict[Validate, int] = {"off": 0, "warn": 1, "strict": 2}


class StandardCheck(Protocol):
    """Consults the tables of a message's version, off the loop."""

    def __call__(self, body: bytes, default_charset: str | None) -> Awaitable[tuple[Problem, ...]]:
        """Return the problems of a message.

        Raises:
            EngineError: it could not be looked at.
        """
        ...


async def no_check(body: bytes, default_charset: str | None) -> tuple[Problem, ...]:
    """Stand for a check that nobody has set up."""
    raise InvariantError("nothing is set up to validate messages with")


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known to be wrong with a message so far."""

    problems: tuple[Problem, ...] = ()
    """Severity E is what refuses it."""
    standard: Validate = "off"
    """What is still to be done: whether the tables of the standard are consulted, and what their answer does."""

    def refusal(self) -> PeerError | None:
        """Return the first thing that refuses the message; None when nothing does."""
        for problem in self.problems:
            if problem.severity == "E":
                return PeerError(problem.text, where=problem.where, code=problem.code)
        return None

    def with_warnings(self, left_out: Iterable[Problem]) -> Findings:
        """Return the findings with what the mappings left out."""
        told = tuple(left_out)
        return replace(self, problems=tuple(dict.fromkeys((*self.problems, *told)))) if told else self

    def with_standard(self, found: Sequence[Problem]) -> Findings:
        """Return the findings with what the tables of the standard gave."""
        told = found if self.standard == "strict" else as_warnings(found)
        return Findings(tuple(dict.fromkeys((*self.problems, *told))))


NOTHING_FOUND = Findings()


def examine(message: Message, routes: Iterable[Route]) -> Findings:
    """Return what the profiles of the routes find, and how far the standard is to be consulted: the strictest wins."""
    problems: list[Problem] = []
    standard: Validate = "off"
    for route in routes:
        if route.validate == "off":
            continue
        if route.profile is not None:
            found = route.profile.check(message)
            problems.extend(found if route.validate == "strict" else as_warnings(found))
        if route.profile is None or route.profile.standard:
            standard = max(standard, route.validate, key=lambda each: _STRICTNESS[each])
    return Findings(tuple(dict.fromkeys(problems)), standard) if problems or standard != "off" else NOTHING_FOUND


def problems_text(problems: Sequence[Problem]) -> str:
    """Return problems as they are kept with a message: JSON, "" when there are none."""
    if not problems:
        return ""
    listed = [
        {"place": problem.where or "", "code": problem.code, "text": problem.text, "severity": problem.severity}
        for problem in problems
    ]
    return orjson.dumps(listed).decode()
