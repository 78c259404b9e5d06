"""The pages over real sockets on a real database: what they show, how they refuse, what guards them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import event
from structlog.testing import capture_logs

from engine.core.ids import RowId
from engine.desk.status import Check
from engine.records.state import DeliveryState, MessageState

from .conftest import Client, Hospital

PAGES = [
    "/",
    "/orders",
    "/orders/A1",
    "/orders/B2",
    "/studies",
    "/studies?linked=false",
    "/studies/1.2.3.777",
    "/holds",
    "/holds?state=",
    "/messages",
    "/messages/1",
    "/notices",
    "/search?q=nobody",
    "/nowhere",
    "/orders?state=LOST",
]
HARMLESS = ("SCAN (", "SCAN anon_", "SCAN CONSTANT ROW")
"""Steps of a query plan that read no table."""


class Outline(HTMLParser):
    """What the tests look at in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.mismatches: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input", "path", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.mismatches.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += " " + " ".join(data.split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def page(client: Client, path: str, status: int = 200) -> Outline:
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        assert answer.content_type == "text/html"
        return Outline(await answer.text())


@pytest.fixture
async def busy(hospital: Hospital, morning: RowId) -> RowId:
    """A morning with everything that can go wrong."""
    held = await hospital.order(
        "B2", control_id="M2", number="4712", name="TEST^BETA", birth_date="19710305", study_uid="1.2.3.2"
    )
    await hospital.image(1, study_uid="1.2.3.2", accession_number="B2")
    await hospital.notice(held, DeliveryState.RETRY, "", "no connection")
    await hospital.notice(held, DeliveryState.DEAD, "AE", "unknown order")
    await hospital.image(1, study_uid="1.2.3.777", accession_number="", patient_id="99", patient_name="TEST^GAMMA")
    await hospital.message(None, control_id="BAD", state=MessageState.REFUSED, code="HL7-103", text="MSH-9 is required")
    return held


async def test_the_home_page_shows_who_listens_and_what_waits(hospital: Hospital, client: Client, busy: RowId) -> None:
    hospital.clock.pass_(minutes=5)

    home = await page(client, "/")

    assert "Ready." in home.words
    for shown in (
        "his",
        "MLLP",
        "127.0.0.1:2575",
        "AE ISTHMUS",
        "ris",
        "mllp://127.0.0.1:2576",
        "5 min",
        "scheduled 1",
    ):
        assert shown in home.words
    assert "1 red · 0 amber" in home.words


async def test_the_home_page_says_why_the_engine_is_not_ready(hospital: Hospital, client: Client) -> None:
    hospital.status.ready = [Check(name="disk", is_ok=False, detail="STO-101"), Check(name="database", is_ok=True)]

    home = await page(client, "/")

    assert "Not ready." in home.words
    assert "disk: STO-101" in home.words


async def test_an_order_tells_its_story_in_order(client: Client, morning: RowId) -> None:
    order = await page(client, "/orders/A1")

    told = [
        "Order placed",
        "ORM^O01 from HIS/RAD",
        "Worklist shown to CT1",
        "First images arrived",
        "Images linked to this order",
        "because the Study Instance UID is the one ordered",
        "Study complete",
        "1 series, 2 images",
        "RIS told: study complete",
        "answered AA",
    ]
    story = order.words.partition("What happened")[2]
    places = [story.find(each) for each in told]
    assert -1 not in places
    assert places == sorted(places)
    assert "TEST, ALPHA" in order.words
    assert "2026-03-02 09:00:00" in order.words  # Berlin
    links = {attributes.get("href") for attributes in order.named("a")}
    assert any(link and link.startswith("/messages/") for link in links)
    assert any(link and link.startswith("/notices/") for link in links)


async def test_a_held_order_shows_both_sides_and_what_to_do(client: Client, busy: RowId) -> None:
    order = await page(client, "/orders/B2")

    assert "What to do:" in order.words
    assert "The images say" in order.words
    assert order.words.count("differs") == 3  # name, patient ID, birth date
    assert "given up after 1 attempt" in order.words
    assert "waiting · 1 attempt · last answer no connection" in order.words


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_whole_and_can_be_walked(client: Client, busy: RowId, path: str) -> None:
    async with client.get(path) as answer:
        outline = Outline(await answer.text())

    assert answer.status in (200, 400, 404)
    assert outline.mismatches == []
    assert outline.open == []
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        assert outline.named(landmark), landmark
    assert outline.named("html")[0]["lang"] == "en"
    assert [attributes["name"] for attributes in outline.named("input") if attributes.get("id") == "q"] == ["q"]
    assert all(attributes.get("scope") for attributes in outline.named("th"))
    assert outline.named("script") == []
    assert all("style" not in attributes for _, attributes in outline.tags)
    sources = [attributes.get("src") or "/" for _, attributes in outline.tags if "src" in attributes]
    sources += [attributes["href"] or "" for attributes in (*outline.named("link"), *outline.named("a"))]
    assert all(source.startswith(("/", "#")) for source in sources)


