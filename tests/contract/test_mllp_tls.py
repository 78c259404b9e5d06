"""MLLP inside TLS: the same listener and the same sender, given contexts."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from engine.connectors.mllp.client import MllpClient
from engine.connectors.mllp.intake import Peer, Reply
from engine.connectors.mllp.server import MllpServer
from engine.core.errors import PeerError, TransientError

MESSAGE = b"MSH|^~\\&|HIS||||||ORM^O01|1|P|2.5\r"
ACK = b"MSH|^~\\&|RIS||||||ACK|1|P|2.5\rMSA|AA|1\r"


class Yes:
    """An intake that takes everything."""

    def accept(self, body: bytes, peer: Peer) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        future.set_result(Reply((ACK,)))
        return future

    def refuse(self, body: bytes, error: PeerError, peer: Peer) -> asyncio.Future[Reply]:
        return self.accept(body, peer)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return certificate, key


async def test_messages_through_tls(certificate: tuple[Path, Path]) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    server = MllpServer(name="his", host="127.0.0.1", port=0, intake=Yes(), ssl_context=serving)
    await server.start()
    trusting = MllpClient(
        "ris", "127.0.0.1", server.port, ssl_context=ssl.create_default_context(cafile=certificate[0])
    )
    wary = MllpClient("ris", "127.0.0.1", server.port, ssl_context=ssl.create_default_context())

    assert (await trusting.send(MESSAGE, "1")).code == "AA"
    assert (await trusting.send(MESSAGE, "1")).code == "AA"
    with pytest.raises(TransientError, match="NET-112"):
        await wary.send(MESSAGE, "1")

    await trusting.close()
    await server.stop()
    assert server.received == 2
