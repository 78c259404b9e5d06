"""Reading YAML: plain data with places, everything else refused by code and exact text."""

from __future__ import annotations

import pytest

from engine.config.position import read_document
from engine.mapping.place import Place


def flaws(text: str) -> list[str]:
    _, found = read_document(text, "f.yaml")
    return [f"{flaw.place}:{flaw.place.column}: {flaw.code}: {flaw.text}" for flaw in found]


def test_every_key_and_value_has_its_place() -> None:
    document, found = read_document("a: 1\nb:\n  - c: 'x'\n    d: [y, \"z\"]\n", "f.yaml")

    assert found == []
    assert document is not None
    assert document.tree == {"a": 1, "b": [{"c": "x", "d": ["y", "z"]}]}
    assert document.place(("a",)) == Place("f.yaml", 1, 4)
    assert document.key_place(("b", 0, "d")) == Place("f.yaml", 4, 5)
    assert document.place(("b", 0, "c")) == Place("f.yaml", 3, 9)  # behind the quote
    assert document.place(("b", 0, "d", 0)) == Place("f.yaml", 4, 9)
    assert document.place(("b", 0, "d", 1)) == Place("f.yaml", 4, 13)
    assert document.place(("b", 0, "gone", "deeper")) == Place("f.yaml", 3, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("007", "007"),
        ("2.5", 2.5),
        ("2.5.1", "2.5.1"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("2026-11-21", "2026-11-21"),
        ("'7'", "7"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_plain_words(text: str, value: object) -> None:
    document, _ = read_document(f"key: {text}", "f.yaml")

    assert document is not None
    assert document.tree == {"key": value}
    assert type(document.tree["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("a: [1", "f.yaml:1:6: CFG-101: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "f.yaml:1:5: CFG-101: not valid YAML: mapping values are not allowed here"),
        ("a: \x07", "f.yaml:1:1: CFG-101: not valid YAML: unreadable characters"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: CFG-101: not valid YAML: more than one document"),
        ("? [a]\n: 1", "f.yaml:1:3: CFG-101: not valid YAML: a key must be text"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: CFG-102: duplicate key 'a', first at line 1"),
        ("a: &x 1", "f.yaml:1:4: CFG-103: anchors, aliases and tags are not allowed here"),
        ("a: !!python/object:os.system x", "f.yaml:1:4: CFG-103: anchors, aliases and tags are not allowed here"),
        ("[" * 40 + "]" * 40, "f.yaml:1:34: CFG-108: file larger than 1 MiB or nested deeper than 32"),
        ("a: " + "x" * 1024 * 1024, "f.yaml:1:1: CFG-108: file larger than 1 MiB or nested deeper than 32"),
    ],
)
def test_what_is_refused(text: str, flaw: str) -> None:
    assert flaws(text) == [flaw]


def test_an_alias_is_refused_and_not_expanded() -> None:
    document, found = read_document("a: &x [1, 2]\nb: *x", "f.yaml")

    assert [flaw.code for flaw in found] == ["CFG-103", "CFG-103"]
    assert document is not None
    assert document.tree == {"a": [1, 2], "b": None}


def test_an_empty_file_is_nothing() -> None:
    document, found = read_document("# only a comment\n", "f.yaml")

    assert document is not None
    assert (document.tree, found) == (None, [])