@pytest.mark.parametrize("path", [*PAGES, "/api/orders", "/api/orders/NONE", "/metrics", "/search?q=4711"])
async def test_every_answer_is_guarded(client: Client, busy: RowId, path: str) -> None:
    async with client.get(path, allow_redirects=False) as answer:
        headers = answer.headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


async def test_values_of_messages_are_escaped(hospital: Hospital, client: Client) -> None:
    await hospital.order("<b>A1</b>", name="TEST^<script>alert(1)</script>", study_uid="1.2.3.4")

    listed = await page(client, "/orders")
    order = await page(client, "/orders/%3Cb%3EA1%3C%2Fb%3E")

    for each in (listed, order):
        assert each.named("script") == []
        assert "<script>alert(1)</script>" in each.words


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A1", "/orders/A1"),
        (" A1 ", "/orders/A1"),
        ("4711", "/orders?patient_id=4711"),
        ("PA1", "/orders?number=PA1"),
        ("1.2.3.777", "/studies/1.2.3.777"),
        ("99", "/studies?patient_id=99"),
        ("BAD", "/messages?control_id=BAD"),
        ("", "/orders"),
    ],
)
async def test_search_leads_to_what_a_number_is(client: Client, busy: RowId, text: str, place: str) -> None:
    async with client.get("/search", params={"q": text}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, place)


async def test_an_accession_of_two_issuers_offers_both(hospital: Hospital, client: Client) -> None:
    await hospital.order("A1", placer_number="P1", filler_number="F1")
    await hospital.order(
        "A1", control_id="M2", accession_issuer="SOUTH", placer_number="P2", filler_number="F2", study_uid="1.2.3.9"
    )

    choice = await page(client, "/orders/A1", 409)

    offered = [attributes["href"] for attributes in choice.named("a")]
    assert {"/orders/A1?issuer=SOUTH", "/orders/A1?issuer="} <= set(offered)
    assert "PA1" not in choice.words
    assert "P1" in (await page(client, "/orders/A1?issuer=")).words
    assert "P2" in (await page(client, "/orders/A1?issuer=SOUTH")).words


async def test_lists_go_on_to_older_ones(hospital: Hospital, client: Client) -> None:
    for number in range(3):
        await hospital.order(f"A{number}", control_id=f"M{number}")

    newest = await page(client, "/orders?limit=2&state=SCHEDULED")
    (older,) = [attributes["href"] for attributes in newest.named("a") if attributes.get("rel") == "next"]
    last = await page(client, older or "")

    assert "A2" in newest.words
    assert "A0" not in newest.words
    assert "A0" in last.words
    assert "A2" not in last.words


async def test_a_step_that_lacks_something_says_what(hospital: Hospital, client: Client) -> None:
    order_id = await hospital.order("C3", modality="", code="ODD", scheduled_start="20260302")
    with hospital.engine.begin() as connection:
        connection.exec_driver_sql("update scheduled_step set start = 'soon' where sps_id = 'C3-1'")

    order = await page(client, "/orders/C3")

    assert order_id
    assert "lacks its modality" in order.words
    assert "soon" in order.words


async def test_health_and_metrics(hospital: Hospital, client: Client, busy: RowId) -> None:
    hospital.clock.pass_(seconds=90)
    async with client.get("/health/live") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "live"})
    async with client.get("/health/ready") as answer:
        assert answer.status == 200
        assert (await answer.json())["ready"] is True
    async with client.get("/metrics") as answer:
        figures = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if not line.startswith("#"))

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    wanted = {
        'isthmus_messages_total{state="applied"}': 4,
        'isthmus_instances_total{outcome="stored"}': 5,
        "isthmus_worklist_queries_total": 7,
        'isthmus_deliveries_total{destination="ris",outcome="delivered"}': 2,
        'isthmus_deliveries_total{destination="ris",outcome="failed"}': 1,
        'isthmus_outbox_waiting{destination="ris"}': 1,
        'isthmus_outbox_oldest_seconds{destination="ris"}': 90,
        'isthmus_outbox_dead{destination="ris"}': 1,
        "isthmus_writer_backlog": 0,
        "isthmus_writer_batches_total": 9,
        "isthmus_writer_units_total": 11,
        "isthmus_associations": 1,
        "isthmus_mllp_connections": 3,
        "isthmus_loop_lag_seconds": 0.0012,
        "isthmus_disk_free_bytes": 123_456_789_000,
        'isthmus_holds_open{danger="RED"}': 1,
        'isthmus_holds_open{danger="AMBER"}': 0,
    }
    assert {name: float(figures[name]) for name in wanted} == wanted
    assert any(name.startswith("isthmus_build_info") for name in figures)


