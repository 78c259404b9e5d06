"""Checks that the listeners of a site do not want the same port."""

from __future__ import annotations

from engine.config.settings import Settings
from engine.mapping.place import Document, Flaw, KeyPath


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
