"""Runs the tests that stand beside routes and mappings (`*.test.yaml`).

A test says what is given (a file of the site, an inline message, an event, a resource) and what must come out:

    - name: an order with a Study UID
      given: samples/hl7/orm-o01-zds.hl7
      expect: {accession_number: ACC1001, steps.length: 0, patient.identifiers[0].value: 4711}
    - name: a message that no identifier is in
      given: samples/hl7/orm-o01-no-patient-id.hl7
      expect: {error: HL7-111, where: PID^1^3}

`expect` is a list for several results, `[]` for none; YAML `null` expects an explicit null, `absent: [field]` nothing
at all. For messages keys are places (`PID-5.1`), `segments: [MSH, PID]` are their names in order, `text` is all of it.
Tests of routes may also expect `matches:`, `order_key:` and `problems:`, what its profile finds (`HL7-111 at PID^1^3`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from engine.config.finding import Finding
from engine.config.position import read_document
from engine.config.route import Route
from engine.config.site import Site
from engine.config.source import TEST_SUFFIX
from engine.config.validation import validated
from engine.core.errors import EngineError, PeerError
from engine.hl7.message import Message
from engine.mapping.copied import Copied
from engine.mapping.fhir_source import source_of
from engine.mapping.mapping import Mapping, Source
from engine.mapping.outgoing import Outgoing
from engine.mapping.place import Document, Flaw
from engine.records.explicit import NULL

TEST_CONTROL_ID = "TEST"
TEST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""MSH-10 and MSH-7 of messages that tests make."""

_OF_ROUTES = frozenset({"matches", "order_key", "problems"})
"""What a test expects of a route rather than of its result."""

FAILED = "CFG-120"
"""A test beside a route or mapping does not hold."""


