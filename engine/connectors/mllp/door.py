"""Who may come in: decided when a connection arrives, before TLS and before a byte is read."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import Collection
from typing import Final

import structlog

from engine.core.limits import Limits

BACKLOG: Final = 512
KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""A peer that vanished without a word is noticed after two minutes of silence [s, s, count]."""

log = structlog.get_logger()


def prepare(connected: socket.socket) -> None:
    """Set what every MLLP connection has: no delay, and probes while it is idle."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Door:
    """Counts the connections of one listener and turns away who is too many or not listed.

    Args:
        listener: Its name, for the log.
        limits: `mllp_connections`, `mllp_connections_per_address`.
        allow_from: Addresses or networks that may connect; None allows all.
        tls: Whether a connection begins with a handshake.
    """

    def __init__(self, listener: str, limits: Limits, allow_from: Collection[str] | None, *, tls: bool) -> None:
        self._listener = listener
        self._limits = limits
        self._allowed = None if allow_from is None else [ipaddress.ip_network(a, strict=False) for a in allow_from]
        self._tls = tls
        self._inside: dict[int, Arrival] = {}
        self._per_address: Counter[str] = Counter()

    async def bind(self, host: str, port: int) -> list[socket.socket]:
        """Return sockets that accept through this door, one for each address of `host`.

        Raises:
            OSError: An address cannot be bound; nothing stays bound.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        bound: list[_Entrance] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                entrance = _Entrance(self, family, kind, protocol)
            except OSError:
                continue  # a family that this machine does not speak, such as IPv6
            bound.append(entrance)
            same_port = (address[0], address[1] or bound[0].getsockname()[1], *address[2:])
            try:
                entrance.listen_at(same_port)
            except OSError:
                for each in bound:
                    each.close()
                raise
        if not bound:
            raise OSError(errno.EAFNOSUPPORT, "no address of this machine fits")
        return list(bound)

    def enter(self, arrival: Arrival) -> bool:
        """Count an arrival in, or say that it may not come in."""
        code = self._objection(arrival.host)
        if code is not None:
            log.warning("connection.refused", listener=self._listener, code=code)
            return False
        self._inside[arrival.fileno()] = arrival
        self._per_address[arrival.host] += 1
        return True

    def settle(self, descriptor: int) -> None:
        """Note that a connection is established, its handshake included."""
        arrival = self._inside.get(descriptor)
        if arrival is not None:
            arrival.is_settled = True

    def leave(self, arrival: Arrival, descriptor: int) -> None:
        """Count a connection out."""
        if self._inside.pop(descriptor, None) is None:
            return
        self._per_address[arrival.host] -= 1
        if not self._per_address[arrival.host]:
            del self._per_address[arrival.host]
        if self._tls and not arrival.is_settled:
            log.warning("connection.refused", listener=self._listener, code="SEC-102")

    def _objection(self, host: str) -> str | None:
        if not self._is_allowed(host):
            return "SEC-101"
        limits = self._limits
        full = len(self._inside) >= limits.mllp_connections
        return "NET-101" if full or self._per_address[host] >= limits.mllp_connections_per_address else None

    def _is_allowed(self, host: str) -> bool:
        if self._allowed is None:
            return True
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._allowed)


class Arrival(socket.socket):
    """An accepted connection, which tells the door when it is closed."""

    def __init__(self, door: Door, accepted: socket.socket, host: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.host = host
        self.is_settled = False
        self._door = door

    def close(self) -> None:
        """Close it."""
        descriptor = self.fileno()
        super().close()
        if descriptor >= 0:
            self._door.leave(self, descriptor)


class _Entrance(socket.socket):
    """A listening socket of a door."""

    def __init__(self, door: Door, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self._door = door

    def listen_at(self, address: tuple[object, ...]) -> None:
        """Bind it, beside no other program."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.family == socket.AF_INET6:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.setblocking(False)
        self.bind(address)

    def accept(self) -> tuple[socket.socket, object]:
        """Accept one connection that may come in.

        Raises:
            ConnectionAbortedError: It may not; it is closed.
        """
        accepted, address = super().accept()
        arrival = Arrival(self._door, accepted, str(address[0]))
        if not self._door.enter(arrival):
            arrival.close()
            raise ConnectionAbortedError
        return arrival, address
