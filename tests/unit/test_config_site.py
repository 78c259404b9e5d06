"""Loading a site: what it says, what it refuses word for word, how it lies over the shipped one."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from engine.config.check import run_tests
from engine.config.finding import as_json
from engine.config.site import Site, SiteRejected, load_site
from engine.config.source import shipped_folder
from engine.core.errors import ConfigError, PeerError
from engine.hl7.message import Message
from engine.records.fact import OrderFact

REPOSITORY = Path(__file__).resolve().parents[2]


def written(folder: Path, **files: str) -> Path:
    """Write files of a site: `routes__a` is routes/a.yaml, `tables__a` is mappings/tables/a.csv."""
    for name, text in files.items():
        kind, _, stem = name.replace("_yaml", "").partition("__")
        if not stem:
            path = folder / f"{kind}.yaml"
        elif kind == "tables":
            path = folder / "mappings" / "tables" / f"{stem}.csv"
        else:
            path = folder / kind / f"{stem.replace('_', '-')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def rejected(folder: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SiteRejected) as raised:
        load_site(folder, environ=environ or {})
    return [str(finding) for finding in raised.value.findings]


@pytest.fixture(scope="module")
def shipped() -> Site:
    return load_site(environ={})


def test_the_shipped_site_has_no_finding_and_its_tests_hold(shipped: Site) -> None:
    report = run_tests(shipped)

    assert shipped.findings == ()
    assert report.findings == ()
    assert report.ran > 40


def test_every_sample_is_used_by_a_test_of_the_shipped_site() -> None:
    tests = [
        path.read_text() for folder in ("routes", "mappings") for path in (REPOSITORY / folder).glob("*.test.yaml")
    ]
    samples = [path for path in (REPOSITORY / "samples").glob("*/*.*") if path.parent.name in ("hl7", "fhir", "event")]

    unused = [path.name for path in samples if not any(f"samples/{path.parent.name}/{path.name}" in t for t in tests)]

    assert samples
    assert unused == []


def test_the_default_settings(shipped: Site) -> None:
    settings = shipped.settings

    assert settings.listeners.mllp["his"].port == 2575
    assert settings.listeners.dicom["archive"].ae_title == "ISTHMUS"
    assert settings.listeners.http.port == 8080
    assert {one.host for one in settings.listeners.mllp.values()} == {"127.0.0.1"}
    assert settings.destinations.mllp["ris"].ack_timeout_s == 30.0
    assert settings.stations.for_modality("CT") == ("CT1",)
    assert settings.stations.for_modality("??") == ()
    assert settings.quiet.of("ANY") == 60.0
    assert settings.limits.pdu_bytes == 256 * 1024


def test_routes_are_found_by_what_they_take(shipped: Site) -> None:
    types = {route.name: route.types for route in shipped.message_routes("mllp", "his")}
    assert types["orders-from-his"] == {"ORM", "OMI", "OMG"}
    assert types["patients-from-his"] == {"ADT"}
    assert types["reports-from-ris"] == {"ORU"}
    assert types["documents-from-ris"] == {"MDM"}
    assert [route.name for route in shipped.message_routes("fhir", "ServiceRequest")] == ["orders-from-fhir"]
    assert [route.name for route in shipped.event_routes("study.completed")] == ["study-complete-to-ris"]
    assert shipped.event_routes("study.unheard") == ()


def test_the_retry_policy_of_the_shipped_notice(shipped: Site) -> None:
    (destination,) = shipped.event_routes("study.completed")[0].destinations

    assert (destination.retry.first_s, destination.retry.max_s, destination.retry.give_up_after_s) == (1, 300, 259200)
    assert [destination.retry.wait_s(attempt) for attempt in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]
    assert destination.order_key({"patient": {"key": "12"}}, shipped.context()) == "12"
    assert destination.order_key({}, shipped.context()) == ""


def test_the_procedure_code_map_prefers_the_most_specific_row(tmp_path: Path) -> None:
    rows = "sender,system,code,description,modality,station_group\n"
    rows += ",,X1,any,CT,\n,L,X1,of system,MR,\nHIS/HOSP,,X1,of sender,US,\nHIS/HOSP,L,X1,of both,CR,CT\n"
    code_map = load_site(written(tmp_path, tables__procedures=rows), environ={}).code_map

    assert [
        row.description if (row := code_map.find(code, system=system, sender=sender)) else None
        for code, system, sender in [
            ("x1", "", ""),
            ("X1", "L", ""),
            ("X1", "L", "HIS/HOSP"),
            ("X1", "OTHER", "HIS/HOSP"),
            ("X1", "OTHER", "RIS/HOSP"),
            ("X2", "", ""),
        ]
    ] == ["any", "of system", "of both", "of sender", "any", None]


def test_a_mapping_that_is_not_there(shipped: Site) -> None:
    with pytest.raises(ConfigError, match=r"CFG-112: 'gone.yaml' does not exist under mappings/"):
        shipped.mapping("gone")


# overlay


def test_a_file_of_the_site_replaces_the_shipped_one_of_the_same_name(tmp_path: Path, shipped: Site) -> None:
    own = (REPOSITORY / "mappings" / "order-from-hl7.yaml").read_text().replace("OBR-20\n", "OBR-21\n")
    folder = written(tmp_path, mappings__order_from_hl7=own)

    site = load_site(folder, environ={})

    assert site.revision != shipped.revision
    assert [route.name for route in site.routes] == [route.name for route in shipped.routes]
    sample = Message.parse((REPOSITORY / "samples" / "hl7" / "orm-o01-zds.hl7").read_bytes())
    fact = site.mapping("order-from-hl7").run(sample, site.context())[0].fact
    assert isinstance(fact, OrderFact)
    assert fact.sps_id == ""
    # the shipped tests of that file are no longer asked; those of the route that uses it are
    assert site.files is not None
    assert "mappings/order-from-hl7.test.yaml" not in site.files.tests
    assert "routes/orders-from-his.test.yaml" in site.files.tests


def test_a_shipped_route_is_switched_off_by_name(tmp_path: Path) -> None:
    on = (REPOSITORY / "routes" / "study-complete-to-ris-orm.yaml").read_text().replace("false", "true", 1)
    on = on.replace("enabled: false", "enabled: true")
    off = (REPOSITORY / "routes" / "study-complete-to-ris.yaml").read_text() + "enabled: false\n"
    folder = written(tmp_path, routes__study_complete_to_ris=off, routes__study_complete_to_ris_orm=on)

    site = load_site(folder, environ={})

    assert [route.name for route in site.event_routes("study.completed")] == ["study-complete-to-ris-orm"]


def test_the_revision_is_of_the_content(tmp_path: Path, shipped: Site) -> None:
    assert load_site(tmp_path, environ={}).revision == shipped.revision
    written(tmp_path, isthmus_yaml="site: {name: OTHER}")
    first = load_site(tmp_path, environ={})

    assert first.revision != shipped.revision
    assert load_site(tmp_path, environ={"ISTHMUS_HTTP_PORT": "0"}).revision == first.revision
    assert first.context().constants["site.name"] == "OTHER"


def test_settings_in_their_own_units(tmp_path: Path) -> None:
    text = """
