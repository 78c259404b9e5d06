"""MLLP inside TLS: the same listener and the same sender, with contexts made from files that may change."""

import asyncio
import shutil
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from engine.config.tls import KeyReadable, Tls, TlsFileUnusable, destination_tls, listener_tls
from engine.connectors.mllp.client import MllpClient
from engine.connectors.mllp.intake import Peer, Reply
from engine.connectors.mllp.server import MllpServer
from engine.connectors.mllp.wire import framed
from engine.core.errors import PeerError, TransientError
from engine.core.limits import DEFAULT_LIMITS
from tests.peers.authority import Authority, Pair

MESSAGE = b"MSH|^~\\&|HIS||||||ORM^O01|1|P|2.5\r"
ACK = b"MSH|^~\\&|RIS||||||ACK|1|P|2.5\rMSA|AA|1\r"
FAST = replace(DEFAULT_LIMITS, mllp_ack_timeout_s=5.0, mllp_connect_timeout_s=5.0)


class Yes:
    """An intake that takes everything."""

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        future.set_result(Reply((ACK,)))
        return future

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        return self.accept(body, peer)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.sign("engine")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "Strange Authority")


@asynccontextmanager
async def serving(tls: Tls, **options: object) -> AsyncIterator[MllpServer]:
    server = MllpServer(name="his", host="127.0.0.1", port=0, intake=Yes(), ssl_context=tls.serving(), **options)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def client(port: int, tls: Tls, server_name: str | None = None) -> MllpClient:
    return MllpClient("ris", "127.0.0.1", port, FAST, ssl_context=tls.current, server_name=server_name)


async def exchanged(port: int, tls: Tls, server_name: str | None = None) -> str:
    sender = client(port, tls, server_name)
    try:
        return (await sender.send(MESSAGE, "1")).code
    except TransientError as error:
        return error.code
    finally:
        await sender.close()


async def test_messages_through_tls_on_one_connection(authority: Authority, pair: Pair) -> None:
    async with serving(listener_tls(authority.listener(pair), None)) as server:
        sender = client(server.port, destination_tls(authority.destination(), None))

        assert (await sender.send(MESSAGE, "1")).code == "AA"
        assert (await sender.send(MESSAGE, "1")).code == "AA"
        assert (server.received, server.connections) == (2, 1)
        await sender.close()


async def test_a_listener_with_an_unknown_certificate_gets_nothing(
    authority: Authority, pair: Pair, stranger: Authority
) -> None:
    async with serving(listener_tls(authority.listener(pair), None)) as server:
        assert await exchanged(server.port, destination_tls(stranger.destination(), None)) == "NET-112"
        assert server.received == 0


async def test_the_name_in_the_certificate_must_be_the_one_expected(authority: Authority) -> None:
    named = authority.sign("named", "DNS:ris.test")
    async with serving(listener_tls(authority.listener(named), None)) as server:
        assert await exchanged(server.port, destination_tls(authority.destination(), None)) == "NET-112"
        assert await exchanged(server.port, destination_tls(authority.destination(), None), "ris.test") == "AA"


async def test_mutual_tls_takes_only_those_with_a_certificate(
    authority: Authority, pair: Pair, stranger: Authority
) -> None:
    async with serving(listener_tls(authority.listener(pair, mutual=True), None)) as server:
        known = destination_tls(authority.destination(authority.sign("his")), None)
        anonymous = destination_tls(authority.destination(), None)
        settings = authority.destination(stranger.sign("his"))

        assert await exchanged(server.port, known) == "AA"
        assert await exchanged(server.port, anonymous) in ("NET-112", "NET-114")
        assert await exchanged(server.port, destination_tls(settings, None)) in ("NET-112", "NET-114")
        assert server.received == 1


