"""Environment variables that override isthmus.yaml, for containers and tests.

A port of 0 lets the system choose a free one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.config.unit import duration_s
from engine.mapping.place import Document, Flaw, Place

ENVIRONMENT = "environment"
"""Stands for the file name in findings about environment variables."""

VARIABLES: Mapping[str, str] = {
    "ISTHMUS_SITE": "folder of the site",
    "ISTHMUS_DATA": "folder of database and objects",
    "ISTHMUS_HTTP_PORT": "port of pages, FHIR and API",
    "ISTHMUS_MLLP_PORT": "port of the first MLLP listener",
    "ISTHMUS_DICOM_PORT": "port of the first DICOM listener",
    "ISTHMUS_RIS_HOST": "host of the destination ris",
    "ISTHMUS_RIS_PORT": "port of the destination ris",
    "ISTHMUS_QUIET_S": "seconds without images after which a study is complete",
}
_FIRST = {"mllp": "his", "dicom": "archive"}


def overridden(document: Document, environ: Mapping[str, str]) -> tuple[Document, list[Flaw]]:
    """Return the settings with what the environment says put in, and what is wrong with that."""
    flaws: list[Flaw] = []
    if document.tree is not None and not isinstance(document.tree, dict):
        return document, flaws
    tree: dict[str, Any] = dict(document.tree or {})
    if environ.get("ISTHMUS_DATA"):
        tree["data"] = environ["ISTHMUS_DATA"]
    http = _port(environ, "ISTHMUS_HTTP_PORT", 0, flaws)
    if http is not None:
        _put(tree, ("listeners", "http", "port"), http)
    for kind, variable in (("mllp", "ISTHMUS_MLLP_PORT"), ("dicom", "ISTHMUS_DICOM_PORT")):
        port = _port(environ, variable, 0, flaws)
        if port is not None:
            _put(tree, ("listeners", kind, _first(tree, kind), "port"), port)
    if environ.get("ISTHMUS_RIS_HOST"):
        _put(tree, ("destinations", "mllp", "ris", "host"), environ["ISTHMUS_RIS_HOST"])
    ris = _port(environ, "ISTHMUS_RIS_PORT", 1, flaws)
    if ris is not None:
        _put(tree, ("destinations", "mllp", "ris", "port"), ris)
    quiet = environ.get("ISTHMUS_QUIET_S")
    if quiet:
        _put_quiet(tree, quiet, flaws)
    return Document(document.file, tree, document.values, document.keys), flaws


def _port(environ: Mapping[str, str], name: str, least: int, flaws: list[Flaw]) -> int | None:
    text = environ.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or not text.isascii() or not least <= int(text) <= 65535:
        flaws.append(Flaw(Place(ENVIRONMENT), "CFG-107", f"'{name}' must be between {least} and 65535"))
        return None
    return int(text)


def _put_quiet(tree: dict[str, Any], text: str, flaws: list[Flaw]) -> None:
    try:
        seconds = float(text) if text.replace(".", "", 1).isdecimal() else duration_s(text)
    except ValueError as cause:
        flaws.append(Flaw(Place(ENVIRONMENT), "CFG-106", f"'ISTHMUS_QUIET_S' must be {cause}"))
        return
    _put(tree, ("quiet", "default"), seconds)


def _first(tree: dict[str, Any], kind: str) -> str:
    listeners = tree.get("listeners")
    named = listeners.get(kind) if isinstance(listeners, dict) else None
    return next(iter(named)) if isinstance(named, dict) and named else _FIRST[kind]


def _put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set a value, copying what is on the way: the document read from the file stays as it is."""
    here = tree
    for name in path[:-1]:
        inner = here.get(name)
        here[name] = dict(inner) if isinstance(inner, dict) else {}
        here = here[name]
    here[path[-1]] = value