site: {name: TESTVILLE, timezone: Europe/Berlin, default_issuer: HOSP}
listeners:
  mllp: {his: {port: 0, default_charset: 8859/1, end_block: lenient}}
  dicom: {archive: {port: 0, allowed_calling: [CT1, MR1], strict_ae: true}}
destinations: {mllp: {ris: {host: ris.test, port: 2600, ack_timeout: 500ms}}}
issuers: [{key: HOSP, namespaces: [HIS, ADT1], oid: 1.2.3}]
stations: {groups: {CT: [CT1, CT2], ER: [XR9]}, modality_default: {CR: ER}}
quiet: {default: 2m, sources: {US1: 5m}, modalities: {CT: 90s, US: 300}}
limits: {pdu_bytes: 64KiB, shutdown_s: 5s, associations: 3}
data: /somewhere
"""
    site = load_site(written(tmp_path, isthmus_yaml=text), environ={})
    settings = site.settings

    assert site.issuers.key("adt1") == "HOSP"
    assert settings.destinations.mllp["ris"].ack_timeout_s == 0.5
    assert settings.stations.for_modality("CR") == ("XR9",)
    assert settings.stations.for_modality("CT") == ("CT1", "CT2")
    assert settings.quiet.of("US1", ("CT",)) == 300.0
    assert settings.quiet.of("ANY", ("CT", "US")) == 300.0
    assert settings.quiet.of("ANY", ("MR",)) == 120.0
    assert (settings.limits.pdu_bytes, settings.limits.shutdown_s, settings.limits.associations) == (65536, 5.0, 3)
    assert settings.listeners.dicom["archive"].allowed_calling == ("CT1", "MR1")
    assert site.context("OTHER").default_issuer == "OTHER"
    assert site.context(None).default_issuer == "HOSP"
    assert site.context().timezone == "Europe/Berlin"


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    folder = written(tmp_path, isthmus_yaml="listeners: {mllp: {other: {port: 1}, his: {port: 2}}}")
    environ = {
        "ISTHMUS_SITE": str(folder),
        "ISTHMUS_DATA": "/elsewhere",
        "ISTHMUS_HTTP_PORT": "0",
        "ISTHMUS_MLLP_PORT": "3",
        "ISTHMUS_DICOM_PORT": "4",
        "ISTHMUS_RIS_HOST": "ris.test",
        "ISTHMUS_RIS_PORT": "5",
        "ISTHMUS_QUIET_S": "0.5",
    }

    settings = load_site(environ=environ).settings

    assert settings.data == "/elsewhere"
    assert settings.listeners.http.port == 0
    assert {name: one.port for name, one in settings.listeners.mllp.items()} == {"other": 3, "his": 2}
    assert settings.listeners.dicom["archive"].port == 4
    assert (settings.destinations.mllp["ris"].host, settings.destinations.mllp["ris"].port) == ("ris.test", 5)
    assert settings.quiet.default_s == 0.5


# refusals


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("lisseners: {}", "1:1: error CFG-104: unknown key 'lisseners'; did you mean 'listeners'?"),
        (
            "listeners: {mllp: {his: {prt: 1}}}",
            "1:26: error CFG-104: unknown key 'prt' under 'listeners.mllp.his'; did you mean 'port'?",
        ),
        ("issuers: [{namespaces: [A]}]", "1:11: error CFG-105: 'issuers[0].key' is required"),
        ("quiet: {default: soon}", "1:18: error CFG-106: 'quiet.default' must be a duration, for example 30s"),
        (
            "quiet: {sources: {CT1: 5 parsecs}}",
            "1:24: error CFG-106: 'quiet.sources.CT1' must be a duration, for example 30s",
        ),
        ("site: {name: 7}", "1:14: error CFG-106: 'site.name' must be text"),
        ("site: []", "1:7: error CFG-106: 'site' must be a section with keys"),
        ("issuers: {}", "1:10: error CFG-106: 'issuers' must be a list"),
        (
            "site: {timezone: Mars/Base}",
            "1:18: error CFG-106: 'site.timezone' must be a time zone name, for example Europe/Berlin",
        ),
        ("listeners: {http: {port: many}}", "1:26: error CFG-106: 'listeners.http.port' must be a whole number"),
        ("listeners: {http: {port: 70000}}", "1:26: error CFG-107: 'listeners.http.port' must be between 0 and 65535"),
        (
            "destinations: {mllp: {ris: {port: 0}}}",
            "1:35: error CFG-107: 'destinations.mllp.ris.port' must be between 1 and 65535",
        ),
        (
            "listeners: {dicom: {archive: {ae_title: ABCDEFGHIJKLMNOPQ}}}",
            "1:41: error CFG-106: 'listeners.dicom.archive.ae_title' must be at most 16 long",
        ),
        (
            "limits: {pdu_bites: 1}",
            "1:10: error CFG-104: unknown key 'pdu_bites' under 'limits'; did you mean 'pdu_bytes'?",
        ),
        ("limits: {pdu_bytes: large}", "1:21: error CFG-106: 'limits.pdu_bytes' must be a whole number"),
        ("stations: {groups: {CT: []}}", "1:25: error CFG-106: 'stations.groups.CT' must be at least 1 long"),
        (
            "listeners: {http: {port: 2575}}",
            "1:26: error CFG-111: port 2575 is also used by listener 'mllp.his'",
        ),
        ("a: [", "1:5: error CFG-101: not valid YAML: expected the node content, but found '<stream end>'"),
        ("7", "1:1: error CFG-106: the file must be a section with keys"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, text: str, finding: str) -> None:
    assert rejected(written(tmp_path, isthmus_yaml=text)) == [f"isthmus.yaml:{finding}"]


ROUTE = "route: r\nfrom: {mllp: his}\nmap: order-from-hl7\napply: order\n"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (ROUTE + "retries: 3", "5:1: error CFG-104: unknown key 'retries'; did you mean 'route'?"),
        (ROUTE.replace("his", "hiss"), "2:14: error CFG-105: 'listeners.mllp.hiss' is required"),
        (ROUTE.replace("order-from-hl7", "gone"), "3:6: error CFG-112: 'gone.yaml' does not exist under mappings/"),
        (
            ROUTE.replace("apply: order", "apply: patient"),
            "3:6: error CFG-106: 'map' must be a mapping from hl7v2 to patient; 'order-from-hl7' is from hl7v2 to order",  # noqa: E501
        ),
        (
            ROUTE.replace("apply: order", ""),
            "1:8: error CFG-106: the route must be either one with apply or one with to",
        ),
        (ROUTE.replace("map: order-from-hl7\n", ""), "1:1: error CFG-105: 'map' is required"),
        (
            ROUTE.replace("{mllp: his}", "{mllp: his, event: e}"),
            "2:7: error CFG-106: 'from' must be one of mllp, fhir and event",
        ),
        (ROUTE + "when: MSH_9", "5:7: error MAP-102: 'MSH_9' is not a HL7 field of hl7v2"),
        (
            "route: r\nfrom: {event: study.completed}\nmap: omg-o19-from-study\nto: [{mllp: ris, retry: {frist: 1s}}]",
            "4:26: error CFG-104: unknown key 'frist' under 'to[0].retry'; did you mean 'first'?",
        ),
        (
            "route: r\nfrom: {event: study.completed}\nmap: omg-o19-from-study\nto: [{mllp: rist}]",
            "4:13: error CFG-105: 'destinations.mllp.rist' is required",
        ),
        (
            "route: r\nfrom: {event: study.completed}\nmap: omg-o19-from-study\nto: [{mllp: ris, order_by: patient.kee}]",  # noqa: E501
            "4:28: error MAP-102: 'patient.kee' is not a field of event",
        ),
        (
            ROUTE.replace("route: r", "route: orders-from-his"),
            "1:8: error CFG-110: route name 'orders-from-his' is also used in routes/orders-from-his.yaml:1",
        ),
    ],
)
def test_routes_that_are_refused(tmp_path: Path, text: str, finding: str) -> None:
    assert rejected(written(tmp_path, routes__own=text)) == [f"routes/own.yaml:{finding}"]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("a,b\n", "1:1: error CFG-106: the first row must be from,to"),
        ("from,to\na,b\nA ,c\n", "3:1: error CFG-102: duplicate key 'A ', first at line 2"),
        ("from,to\na\n", "2:1: error CFG-106: the row must be 2 columns"),
        ('from,to\n"a,b\n', "2:1: error CFG-106: the row must be CSV: unexpected end of data"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, finding: str) -> None:
    assert rejected(written(tmp_path, tables__own=text)) == [f"mappings/tables/own.csv:{finding}"]


def test_a_table_that_is_not_utf_8(tmp_path: Path) -> None:
    written(tmp_path, tables__own="from,to\n")
    (tmp_path / "mappings" / "tables" / "own.csv").write_bytes(b"from,to\n\xe4,a\n")

    assert rejected(tmp_path) == [
        "mappings/tables/own.csv:1:1: error CFG-106: the file must be UTF-8; byte 8 is not",
    ]


def test_a_route_may_send_on_what_came_in(tmp_path: Path) -> None:
    text = "route: forward\nfrom: {mllp: his}\nwhen: MSH-9.1 == 'ORU' or MSH-9.1 == 'MDM'\nto: [{mllp: ris}]\n"

    routes = load_site(written(tmp_path, routes__forward=text), environ={}).message_routes("mllp", "his")
    route = next(route for route in routes if route.name == "forward")

    assert (route.name, route.mapping, route.types) == ("forward", None, {"ORU", "MDM"})
    assert route.destinations[0].retry.give_up_after_s is None


def test_a_condition_that_cannot_be_read_refuses_the_message(tmp_path: Path) -> None:
    text = ROUTE + "when: PID-7 | date\n"
    site = load_site(written(tmp_path, routes__own=text), environ={})
    route = next(one for one in site.routes if one.name == "r")
    message = Message.parse(b"MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.5\rPID|1||||||never\r")

    with pytest.raises(PeerError, match=r"MAP-203: rule 0: PID-7 is not a valid date at PID\^1\^7"):
        route.matches(message, site.context())


def test_a_code_map_names_station_groups_that_exist(tmp_path: Path) -> None:
    text = "sender,system,code,description,modality,station_group\n,,X,x,CT,NOWHERE\n,,,y,CT,\n,,X,z,CT,\n"

    assert rejected(written(tmp_path, tables__procedures=text)) == [
        "mappings/tables/procedures.csv:2:1: error CFG-106: 'station_group' must be a name under stations.groups",
        "mappings/tables/procedures.csv:3:1: error CFG-105: 'code' is required",
        "mappings/tables/procedures.csv:4:1: error CFG-102: duplicate key 'X', first at line 2",
    ]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("ISTHMUS_HTTP_PORT", "many", "CFG-107: 'ISTHMUS_HTTP_PORT' must be between 0 and 65535"),
        ("ISTHMUS_RIS_PORT", "0", "CFG-107: 'ISTHMUS_RIS_PORT' must be between 1 and 65535"),
        ("ISTHMUS_QUIET_S", "soon", "CFG-106: 'ISTHMUS_QUIET_S' must be a duration, for example 30s"),
    ],
)
def test_environment_that_is_refused(tmp_path: Path, name: str, value: str, text: str) -> None:
    assert rejected(tmp_path, {name: value}) == [f"environment:1:1: error {text}"]


def test_everything_is_found_at_once_and_nothing_is_loaded(tmp_path: Path) -> None:
    folder = written(
        tmp_path, isthmus_yaml="site: {nam: X}", routes__own=ROUTE + "wen: x", mappings__own="to: order\nset: {a: b}"
    )

    with pytest.raises(SiteRejected) as raised:
        load_site(folder, environ={})

    assert [finding.file for finding in raised.value.findings] == [
        "isthmus.yaml",
        "mappings/own.yaml",
        "routes/own.yaml",
    ]
    assert raised.value.code == "CFG-104"
    assert orjson.loads(as_json(raised.value.findings))[0] == {
        "file": "isthmus.yaml",
        "line": 1,
        "column": 8,
        "severity": "error",
        "code": "CFG-104",
        "text": "unknown key 'nam' under 'site'; did you mean 'name'?",
    }


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    assert rejected(gone) == [f"{gone}:1:1: error CFG-112: '{gone}' does not exist or is no folder"]


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "isthmus.yaml").write_bytes(b"site: {name: T\xe4ST}")

    assert rejected(tmp_path) == ["isthmus.yaml:1:1: error CFG-101: not valid YAML: byte 14 is not UTF-8"]


def test_the_shipped_site_of_a_checkout_is_the_checkout() -> None:
    assert shipped_folder() == REPOSITORY
