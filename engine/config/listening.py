"""Checks how a site listens and connects: ports taken twice, strangers let in, certificates that cannot be used."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from engine.config.settings import MllpListener, Settings
from engine.config.tls import TlsFileUnusable, destination_tls, listener_tls
from engine.core.errors import ConfigError
from engine.mapping.place import Document, Flaw, KeyPath


def listening_flaws(settings: Settings, document: Document, folder: Path | None) -> list[Flaw]:
    """Return CFG-111, CFG-201, CFG-205 and CFG-206 of a site whose own folder is `folder`."""
    return [
        *ports_used_twice(settings, document),
        *_open_to_strangers(settings, document),
        *_unusable_certificates(settings, document, folder),
    ]


def ports_used_twice(settings: Settings, document: Document) -> list[Flaw]:
    """Return CFG-111 for every listener whose port another one before it has taken on the same host."""
    listeners = settings.listeners
    wanted: list[tuple[KeyPath, str, int]] = [
        *((("listeners", "mllp", name, "port"), one.host, one.port) for name, one in listeners.mllp.items()),
        *((("listeners", "dicom", name, "port"), other.host, other.port) for name, other in listeners.dicom.items()),
        (("listeners", "http", "port"), listeners.http.host, listeners.http.port),
    ]
    taken: dict[tuple[str, int], str] = {}
    flaws = []
    for path, host, port in wanted:
        name = ".".join(str(part) for part in path[1:-1])
        if port and (host, port) in taken:
            text = f"port {port} is also used by listener '{taken[host, port]}'"
            flaws.append(Flaw(document.place(path), "CFG-111", text))
        taken.setdefault((host, port), name)
    return flaws


def _open_to_strangers(settings: Settings, document: Document) -> Iterator[Flaw]:
    for name, listener in settings.listeners.mllp.items():
        path = ("listeners", "mllp", name)
        stated = listener.allow_plaintext and listener.allow_from is not None
        if listener.tls is None and not _is_loopback(listener) and not stated:
            text = (
                f"'{'.'.join(path)}' listens on {listener.host or 'every address'} without TLS; "
                "add tls, or say allow_plaintext: true and list allow_from"
            )
            yield Flaw(document.place((*path, "host")), "CFG-201", text)


def _is_loopback(listener: MllpListener) -> bool:
    if listener.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(listener.host).is_loopback
    except ValueError:
        return False


def _unusable_certificates(settings: Settings, document: Document, folder: Path | None) -> Iterator[Flaw]:
    """Try what the engine will do at its start. A file that is not on this machine is only worth a warning.

    Site folders are checked where they are kept, too, and keys are not kept there.
    """
    for name, listener in settings.listeners.mllp.items():
        if listener.tls is not None:
            path: KeyPath = ("listeners", "mllp", name, "tls")
            try:
                listener_tls(listener.tls, folder)
            except ConfigError as error:
                yield _tls_flaw(document, path, error)
    for name, destination in settings.destinations.mllp.items():
        if destination.tls is not None:
            path = ("destinations", "mllp", name, "tls")
            try:
                destination_tls(destination.tls, folder)
            except ConfigError as error:
                yield _tls_flaw(document, path, error)


def _tls_flaw(document: Document, path: KeyPath, error: ConfigError) -> Flaw:
    is_absent = isinstance(error, TlsFileUnusable) and error.is_absent
    return Flaw(document.place(path), error.code, error.text, "warning" if is_absent else "error")
