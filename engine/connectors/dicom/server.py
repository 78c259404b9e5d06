"""The DICOM listener: one port, one AE title, the service classes behind it.

Source: spec/reliability.md sections 4 and 9.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import structlog

from engine.connectors.dicom.acceptor import AcceptorConnection
from engine.connectors.dicom.admission import Admission
from engine.connectors.dicom.service import Service
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.command import Operation

log = structlog.get_logger()


class DicomServer:
    """Accepts associations on one address until it is stopped.

    Args:
        name: Name of the listener in isthmus.yaml, for logs.
        ae_title: Ours; peers must call it when `strict_ae`.
        host: Address to bind.
        port: Port to bind; 0 lets the system choose, see `port`.
        services: Asked in this order whether an abstract syntax is theirs.
        limits: Bounds of sizes, counts and waits.
        strict_ae: Refuse other called AE titles (RJ 1/1/7).
        allowed_calling: The only calling AE titles let in (others RJ 1/1/3); None lets in any.
        ssl_context: Server side TLS; None for plain TCP.
    """

    def __init__(
        self,
        *,
        name: str,
        ae_title: str,
        host: str,
        port: int,
        services: Sequence[Service],
        limits: Limits = DEFAULT_LIMITS,
        strict_ae: bool = True,
        allowed_calling: frozenset[str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._admission = Admission(
            name=name,
            ae_title=ae_title,
            services=services,
            limits=limits,
            strict_ae=strict_ae,
            allowed_calling=allowed_calling,
        )
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._port

    @property
    def associations(self) -> int:
        """Associations open now."""
        return self._admission.open_associations

    @property
    def accepted(self) -> int:
        """Associations accepted since the start."""
        return self._admission.accepted_associations

    @property
    def refused(self) -> int:
        """Associations refused since the start."""
        return self._admission.refused_associations

    @property
    def received(self) -> int:
        """Instances answered since the start, whatever the status."""
        return self._admission.requests[Operation.C_STORE]

    def answered(self, operation: Operation) -> int:
        """Return how many requests of one kind were answered since the start."""
        return self._admission.requests[operation]

    def refused_requests(self, operation: Operation) -> int:
        """Return how many requests of one kind were answered with a failure since the start."""
        return self._admission.refusals[operation]

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            OSError: The address is not ours or not free.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: AcceptorConnection(self._admission),
            self._host,
            self._port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=self._admission.limits.association_request_s if self._ssl_context else None,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        log.info("listener.started", listener=self._admission.name, port=self._port)

    async def stop(self) -> None:
        """Stop listening; let requests that are being worked on be answered, within `limits.shutdown_s`; then abort."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        admission = self._admission
        admission.is_draining = True
        guests = tuple(admission.guests)
        for guest in guests:
            guest.drain_out()
        if guests:
            await asyncio.wait([guest.gone for guest in guests], timeout=admission.limits.shutdown_s)
        late = [guest for guest in guests if not guest.gone.done()]
        for guest in late:
            guest.cut()
        if late:
            await asyncio.wait([guest.closed for guest in late])
        log.info("listener.stopped", listener=admission.name, late=len(late))
