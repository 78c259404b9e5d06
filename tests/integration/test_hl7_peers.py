"""HL7 over MLLP with programs of other makers: python-hl7 and two packages of npm, both directions, plain and TLS."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.app.engine import Engine
from engine.hl7.message import Message
from tests.peers.authority import Authority, Pair
from tests.peers.his import order
from tests.peers.running import deliveries, journal, running_engine

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "tests" / "peers" / "node"
MODULES = REPOSITORY / "build" / "peers" / "node" / "node_modules"


def absent(reason: str) -> None:
    """Skip, or fail where no peer may be missing."""
    if os.environ.get("ISTHMUS_REQUIRE_PEERS") == "1":
        pytest.fail(f"{reason} (ISTHMUS_REQUIRE_PEERS=1)")
    pytest.skip(reason)


@pytest.fixture
def python_hl7() -> Any:
    """Return the package `hl7` of python-hl7."""
    try:
        import hl7.mllp
    except ImportError:
        absent("python-hl7 is not installed; run `make setup`")
    return hl7


@pytest.fixture
def node() -> str:
    """Return the path of Node.js, with node-hl7-client and node-hl7-server installed for it."""
    found = shutil.which("node")
    if found is None:
        absent("Node.js is not installed")
    if not (MODULES / "node-hl7-server").is_dir():
        absent("the HL7 packages of npm are not installed; run `make peers`")
    assert found is not None
    return found


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


def admission(number: int, name: str = "TEST^ALPHA") -> str:
    return (
        f"MSH|^~\\&|HIS|HOSP|ISTHMUS|RAD|20261121||ADT^A01^ADT_A01|A{number}|P|2.5|||||||UNICODE UTF-8\r"
        f"EVN|A01|20261121\rPID|1||P{number:04}^^^HOSP^MR||{name}||19800229|F\rPV1|1|O\r"
    )


def orders() -> list[str]:
    other = order(control_id="M2", accession="ACC0002", patient_id="P0002", study_uid="1.2.3.2")
    wrong = other.replace("ORM^O01", "BAR^P01").replace("|M2|", "|M3|")
    return [order(), other, wrong]


def answers_of(frames: list[str]) -> list[tuple[str | None, str | None]]:
    read = [Message.parse(frame.encode()) for frame in frames]
    return [(each.get("MSA-1"), each.get("MSA-2")) for each in read]


EXPECTED = [("AA", "M1"), ("AA", "M2"), ("AR", "M3")]


async def states(engine: Engine) -> list[str]:
    return [row["state"] for row in await journal(engine)]


async def delivered(engine: Engine, count: int) -> None:
    """Wait until the outbox is empty; nobody is told when a lane has recorded an answer."""
    async with asyncio.timeout(30):
        while [row["state"] for row in await deliveries(engine)] != ["delivered"] * count:
            await asyncio.sleep(0.02)


async def run(*command: str, text: str = "", environ: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environ or {})},
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, err.decode()
    return out.decode()


# -- python-hl7


async def test_python_hl7_sends_with_its_command(python_hl7: Any, tmp_path: Path) -> None:
    """mllp_send of python-hl7: frames from a file, one connection, each answer printed."""
    file = tmp_path / "orders.mllp"
    file.write_bytes(b"".join(b"\x0b" + text.encode() + b"\x1c\r" for text in orders()))
    async with running_engine(tmp_path) as engine:
        command = [sys.executable, "-c", "from hl7.client import mllp_send; mllp_send()"]
        port = str(engine.mllp["his"].port)
        out = await run(*command, "--file", str(file), "--port", port, "127.0.0.1")

        answers = [frame.strip("\x0b\r\n") for frame in out.split("\x1c")[:-1]]
        assert answers_of(answers) == EXPECTED
        assert await states(engine) == ["applied", "applied", "refused"]


@pytest.mark.parametrize("secure", [False, True])
async def test_python_hl7_sends_with_its_streams(
    python_hl7: Any, authority: Authority, tmp_path: Path, *, secure: bool
) -> None:
    listener = {"tls": authority.listener(authority.sign("engine"), mutual=True).model_dump()} if secure else {}
    context = client_context(authority, authority.sign("his")) if secure else None
    async with running_engine(tmp_path, listener=listener) as engine:
        reader, writer = await python_hl7.mllp.open_hl7_connection(
            "127.0.0.1", engine.mllp["his"].port, ssl=context, encoding="utf-8"
        )
        answers = []
        for text in orders():
            writer.writemessage(python_hl7.parse(text))
            async with asyncio.timeout(30):
                answers.append(str(await reader.readmessage()))
        writer.close()

        assert answers_of(answers) == EXPECTED
        assert await states(engine) == ["applied", "applied", "refused"]


@dataclass
class PythonHl7Server:
    """A receiver made of python-hl7's own streams, parser and acknowledgement."""

    library: Any
    received: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: Any, writer: Any) -> None:
        self.connections += 1
        try:
            while True:
                message = await reader.readmessage()
                self.received.append(str(message))
                writer.writemessage(message.create_ack("AA"))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None) -> AsyncIterator[int]:
        server = await self.library.mllp.start_hl7_server(self.serve, "127.0.0.1", 0, encoding="utf-8", ssl=context)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await server.wait_closed()