async def test_not_ready_is_503_with_the_code(hospital: Hospital, client: Client) -> None:
    hospital.status.ready = [Check(name="disk", is_ok=False, detail="STO-101")]

    async with client.get("/health/ready") as answer:
        assert answer.status == 503
        assert await answer.json() == {"ready": False, "checks": {"disk": {"ok": False, "detail": "STO-101"}}}
    async with client.get("/health/live") as answer:
        assert answer.status == 200


async def test_a_bug_shows_an_incident_and_nothing_else(hospital: Hospital, client: Client) -> None:
    row, _ = await hospital.message(None, control_id="M1")
    with hospital.engine.begin() as connection:
        connection.exec_driver_sql(f"update message set state = 'SECRET^NAME' where id = {row}")

    with capture_logs() as logged:
        async with client.get(f"/api/messages/{row}") as answer:
            problem = await answer.json(content_type=None)
            text = await answer.text()
        shown = await page(client, f"/messages/{row}", 500)

    assert (answer.status, problem["code"]) == (500, "BUG-101")
    assert problem["incident"] in problem["detail"]
    assert "SECRET" not in text
    assert "Traceback" not in text
    assert "incident" in shown.words.lower()
    assert [entry["event"] for entry in logged] == ["web.request_failed"] * 2
    assert logged[0]["incident"] == problem["incident"]
    assert "SECRET" not in str(logged)


async def test_a_damaged_body_is_a_storage_problem(hospital: Hospital, client: Client) -> None:
    body = b"MSH|^~\\&|HIS\rOBX|" + b"A" * 5000 + b"\r"
    row, _ = await hospital.message(None, body=body)
    for path in hospital.blobs._objects.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"damaged")

    async with client.get(f"/api/messages/{row}") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (500, "STO-104")


async def test_other_connectors_of_the_same_application_are_left_alone(hospital: Hospital) -> None:
    async def theirs(request: web.Request) -> web.Response:
        raise web.HTTPUnprocessableEntity

    app = hospital.application()
    app.router.add_get("/fhir/{rest:.*}", theirs)
    app.router.add_get("/dicom-web/studies", theirs)
    async with TestClient(TestServer(app)) as client:
        async with client.get("/fhir/Patient") as answer:
            assert answer.status == 422
            assert "Content-Security-Policy" not in answer.headers
        async with client.get("/dicom-web/nothing") as answer:
            assert (answer.status, await answer.text()) == (404, "404: Not Found")
        async with client.get("/nothing") as answer:
            assert answer.status == 404
            assert answer.content_type == "text/html"


async def test_the_style_sheet_and_the_icon_may_be_kept(client: Client) -> None:
    home = await page(client, "/")
    for attributes in home.named("link"):
        async with client.get(attributes["href"] or "") as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "public, max-age=86400"


async def test_no_page_sorts_or_reads_a_whole_table(hospital: Hospital, client: Client, busy: RowId) -> None:
    asked: list[tuple[str, object]] = []
    event.listen(
        hospital.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, parameters, context, many: asked.append((statement, parameters)),
    )

    for path in [*PAGES, "/api/studies?state=HELD", "/api/messages?state=refused&since=2026-03-01", "/metrics"]:
        async with client.get(path) as answer:
            await answer.read()

    selects = [(statement, parameters) for statement, parameters in asked if statement.startswith("SELECT")]
    assert len(selects) > 50
    greedy = []
    with hospital.engine.connect() as connection:
        for statement, parameters in selects:
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plan = [row[3] for row in rows]
            scans = [
                step for step in plan if step.startswith("SCAN") and not step.startswith(("SCAN (", "SCAN CONSTANT"))
            ]
            whole = "LIMIT" not in statement or any("TEMP B-TREE FOR ORDER BY" in step for step in plan)
            if whole and scans:
                greedy.append((statement, plan))
    assert greedy == []
