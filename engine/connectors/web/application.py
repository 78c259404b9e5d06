"""Puts pages, JSON API, health and metrics into the engine's HTTP application."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from engine.blobs.store import BlobStore
from engine.config.site import Site
from engine.desk.status import Status
from engine.store.reader import Reader


def add_web(
    app: web.Application, *, reader: Reader, blobs: BlobStore, site: Callable[[], Site], status: Status
) -> None:
    """Add every route of this connector to `app`; paths of other connectors are left alone.

    Args:
        app: The application of the HTTP listener, not yet started.
        reader: Where the records are read.
        blobs: Where message bodies are that are too large for the journal.
        site: The site as it is now; asked for every request, since a reload replaces it.
        status: The running engine.
    """