@pytest.mark.parametrize("secure", [False, True])
async def test_python_hl7_receives(python_hl7: Any, authority: Authority, tmp_path: Path, *, secure: bool) -> None:
    server = PythonHl7Server(python_hl7)
    context = server_context(authority, authority.sign("ris")) if secure else None
    async with server.listening(context) as port:
        destination: dict[str, Any] = {"port": port}
        if secure:
            destination["tls"] = authority.destination(authority.sign("engine")).model_dump()
        bodies = [admission(1), admission(2, "TÉST^ÄLPHA"), admission(3)]
        async with running_engine(tmp_path, destination=destination, forward=True) as engine:
            await take(engine, *bodies)
            await delivered(engine, 3)

        assert [text.rstrip("\r") for text in server.received] == [body.rstrip("\r") for body in bodies]
        assert server.connections == 1


def client_context(authority: Authority, pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def server_context(authority: Authority, pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def take(engine: Engine, *bodies: str) -> None:
    """Hand messages to the engine's own intake."""
    from engine.records.exchange import Peer

    for body in bodies:
        await engine.messages.accept(body.encode(), Peer("his", "127.0.0.1:1"))


# -- npm


@pytest.mark.parametrize("secure", [False, True])
async def test_node_hl7_client_sends(node: str, authority: Authority, tmp_path: Path, *, secure: bool) -> None:
    listener = {"tls": authority.listener(authority.sign("engine"), mutual=True).model_dump()} if secure else {}
    files = tls_files(authority, "his") if secure else []
    async with running_engine(tmp_path, listener=listener) as engine:
        out = await run(
            node,
            str(SCRIPTS / "send.cjs"),
            str(engine.mllp["his"].port),
            *files,
            text=json.dumps(orders()),
            environ={"NODE_PATH": str(MODULES)},
        )

        assert answers_of([json.loads(line) for line in out.splitlines()]) == EXPECTED
        assert await states(engine) == ["applied", "applied", "refused"]


@pytest.mark.parametrize("secure", [False, True])
async def test_node_hl7_server_receives(node: str, authority: Authority, tmp_path: Path, *, secure: bool) -> None:
    """On a kept connection node-hl7-server 2.5 reads what it got before again with each message, and answers both.

    The answer that is not for the message in flight is discarded.
    """
    files = tls_files(authority, "ris") if secure else []
    async with node_server(node, files) as (port, next_message):
        destination: dict[str, Any] = {"port": port}
        if secure:
            destination["tls"] = authority.destination(authority.sign("engine")).model_dump()
        async with running_engine(tmp_path, destination=destination, forward=True) as engine:
            await take(engine, admission(1), admission(2))
            await delivered(engine, 2)

        received = [(await next_message()).rstrip("\r") for _ in range(3)]
        assert received == [admission(number).rstrip("\r") for number in (1, 1, 2)]


def tls_files(authority: Authority, name: str) -> list[str]:
    pair = authority.sign(name)
    return [str(authority.certificate), str(pair.certificate), str(pair.key)]


@asynccontextmanager
async def node_server(node: str, files: list[str]) -> AsyncIterator[tuple[int, Callable[[], Any]]]:
    process = await asyncio.create_subprocess_exec(
        node,
        str(SCRIPTS / "receive.cjs"),
        *files,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
    assert process.stdout is not None
    stdout = process.stdout

    async def line() -> Any:
        async with asyncio.timeout(30):
            return json.loads(await stdout.readline())

    try:
        yield await line(), line
    finally:
        process.terminate()
        await process.wait()
