"""The requestor against pynetdicom's providers, against our own listener, and against peers that fail."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    CTImageStorage,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    Verification,
)

from engine.connectors.dicom.client import DicomClient, StoreAnswer
from engine.connectors.dicom.server import DicomServer
from engine.connectors.dicom.verification import VerificationService
from engine.core.errors import EngineError
from engine.core.limits import DEFAULT_LIMITS
from engine.dicom import pdu
from engine.dicom.command import Operation
from engine.dicom.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationRejectedForNow,
    MalformedPdu,
    NoAnswer,
    UnexpectedPdu,
    Unreachable,
)
from engine.dicom.pdu import AssociateAccept, AssociateReject, ContextResult
from engine.dicom.user_information import UserInformation

VERIFICATION, CT, MWL = str(Verification), str(CTImageStorage), str(ModalityWorklistInformationFind)
COMMITMENT = str(StorageCommitmentPushModel)
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXTS = [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT]), (CT, [IMPLICIT]), (MWL, [EXPLICIT]), (COMMITMENT, [IMPLICIT])]
IDENTIFIER = b"\x10\0\x10\0PN\x06\0TEST* "


@dataclass
class Archive:
    """What pynetdicom's provider saw."""

    port: int = 0
    stored: list[tuple[str, str, bytes]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    sent: int = 0
    was_cancelled: bool = False


@pytest.fixture
def archive() -> Iterator[Archive]:
    seen = Archive()

    def on_store(event: Any) -> Dataset | int:
        seen.stored.append(
            (str(event.request.AffectedSOPInstanceUID), event.context.transfer_syntax, event.request.DataSet.getvalue())
        )
        if len(seen.stored) < 3:
            return 0
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xA700, "full"
        return answer

    def on_find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(200):
            if event.is_cancelled:
                seen.was_cancelled = True
                yield 0xFE00, None
                return
            seen.sent += 1
            found = Dataset()
            found.PatientName = f"TEST^{number}"
            yield 0xFF00, found

    def on_action(event: Any) -> tuple[int, None]:
        seen.actions.append(event.action_type)
        return 0, None

    ae = AE(ae_title="ARCHIVE")
    ae.require_called_aet = True
    for uid in (VERIFICATION, MWL, COMMITMENT):
        ae.add_supported_context(uid, [IMPLICIT, EXPLICIT])
    ae.add_supported_context(CT, [EXPLICIT])
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, on_find), (evt.EVT_N_ACTION, on_action)],
    )
    assert server is not None
    seen.port = server.server_address[1]
    yield seen
    server.shutdown()


def connect(port: int, **options: Any) -> Any:
    options = {"contexts": CONTEXTS, **options}
    return DicomClient.connect("127.0.0.1", port, "ISTHMUS", options.pop("called_ae", "ARCHIVE"), **options)


async def test_echo_and_store(archive: Archive) -> None:
    big = bytes(range(256)) * 12_000

    async with connect(archive.port) as peer:
        assert await peer.echo() == 0
        assert await peer.store(b"\x10\0\x20\0LO\4\x004711", CT, "2.25.1", EXPLICIT) == StoreAnswer(0, "")
        assert await peer.store(memoryview(big), CT, "2.25.2", EXPLICIT) == StoreAnswer(0, "")
        assert await peer.store(b"", CT, "2.25.3", EXPLICIT) == StoreAnswer(0xA700, "full")

    assert [(uid, syntax, len(data)) for uid, syntax, data in archive.stored] == [
        ("2.25.1", EXPLICIT, 12),
        ("2.25.2", EXPLICIT, len(big)),
        ("2.25.3", EXPLICIT, 0),
    ]
    assert archive.stored[1][2] == big


async def test_requests_from_several_tasks_take_turns(archive: Archive) -> None:
    async with connect(archive.port) as peer:
        assert await asyncio.gather(*(peer.echo() for _ in range(5))) == [0] * 5


async def test_a_query_yields_every_response(archive: Archive) -> None:
    async with connect(archive.port) as peer:
        found = [answer async for answer in peer.find(MWL, IDENTIFIER, EXPLICIT)]

    assert [status for status, _ in found] == [0xFF00] * 200 + [0]
    assert b"TEST^199" in found[199][1]
    assert found[-1][1] == b""


async def test_leaving_a_query_cancels_it_and_the_association_goes_on(archive: Archive) -> None:
    async with connect(archive.port) as peer:
        answers = peer.find(MWL, IDENTIFIER, EXPLICIT)
        async for status, _ in answers:
            assert status == 0xFF00
            break
        await answers.aclose()

        assert await peer.echo() == 0
    assert archive.was_cancelled or archive.sent == 200