def outdated(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def weak(suites: str) -> ssl.SSLContext:
    context = outdated(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suites)
    return context


@pytest.mark.parametrize(
    ("context", "minimum", "taken"),
    [
        (outdated(ssl.TLSVersion.TLSv1), "1.2", False),
        (outdated(ssl.TLSVersion.TLSv1_1), "1.2", False),
        (outdated(ssl.TLSVersion.TLSv1_2), "1.2", True),
        (outdated(ssl.TLSVersion.TLSv1_2), "1.3", False),
        (outdated(ssl.TLSVersion.TLSv1_3), "1.3", True),
        (weak("ECDHE-ECDSA-AES128-SHA"), "1.2", False),
        (weak("AES128-GCM-SHA256"), "1.2", False),
        (weak("ECDHE-ECDSA-AES256-GCM-SHA384"), "1.2", True),
    ],
)
async def test_versions_and_suites(
    authority: Authority, pair: Pair, context: ssl.SSLContext, minimum: str, *, taken: bool
) -> None:
    settings = authority.listener(pair).model_copy(update={"minimum": minimum})
    async with serving(listener_tls(settings, None)) as server:
        sender = MllpClient("ris", "127.0.0.1", server.port, FAST, ssl_context=lambda: context)
        if taken:
            assert (await sender.send(MESSAGE, "1")).code == "AA"
        else:
            with pytest.raises(TransientError, match=r"NET-11[24]"):
                await sender.send(MESSAGE, "1")
        await sender.close()


async def test_a_renewed_certificate_counts_for_the_next_connection(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    first, second = authority.sign("first"), stranger.sign("second")
    used = Pair(tmp_path / "used.pem", tmp_path / "used.key")
    replace_files(used, first)
    old, new = destination_tls(authority.destination(), None), destination_tls(stranger.destination(), None)
    async with serving(listener_tls(authority.listener(used), None)) as server:
        kept = client(server.port, old)
        await kept.send(MESSAGE, "1")

        replace_files(used, second)

        assert await exchanged(server.port, new) == "AA"
        assert await exchanged(server.port, old) == "NET-112"
        assert (await kept.send(MESSAGE, "1")).code == "AA"
        await kept.close()


async def test_new_client_authorities_count_for_the_next_connection(
    tmp_path: Path, authority: Authority, pair: Pair, stranger: Authority
) -> None:
    trusted = tmp_path / "trusted.pem"
    shutil.copy(authority.certificate, trusted)
    settings = authority.listener(pair).model_copy(update={"client_ca": str(trusted)})
    ours = destination_tls(authority.destination(authority.sign("ours")), None)
    theirs = destination_tls(authority.destination(stranger.sign("theirs")), None)
    async with serving(listener_tls(settings, None)) as server:
        assert await exchanged(server.port, ours) == "AA"

        shutil.copy(stranger.certificate, trusted)

        assert await exchanged(server.port, theirs) == "AA"
        assert await exchanged(server.port, ours) in ("NET-112", "NET-114")


async def test_files_that_cannot_be_used_leave_the_certificate_as_it_was(tmp_path: Path, authority: Authority) -> None:
    used = Pair(tmp_path / "used.pem", tmp_path / "used.key")
    replace_files(used, authority.sign("good"))
    trusting = destination_tls(authority.destination(), None)
    async with serving(listener_tls(authority.listener(used), None)) as server:
        with structlog.testing.capture_logs() as lines:
            used.certificate.write_text("half a certifi")
            assert await exchanged(server.port, trusting) == "AA"
            used.certificate.unlink()
            assert await exchanged(server.port, trusting) == "AA"
        assert [line["code"] for line in lines if line["event"] == "certificate.kept"] == ["CFG-205"] * 2


async def test_plain_text_is_refused_and_logged(authority: Authority, pair: Pair) -> None:
    async with serving(listener_tls(authority.listener(pair), None)) as server:
        with structlog.testing.capture_logs() as lines:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(framed(MESSAGE))
            assert b"MSA" not in await reader.read()
            writer.close()
        assert [line["code"] for line in lines if line["event"] == "connection.refused"] == ["SEC-102"]
        assert server.received == 0


async def test_strangers_are_turned_away_before_the_handshake(authority: Authority, pair: Pair) -> None:
    async with serving(listener_tls(authority.listener(pair), None), allow_from=["10.1.2.3"]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await reader.read() == b""
        writer.close()


async def test_handshakes_that_do_not_end_count_as_connections(authority: Authority, pair: Pair) -> None:
    limits = replace(DEFAULT_LIMITS, mllp_connections=3)
    async with serving(listener_tls(authority.listener(pair), None), limits=limits) as server:
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        trusting = destination_tls(authority.destination(), None)
        assert await exchanged(server.port, trusting) in ("NET-112", "NET-114")
        for reader, writer in silent:
            writer.write(b"not a handshake")
            await reader.read()
            writer.close()
        assert await exchanged(server.port, trusting) == "AA"


def replace_files(used: Pair, by: Pair) -> None:
    for name in ("certificate", "key"):
        fresh = getattr(used, name).with_suffix(".new")
        shutil.copy(getattr(by, name), fresh)
        fresh.replace(getattr(used, name))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, authority: Authority, pair: Pair) -> None:
    key = tmp_path / "open.key"
    shutil.copy(pair.key, key)
    key.chmod(0o640)
    with pytest.raises(KeyReadable, match=r"CFG-206: '.*open\.key' can be read by others; give it mode 0600"):
        listener_tls(authority.listener(Pair(pair.certificate, key)), None)


def test_files_are_looked_for_in_the_folder_of_the_site(pair: Pair, authority: Authority) -> None:
    said = authority.listener(Pair(Path(pair.certificate.name), Path(pair.key.name)))
    listener_tls(said, pair.certificate.parent)
    with pytest.raises(TlsFileUnusable, match=r"CFG-205: '.*' cannot be used for TLS: there is no such file"):
        listener_tls(said, pair.certificate.parent / "elsewhere")


def test_a_certificate_and_a_key_that_do_not_belong_together(authority: Authority, pair: Pair) -> None:
    other = authority.sign("other")
    with pytest.raises(TlsFileUnusable, match="key values mismatch"):
        listener_tls(authority.listener(Pair(pair.certificate, other.key)), None)
