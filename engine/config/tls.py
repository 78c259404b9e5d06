"""TLS contexts from certificate files: TLS 1.2 and 1.3 only, forward secrecy and authenticated encryption only.

A context is made anew when one of its files has changed, so a renewed certificate needs no restart.
Source: BCP 195 (RFC 9325); spec/reliability.md section 10.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from engine.config.settings import DestinationTls, ListenerTls
from engine.core.errors import ConfigError

_SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 all qualify. Source: RFC 9325 section 4.2."""
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OTHERS: Final = 0o077
_ABSENT: Final = "there is no such file"

log = structlog.get_logger()


class TlsFileUnusable(ConfigError):
    """A certificate or key cannot be read, or they do not belong together."""

    code = "CFG-205"

    def __init__(self, file: Path, reason: str) -> None:
        self.is_absent = reason == _ABSENT
        super().__init__(f"'{file}' cannot be used for TLS: {reason}")


class KeyReadable(ConfigError):
    """Others on this machine can read a private key."""

    code = "CFG-206"

    def __init__(self, file: Path) -> None:
        super().__init__(f"'{file}' can be read by others; give it mode 0600")


class Tls:
    """The context of one listener or destination, as its files are now.

    Args:
        build: Makes a context from the files.
        files: What it is made from.

    Raises:
        TlsFileUnusable: CFG-205.
        KeyReadable: CFG-206.
    """

    def __init__(self, build: Callable[[], ssl.SSLContext], files: tuple[Path, ...]) -> None:
        self._build = build
        self._files = files
        self._seen = self._state()
        self._context = build()

    def current(self) -> ssl.SSLContext:
        """Return the context for the next connection.

        Files that have changed and cannot be used leave the context as it was, with a line in the log.
        """
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._context = self._build()
            except ConfigError as error:
                log.error("certificate.kept", code=error.code)
            else:
                log.info("certificate.reloaded", files=len(self._files))
        return self._context

    def serving(self) -> ssl.SSLContext:
        """Return a context for a listener: each handshake goes on with `current()`."""
        entrance = self._context

        def use_current(connection: ssl.SSLObject, _name: str | None, _entrance: ssl.SSLContext) -> None:
            connection.context = self.current()

        entrance.sni_callback = use_current  # also called when the peer names nobody
        return entrance

    def _state(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(file) for file in self._files)


def listener_tls(said: ListenerTls, folder: Path | None) -> Tls:
    """Return the TLS of a listener; files that are not absolute lie in `folder`.

    Raises:
        TlsFileUnusable: CFG-205.
        KeyReadable: CFG-206.
    """
    certificate, key = _path(said.certificate, folder), _path(said.key, folder)
    client_ca = _path(said.client_ca, folder) if said.client_ca else None

    def build() -> ssl.SSLContext:
        context = _hardened(ssl.PROTOCOL_TLS_SERVER, said.minimum)
        # A resumed session would skip the check of a certificate that has been withdrawn since.
        context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0
        _load_pair(context, certificate, key)
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            _load_authorities(context, client_ca)
        return context

    return Tls(build, tuple(file for file in (certificate, key, client_ca) if file))


def destination_tls(said: DestinationTls, folder: Path | None) -> Tls:
    """Return the TLS towards a destination; files that are not absolute lie in `folder`.

    Raises:
        TlsFileUnusable: CFG-205.
        KeyReadable: CFG-206.
    """
    ca = _path(said.ca, folder) if said.ca else None
    certificate = _path(said.certificate, folder) if said.certificate else None
    key = _path(said.key, folder) if said.key else None

    def build() -> ssl.SSLContext:
        context = _hardened(ssl.PROTOCOL_TLS_CLIENT, said.minimum)
        if ca:
            _load_authorities(context, ca)
        else:
            context.load_default_certs()
        if certificate and key:
            _load_pair(context, certificate, key)
        return context

    return Tls(build, tuple(file for file in (ca, certificate, key) if file))


def _hardened(protocol: int, minimum: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = _VERSIONS[minimum]
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _check_mode(key)
    if not certificate.is_file():
        raise TlsFileUnusable(certificate, _ABSENT)
    try:
        # A password would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as cause:
        raise TlsFileUnusable(certificate, _reason(cause)) from cause


def _load_authorities(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except OSError as cause:
        raise TlsFileUnusable(file, _reason(cause)) from cause


def _check_mode(key: Path) -> None:
    """Confirm that nobody but its owner can read a private key."""
    try:
        mode = key.stat().st_mode
    except OSError as cause:
        raise TlsFileUnusable(key, _reason(cause)) from cause
    if mode & _OTHERS:
        raise KeyReadable(key)


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(cause: OSError | ValueError) -> str:
    """Return why, in OpenSSL's or the system's words; never content of the file."""
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "not readable as PEM").replace("_", " ").lower()
    if isinstance(cause, FileNotFoundError):
        return _ABSENT
    return (cause.strerror or "not readable").lower() if isinstance(cause, OSError) else str(cause)


def _path(said: str, folder: Path | None) -> Path:
    return (folder or Path()) / said


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