class _Given(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    text: str | None = None
    event: dict[str, Any] | None = None
    resource: dict[str, Any] | None = None


class _Case(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    given: str | _Given
    expect: dict[str, Any] | Annotated[tuple[dict[str, Any], ...], Field(strict=False)]


class _Cases(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    tests: Annotated[tuple[_Case, ...], Field(strict=False)]


class _Differs(Exception):
    """A test does not hold; the text says how."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the tests of a site came to."""

    ran: int
    findings: tuple[Finding, ...]


def run_tests(site: Site) -> Report:
    """Run every test of a site. Findings carry CFG-120 for a test that does not hold."""
    assert site.files is not None
    ran = 0
    flaws: list[Flaw] = []
    for name, path in site.files.tests.items():
        document, unreadable = read_document(path.read_text(encoding="utf-8-sig"), name)
        flaws += unreadable
        if document is None:
            continue
        cases, wrong = _cases(document)
        flaws += wrong
        stem = name.removesuffix(TEST_SUFFIX)
        for index, case in enumerate(cases):
            ran += 1
            try:
                _Run(site, stem, case).check()
            except _Differs as cause:
                place = document.place((index, "expect"))
                flaws.append(Flaw(place, FAILED, f"test '{case.name}' failed: {cause}"))
    return Report(ran, tuple(sorted({Finding.of(flaw) for flaw in flaws})))


def _cases(document: Document) -> tuple[tuple[_Case, ...], list[Flaw]]:
    """Return the tests of a file; its list is checked as if it stood under a key."""
    wrapped = Document(
        document.file,
        {"tests": document.tree},
        {("tests", *path): place for path, place in document.values.items()},
        {("tests", *path): place for path, place in document.keys.items()},
    )
    cases, flaws = validated(_Cases, wrapped)
    return (() if cases is None else cases.tests), flaws


@dataclass(slots=True)
class _Run:
    """One test of the route or mapping whose file name without suffix is `stem`."""

    site: Site
    stem: str
    case: _Case

    def check(self) -> None:
        kind, _, name = self.stem.rpartition("/")
        expect = self.case.expect
        wanted = expect[0] if isinstance(expect, tuple) and len(expect) == 1 else expect
        try:
            source = self._source()
            made = self._run_route(source) if kind == "routes" else self._run_mapping(source, name)
        except EngineError as error:
            _check_error(error, wanted)
            return
        if isinstance(wanted, dict) and "error" in wanted:
            raise _Differs(f"error {wanted['error']} was expected, {len(made)} results came")
        all_wanted = expect if isinstance(expect, tuple) else (expect,)
        if len(made) != len(all_wanted):
            raise _Differs(f"{len(all_wanted)} results were expected, {len(made)} came")
        for fact, one in zip(made, all_wanted, strict=True):
            _check_fact(fact, {key: said for key, said in one.items() if key not in _OF_ROUTES})

    def _run_mapping(self, source: Source, name: str) -> list[Any]:
        mapping: Mapping = self.site.mapping(name)
        return [result.fact for result in mapping.run(source, self.site.context())]

    def _run_route(self, source: Source) -> list[Any]:
        route = self._route()
        context = self.site.context()
        matches = route.matches(source, context)
        expect = self.case.expect if isinstance(self.case.expect, dict) else {}
        wanted = expect.get("matches", True)
        if matches is not wanted:
            raise _Differs(f"matches: {str(wanted).lower()} was expected")
        if not matches:
            return [None]
        if "order_key" in expect:
            key = route.destinations[0].order_key(source, context) if route.destinations else ""
            _check_value("order_key", key, expect["order_key"])
        if "problems" in expect:
            found = route.profile.check(source) if route.profile is not None and isinstance(source, Message) else ()
            _check_value("problems", [f"{each.code} at {each.where}" for each in found], expect["problems"])
        if route.mapping is None:
            return [None]
        return [result.fact for result in route.mapping.run(source, context)]

    def _route(self) -> Route:
        file = f"{self.stem}.yaml"
        route = next((route for route in self.site.all_routes if route.file == file), None)
        if route is None:
            raise _Differs(f"'{file}' does not exist")
        return route

    def _source(self) -> Source:
        given = self.case.given
        if isinstance(given, str):
            if "\n" not in given and not given.startswith("MSH"):
                return self._from_file(given)
            given = _Given(text=given)
        if given.text is not None:
            return Message.parse("\r".join(line.strip() for line in given.text.splitlines()).encode())
        found = given.event if given.event is not None else given.resource
        if found is None:
            raise _Differs("given must be a file, text, event or resource")
        return source_of(found)

    def _from_file(self, name: str) -> Source:
        assert self.site.files is not None
        path = self.site.files.sample(name)
        if path is None:
            raise _Differs(f"'{name}' does not exist in the site")
        return read_source(path.read_bytes(), name)


def read_source(content: bytes, name: str) -> Source:
    """Return what a file holds: plain data when it is called .json, else an HL7 message.

    Raises:
        PeerError: HL7-101, HL7-102, FHIR-101.
    """
    if not name.endswith(".json"):
        return Message.parse(content)
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as cause:
        raise PeerError("the file is not JSON", code="FHIR-101") from cause
    if not isinstance(found, dict):
        raise PeerError("the file is not a JSON object", code="FHIR-101")
    return source_of(found)


def _check_error(error: EngineError, wanted: object) -> None:
    if not isinstance(wanted, dict) or "error" not in wanted:
        raise _Differs(f"no error was expected, but {error}")
    if error.code != wanted["error"]:
        raise _Differs(f"error {wanted['error']} was expected, but {error}")
    for name in ("where", "text"):
        if name in wanted and getattr(error, name) != wanted[name]:
            raise _Differs(f"{name} '{wanted[name]}' was expected, but {error}")


def _check_fact(fact: Any, expect: dict[str, Any]) -> None:
    if isinstance(fact, Outgoing | Copied):
        _check_message(fact, expect)
        return
    for key, wanted in expect.items():
        if key == "absent":
            for name in wanted:
                if _read(fact, name) not in (None, "", ()):
                    raise _Differs(f"{name}: nothing was expected")
        else:
            _check_value(key, _read(fact, key), wanted)


def _check_message(made: Outgoing | Copied, expect: dict[str, Any]) -> None:
    content = made.render(control_id=TEST_CONTROL_ID, now=TEST_TIME)
    message = Message.parse(content)
    for key, wanted in expect.items():
        if key == "segments":
            _check_value(key, [segment.name for segment in message.segments], wanted)
        elif key == "text":
            _check_value(key, message.text.replace("\r", "\n").strip(), str(wanted).strip())
        elif key == "absent":
            for name in wanted:
                if message.get(name):
                    raise _Differs(f"{name}: nothing was expected")
        else:
            _check_value(key, message.get(key), wanted)


def _check_value(name: str, value: Any, wanted: Any) -> None:
    if wanted is None:
        equal = value is NULL
    elif isinstance(wanted, list):
        equal = list(value or ()) == wanted
    elif isinstance(wanted, bool):
        equal = value is wanted or value == str(wanted).lower()
    else:
        equal = value is not None and value is not NULL and str(value) == str(wanted)
    if not equal:
        raise _Differs(f"{name}: {_shown(NULL if wanted is None else wanted)} was expected, {_shown(value)} came")


def _shown(value: Any) -> str:
    if value is NULL:
        return "an explicit null"
    return "nothing" if value is None else repr(value)


def _read(fact: Any, key: str) -> Any:
    """Return the value at a key such as `patient.identifiers[0].value`, `steps.length`; None when there is none."""
    here = fact
    for part in _parts(key):
        if here is None or here is NULL:
            return None
        if part == "length":
            here = len(here)
        elif isinstance(part, int):
            here = here[part] if part < len(here) else None
        elif isinstance(here, dict):
            here = here.get(part)
        elif is_dataclass(here) and hasattr(here, part):
            here = getattr(here, part)
        else:
            raise _Differs(f"{key}: there is no such field")
    return here


def _parts(key: str) -> Iterable[str | int]:
    for part in key.split("."):
        name, _, index = part.rstrip("]").partition("[")
        yield name
        if index:
            yield int(index)
