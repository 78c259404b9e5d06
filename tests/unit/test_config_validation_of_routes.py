"""`validate:`, `profile:` and what a receiver's version lacks, as `isthmus check` says it, with places."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.check import run_tests
from engine.config.site import SiteRejected, load_site

ROUTE = "route: r\nfrom: {mllp: his}\nwhen: MSH-9.1 == 'ORM'\nmap: order-from-hl7\napply: order\n"
PROFILE = "profile: p\nrules:\n  PID-3.1: {required: true, max_length: 16}\n  OBR-24: {table: modalities}\n"


def findings(folder: Path, route: str = "", profile: str = PROFILE, settings: str = "") -> list[str]:
    (folder / "routes").mkdir(exist_ok=True)
    (folder / "routes" / "r.yaml").write_text(ROUTE + route)
    (folder / "routes" / "p.profile.yaml").write_text(profile)
    (folder / "isthmus.yaml").write_text(settings)
    try:
        found = load_site(folder, environ={}).findings
    except SiteRejected as rejected:
        found = rejected.findings
    return [str(each) for each in found if each.file.startswith("routes/")]


def test_a_profile_is_compiled_and_counts_for_the_revision(tmp_path: Path) -> None:
    assert findings(tmp_path, "validate: strict\nprofile: p.profile.yaml\n") == []
    first = load_site(tmp_path, environ={})
    route = next(each for each in first.routes if each.name == "r")
    assert (route.validate, route.profile and len(route.profile.demands)) == ("strict", 2)

    findings(tmp_path, "validate: strict\nprofile: p.profile.yaml\n", PROFILE.replace("16", "17"))

    assert load_site(tmp_path, environ={}).revision != first.revision


@pytest.mark.parametrize(
    ("route", "profile", "finding"),
    [
        (
            "validate: loud\n",
            PROFILE,
            "routes/r.yaml:6:11: error CFG-106: 'validate' must be one of 'off', 'warn' or 'strict'",
        ),
        (
            "validate: warn\nprofile: q.profile.yaml\n",
            PROFILE,
            "routes/r.yaml:7:10: error CFG-112: 'q.profile.yaml' does not exist under routes/",
        ),
        (
            "profile: p.profile.yaml\n",
            PROFILE,
            "routes/r.yaml:6:10: error CFG-106: 'profile' must stand beside validate: warn or validate: strict",
        ),
        (
            "",
            "profile: p\nrules:\n  PID: {requi: true}\n",
            "routes/p.profile.yaml:3:9: error CFG-104: unknown key 'requi' under 'rules.PID'; did you mean 'required'?",
        ),
        (
            "",
            "profile: p\nrules:\n  PID.3: {required: true}\n",
            "routes/p.profile.yaml:3:3: error MAP-102: 'PID.3' is not a HL7 segment or field of a profile",
        ),
        (
            "",
            "profile: p\nrules:\n  OBX[2]-5: {required: true}\n",
            "routes/p.profile.yaml:3:3: error MAP-102: 'OBX[2]-5' is not a HL7 segment or field of a profile",
        ),
        (
            "",
            "profile: p\nrules:\n  PID-8: {table: gone}\n",
            "routes/p.profile.yaml:3:18: error CFG-112: 'tables/gone.csv' does not exist under mappings/",
        ),
        (
            "",
            "profile: p\nrules:\n  PID: {max_length: 3}\n",
            "routes/p.profile.yaml:3:8: error CFG-106: 'rules.PID' must be a rule of a field to have lengths or values",
        ),
        (
            "",
            "profile: p\nrules:\n  PID: {min: 2, max: 1}\n",
            "routes/p.profile.yaml:3:8: error CFG-106: 'rules.PID' must be a rule whose max is not below its min",
        ),
        ("", "profile: p\n", "routes/p.profile.yaml:1:1: error CFG-105: 'rules' is required"),
    ],
)
def test_flaws_stand_at_their_place(tmp_path: Path, route: str, profile: str, finding: str) -> None:
    assert findings(tmp_path, route, profile) == [finding]


def test_only_messages_are_validated(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / "e.yaml").write_text(
        "route: e\nfrom: {event: study.completed}\nvalidate: warn\nmap: omg-o19-from-study\nto: [{mllp: ris}]\n"
    )

    assert findings(tmp_path) == ["routes/e.yaml:3:11: error CFG-106: 'validate' must be left out unless from is mllp"]


def test_a_version_that_lacks_what_a_mapping_sends_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / "study-complete-to-ris.yaml").write_text(
        "route: study-complete-to-ris\nfrom: {event: study.completed}\nmap: omg-o19-from-study\nto:\n  - mllp: ris\n"
    )

    told = findings(tmp_path, settings="destinations: {mllp: {ris: {version: '2.3.1'}}}\n")

    place = "routes/study-complete-to-ris.yaml:5:11: warning MAP-106"
    ours = [each for each in told if "study-complete-to-ris.yaml" in each]
    assert ours == [
        f"{place}: OMG^O19, which the mapping sends, is not in HL7 2.3.1",
        f"{place}: TQ1, which the mapping sends, is not in HL7 2.3.1",
    ]


def test_tests_beside_a_route_may_expect_what_its_profile_finds(tmp_path: Path) -> None:
    findings(tmp_path, "validate: strict\nprofile: p.profile.yaml\n", PROFILE.replace("16", "2"))
    (tmp_path / "routes" / "r.test.yaml").write_text(
        "- name: a long number\n  given: samples/hl7/orm-o01.hl7\n"
        "  expect: {problems: [HL7-114 at PID^1^3^1^1]}\n"
        "- name: not so\n  given: samples/hl7/orm-o01.hl7\n  expect: {problems: []}\n"
    )

    report = run_tests(load_site(tmp_path, environ={}))

    assert [str(each) for each in report.findings if each.file == "routes/r.test.yaml"] == [
        (
            "routes/r.test.yaml:6:11: error CFG-120: test 'not so' failed: problems: [] was expected,"
            " ['HL7-114 at PID^1^3^1^1'] came"
        )
    ]
