"""Paths through plain data (FHIR, events, JSON): `code.coding[system='…'].code`, `steps[0].sps_id`.

Lists are walked: `name.family` reads the first name that has one, `name[*].family` all of them as a list.
`[n]` counts from 0, as in FHIRPath; `[path='text']` keeps the items in which some value at the path is the text.
Source: FHIR R4 FHIRPath (subset), JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.mapping.path import NotAPath, Path, Read
from engine.mapping.scope import Scope
from engine.mapping.value import Value

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_BRACKET = re.compile(
    r"\[(?:(?P<every>\*)|(?P<index>[0-9]{1,6})|(?P<at>[A-Za-z0-9_$.-]+)\s*=\s*'(?P<is>(?:[^'\\]|\\.)*)')\]"
)


@dataclass(frozen=True, slots=True)
class _Step:
    """One name and what its brackets choose."""

    name: str
    every: bool = False
    index: int | None = None
    at: tuple[str, ...] = ()
    wanted: str = ""


def data_path(text: str, *, aliases: dict[str, str] | None = None) -> Path:
    """Return the compiled path. `aliases` are names that stand for another in what the sender is told.

    Raises:
        NotAPath: the text has not that form.
    """
    steps = _steps(text)
    several = any(step.every for step in steps)
    names = [step.name for step in steps]
    label = ".".join([(aliases or {}).get(names[0], names[0]), *names[1:]])

    def first(scope: Scope) -> Value:
        return next(_walk(scope.resource, steps, 0), None)

    def every(scope: Scope) -> Value:
        found = list(_walk(scope.resource, steps, 0))
        scope.budget.spend_steps(len(found))
        return found

    def as_it_stands(scope: Scope) -> Value:
        found = every(scope)
        return found if len(found) > 1 else found[0] if found else None

    def where(scope: Scope) -> str:
        kind = scope.resource.get("resourceType") if isinstance(scope.resource, dict) else None
        return f"{kind}.{label}" if isinstance(kind, str) else label

    is_plain = all(step.index is None and not step.at for step in steps)
    read = every if several else _plain(names, first) if is_plain else first
    raw = every if several else as_it_stands
    return Path(text=text, read=read, read_raw=raw, where=where, label_of=where)


def _plain(names: list[str], walk: Read) -> Read:
    """Return the reading for paths without brackets; a list on the way is left to the walk."""

    def read(scope: Scope) -> Value:
        here = scope.resource
        for name in names:
            if not isinstance(here, dict):
                return None if here is None else walk(scope)
            here = here.get(name)
        if isinstance(here, list):
            return here[0] if here else None
        return here

    return read


def _steps(text: str) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    at = 0
    while True:
        name = _NAME.match(text, at)
        if name is None:
            raise NotAPath("FHIR element")
        at = name.end()
        bracket = _BRACKET.match(text, at)
        steps.append(_step(name.group(), bracket))
        at = bracket.end() if bracket else at
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise NotAPath("FHIR element")
        at += 1


def _step(name: str, bracket: re.Match[str] | None) -> _Step:
    if bracket is None:
        return _Step(name)
    if bracket["every"]:
        return _Step(name, every=True)
    if bracket["index"]:
        return _Step(name, index=int(bracket["index"]))
    wanted = bracket["is"].replace("\\'", "'").replace("\\\\", "\\")
    return _Step(name, at=tuple(bracket["at"].split(".")), wanted=wanted)


def _walk(here: Any, steps: tuple[_Step, ...], at: int) -> Iterator[Any]:
    if at == len(steps):
        yield from _items(here)
        return
    step = steps[at]
    for item in _items(here):
        if not isinstance(item, dict) or step.name not in item:
            continue
        inside = item[step.name]
        if step.index is not None:
            inside = list(_items(inside))[step.index : step.index + 1]
        elif step.at:
            inside = [one for one in _items(inside) if _says(one, step.at, step.wanted)]
        yield from _walk(inside, steps, at + 1)


def _items(here: Any) -> Iterable[Any]:
    if here is None:
        return ()
    return here if isinstance(here, list) else (here,)


def _says(here: Any, names: tuple[str, ...], wanted: str) -> bool:
    return any(value == wanted for value in _walk(here, tuple(_Step(name) for name in names), 0))
