"""hl7apy, which wrote none of them, reads, validates and writes again every message that the shipped mappings make."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from engine.config.check import TEST_CONTROL_ID, TEST_TIME, read_source
from engine.config.site import Site, load_site
from engine.hl7.message import Message
from engine.hl7.validation import validate
from engine.mapping.outgoing import Dialect, Outgoing

REPOSITORY = Path(__file__).resolve().parents[2]
EVENTS = {
    "study": "study-completed",
    "order": "order-started",
    "unlinked": "study-completed-unlinked",
    "report": "report-final",
}
SINCE_2_5 = ("2.5", "2.5.1", "2.6")
MADE = [
    ("orm-o01-from-study", ("2.3.1", "2.4", "2.5.1", "2.6")),
    ("orm-o01-from-order", ("2.3.1", "2.4", "2.5.1", "2.6")),
    ("orm-o01-from-unlinked", ("2.3.1", "2.4", "2.5.1", "2.6")),
    ("omg-o19-from-study", SINCE_2_5),
    ("omg-o19-from-order", SINCE_2_5),
    ("omg-o19-from-unlinked", SINCE_2_5),
    ("omi-o23-from-study", SINCE_2_5),
    ("oru-r01-from-study", ("2.3.1", "2.5.1", "2.6")),
    ("oru-r01-from-report", ("2.3.1", "2.5.1", "2.6")),
    ("mdm-t02-from-report", ("2.5.1", "2.6")),
]


FAULTS = (
    r"Missing required child (ORM_O01_CHOICE|ORM_O01_\w+_SUPPGRP)\.",  # it wants every branch of a choice
    r"Datatype None is not correct for OBX_3\.",  # 18748-4&IMP: RAD-28 puts a suffix under a string
    r"Missing required child OBX\.OBX_4",  # conditional in 2.3.1
)
"""What hl7apy says wrongly, or of a convention."""


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(None, environ={})


def made(site: Site, name: str, dialect: Dialect) -> bytes:
    event = f"samples/event/{EVENTS[name.rpartition('-from-')[2]]}.json"
    (result,) = site.mapping(name).run(read_source((REPOSITORY / event).read_bytes(), event), site.context())
    assert isinstance(result.fact, Outgoing)
    return result.fact.render(control_id=TEST_CONTROL_ID, now=TEST_TIME, dialect=dialect)


def without_z(text: str) -> str:
    """Its groups lose Z segments."""
    return re.sub(r"Z..\|[^\r]*\r", "", text)


def findings(message: Any, report: Path) -> list[str]:
    """All errors, not only the first."""
    with contextlib.suppress(ValidationError):
        Validator.validate(message, report_file=str(report))
    return [line for line in report.read_text().splitlines() if line.startswith("Error")]


@pytest.mark.parametrize(("name", "version"), [(name, version) for name, versions in MADE for version in versions])
def test_hl7apy_takes_what_we_write(site: Site, name: str, version: str, tmp_path: Path) -> None:
    text = made(site, name, Dialect(version=version, charset="ASCII")).decode()

    said = findings(parse_message(without_z(text), find_groups=True), tmp_path / "report")

    assert [line for line in said if not any(re.search(fault, line) for fault in FAULTS)] == []


@pytest.mark.parametrize(("name", "version"), [(name, version) for name, versions in MADE for version in versions])
def test_hl7apy_builds_the_same_from_what_it_read(site: Site, name: str, version: str) -> None:
    text = made(site, name, Dialect(version=version, charset="ASCII")).decode()
    text = re.sub(r"\\[^\\|^&~]*\\", " ", text)  # it escapes escapes again

    structured = parse_message(without_z(text), find_groups=True)
    flat = parse_message(text, find_groups=False)

    assert structured.version == version
    assert structured.to_er7() + "\r" == without_z(text)
    assert [segment.to_er7() for segment in flat.children] == text.rstrip("\r").split("\r")


@pytest.mark.parametrize(("name", "version"), [(name, version) for name, versions in MADE for version in versions])
def test_our_own_validation_agrees(site: Site, name: str, version: str) -> None:
    message = Message.parse(made(site, name, Dialect(version=version, charset="8859/1")))

    assert [problem for problem in validate(message) if problem.severity == "E"] == []


def test_every_mapping_that_writes_hl7_is_in_this_list(site: Site) -> None:
    event = {name for name, one in site.mappings.items() if (one.source, one.target) == ("event", "hl7v2")}

    assert event == {name for name, _ in MADE}
