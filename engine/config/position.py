"""Reads YAML and remembers where every key and value stands.

Only plain data: mappings, lists, text, numbers, true, false, null (YAML 1.2 core words; `no` and `on` are text).
Anchors, aliases and tags are refused, and so are duplicate keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from engine.mapping.place import Document, Flaw, KeyPath, Place

LARGEST_FILE = 1024 * 1024
DEEPEST_FILE = 32
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class _Unreadable(Exception):
    """Reading stops here."""

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw
        super().__init__(flaw.text)


def read_document(text: str, file: str) -> tuple[Document | None, list[Flaw]]:
    """Return a file as data with places, and what is wrong with it; no document when nothing can be made of it.

    Codes: CFG-101 not YAML, CFG-102 duplicate key, CFG-103 anchor, alias or tag, CFG-108 too large or too deep.
    """
    reader = _Reader(file)
    if len(text.encode()) > LARGEST_FILE:
        return None, [reader.too_large(Place(file))]
    try:
        tree = reader.read(text)
    except _Unreadable as cause:
        return None, [*reader.flaws, cause.flaw]
    except yaml.YAMLError as cause:
        return None, [*reader.flaws, _not_yaml(cause, file)]
    return Document(file, tree, reader.values, reader.keys), reader.flaws


def _not_yaml(cause: yaml.YAMLError, file: str) -> Flaw:
    mark = getattr(cause, "problem_mark", None)
    problem = getattr(cause, "problem", None) or "unreadable characters"
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    return Flaw(place, "CFG-101", f"not valid YAML: {problem}")


class _Reader:
    """Builds the data of one document from YAML's events."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.flaws: list[Flaw] = []
        self.values: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self._events: Iterator[yaml.Event] = iter(())

    def read(self, text: str) -> Any:
        self._events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        tree: Any = None
        for event in self._events:
            if isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent | yaml.StreamEndEvent):
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                if self.values:
                    raise _Unreadable(Flaw(self._place(event), "CFG-101", "not valid YAML: more than one document"))
                tree = self._value(next(self._events), ())
        return tree

    def too_large(self, place: Place) -> Flaw:
        """Return CFG-108."""
        return Flaw(place, "CFG-108", "file larger than 1 MiB or nested deeper than 32")

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file)

    def _value(self, event: yaml.Event, path: KeyPath) -> Any:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            self.flaws.append(Flaw(place, "CFG-103", "anchors, aliases and tags are not allowed here"))
        if len(path) > DEEPEST_FILE:
            raise _Unreadable(self.too_large(place))
        self.values[path] = place
        match event:
            case yaml.MappingStartEvent():
                return self._mapping(path)
            case yaml.SequenceStartEvent():
                return self._sequence(path)
            case yaml.ScalarEvent(style=style, value=text):
                if style in ("'", '"'):
                    self.values[path] = Place(place.file, place.line, place.column + 1)
                return text if style else _plain(text)
            case _:
                return None

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = self._place(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(Flaw(place, "CFG-101", "not valid YAML: a key must be text"))
            key = event.value
            at = (*path, key)
            if key in made:
                first = self.keys[at].line
                self.flaws.append(Flaw(place, "CFG-102", f"duplicate key '{key}', first at line {first}"))
            else:
                self.keys[at] = place
            made[key] = self._value(next(self._events), at)
        return made

    def _sequence(self, path: KeyPath) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            made.append(self._value(event, (*path, len(made))))
        return made


def _plain(text: str) -> Any:
    if text.casefold() in _WORDS and text in (text.casefold(), text.title(), text.upper()):
        return _WORDS[text.casefold()]
    if _INTEGER.fullmatch(text):
        return int(text) if text.lstrip("+-") == "0" or not text.lstrip("+-").startswith("0") else text
    return float(text) if _DECIMAL.fullmatch(text) else text