async def test_any_other_request(archive: Archive) -> None:
    async with connect(archive.port) as peer:
        fields = {
            "RequestedSOPClassUID": COMMITMENT,
            "RequestedSOPInstanceUID": "1.2.840.10008.1.20.1.1",
            "ActionTypeID": 1,
        }
        (response,) = [
            response
            async for response in peer.request(
                Operation.N_ACTION, COMMITMENT, IMPLICIT, data_set=b"\x08\0\x95\x11\0\0\0\0", fields=fields
            )
        ]

    assert response.status == 0
    assert archive.actions == [1]


async def test_what_the_peer_does_not_take(archive: Archive) -> None:
    async with connect(archive.port, contexts=CONTEXTS[1:]) as peer:
        assert (CT, IMPLICIT) not in peer.contexts
        with pytest.raises(AssociationRejected):
            await peer.store(b"", CT, "2.25.1", IMPLICIT)
        with pytest.raises(AssociationRejected):
            await peer.echo()


async def test_who_is_not_let_in(archive: Archive) -> None:
    with pytest.raises(AssociationRejected, match="1/1/7"):
        async with connect(archive.port, called_ae="OTHER"):
            pass
    with pytest.raises(Unreachable):
        async with connect(1):
            pass


# -- peers that fail -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def failing(*says: bytes | None, closes: bool = False) -> AsyncIterator[int]:
    """Serve one peer: after each of its writes say the next thing; None is silence."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for words in says:
            head = await reader.readexactly(6)
            await reader.readexactly(int.from_bytes(head[2:], "big"))
            if words is not None:
                writer.write(words)
        with contextlib.suppress(ConnectionError):
            if not closes:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await served.wait()
        server.close()
        await server.wait_closed()


ACCEPTED = pdu.encode_accept(
    AssociateAccept(
        called_ae="A",
        calling_ae="B",
        results=(ContextResult(1, 0, IMPLICIT), ContextResult(7, 0, EXPLICIT), ContextResult(99, 0, IMPLICIT)),
        user=UserInformation(max_length=0),
    )
)
FAST = replace(DEFAULT_LIMITS, association_request_s=0.05, association_idle_s=0.05)


async def _echo(peer: DicomClient) -> None:
    await peer.echo()


async def _find(connecting: Any) -> list[tuple[int, bytes]]:
    async with connecting as peer:
        return [answer async for answer in peer.find(MWL, IDENTIFIER, EXPLICIT)]


async def _nothing(peer: DicomClient) -> None:
    pass


@pytest.mark.parametrize(
    ("says", "closes", "expected"),
    [
        ([pdu.encode_reject(AssociateReject(2, 3, 2))], False, AssociationRejectedForNow),
        ([pdu.encode_reject(AssociateReject(1, 2, 1))], False, AssociationRejected),
        ([pdu.encode_abort(pdu.Abort(2, 0))], False, AssociationAborted),
        ([None], True, AssociationAborted),
        ([None], False, NoAnswer),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], False, EngineError),
        ([ACCEPTED, pdu.encode_abort(pdu.Abort(0, 0))], False, AssociationAborted),
        ([ACCEPTED, None], True, AssociationAborted),
        ([ACCEPTED, None], False, NoAnswer),
        ([ACCEPTED, pdu.RELEASE_RQ], False, AssociationAborted),
        ([ACCEPTED, b"\4\0\0\0\0\7\0\0\0\3\1\2x"], False, UnexpectedPdu),
        ([ACCEPTED, b"\4\0\0\0\0\7\0\0\0\3\1\3x"], False, MalformedPdu),
    ],
)
async def test_a_peer_that_fails_is_named(says: list[bytes | None], closes: bool, expected: type[EngineError]) -> None:
    work: Callable[[DicomClient], Any] = _echo if len(says) == 2 else _nothing

    async with failing(*says, closes=closes) as port:
        with pytest.raises(expected):
            async with connect(port, limits=FAST) as peer:
                await work(peer)


async def test_a_data_set_in_a_response_has_a_limit(archive: Archive) -> None:
    with pytest.raises(MalformedPdu, match="data set longer"):
        await _find(connect(archive.port, limits=replace(DEFAULT_LIMITS, identifier_bytes=4)))


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


async def test_both_ends_speak_tls(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(cert, key)
    server = DicomServer(
        name="tls",
        ae_title="ISTHMUS",
        host="127.0.0.1",
        port=0,
        services=[VerificationService()],
        ssl_context=ours,
    )
    await server.start()
    try:
        theirs = ssl.create_default_context(cafile=str(cert))
        async with connect(server.port, called_ae="ISTHMUS", ssl_context=theirs) as peer:
            assert await peer.echo() == 0
        with pytest.raises(Unreachable):
            async with connect(server.port, called_ae="ISTHMUS", ssl_context=ssl.create_default_context()):
                pass
    finally:
        await server.stop()
