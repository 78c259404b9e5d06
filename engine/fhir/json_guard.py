"""Reads a JSON body, and refuses what a lenient reader would guess about.

Source: FHIR R4 json.html; RFC 8259 section 4 leaves duplicate keys open, so they are refused.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from engine.fhir.errors import ResourceRefused, refused


def read_json(body: bytes, *, depth: int) -> dict[str, Any]:
    """Return the object that a body holds.

    Args:
        body: UTF-8, as received.
        depth: How deep objects and arrays may nest.

    Raises:
        ResourceRefused: FHIR-101, not JSON, a key twice in one object, nested too deep, or not an object.
    """
    try:
        read = orjson.loads(body)  # also refuses NaN, lone surrogates and what is not UTF-8
    except orjson.JSONDecodeError as cause:
        raise _refused(f"not JSON at line {cause.lineno}, column {cause.colno}") from cause
    if not isinstance(read, dict):
        raise _refused("the body must be a JSON object")
    if _is_deeper(read, depth):
        raise _refused(f"nested deeper than {depth}")
    try:
        json.loads(body, object_pairs_hook=_check_keys)
    except ValueError as cause:
        raise _refused("a number has too many digits") from cause
    return read


def _refused(text: str) -> ResourceRefused:
    return refused("FHIR-101", text)


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _refused("a key stands twice in one object")


def _is_deeper(read: dict[str, Any], depth: int) -> bool:
    level: list[Any] = [read]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
