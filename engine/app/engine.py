"""The engine: one loop, one writer thread, a few sync and read threads, and everything that listens or delivers."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import web

from engine.app.data_folder import DataFolder
from engine.app.loop_lag import LoopLag
from engine.app.status import EngineStatus
from engine.app.validation_pool import ValidationPool
from engine.archive.ingest import Ingest
from engine.archive.pixels import StoredPixels
from engine.blobs.folder import FolderStore
from engine.broker.image import ImageIntake
from engine.broker.intake import MessageIntake
from engine.broker.lane import Lanes
from engine.broker.quiet import QuietTimer
from engine.broker.resource import ResourceIntake
from engine.config.route import Retry
from engine.config.site import Site
from engine.config.tls import destination_tls, listener_tls
from engine.connectors.dicom.server import DicomServer
from engine.connectors.dicom.storage import StorageService
from engine.connectors.dicom.verification import VerificationService
from engine.connectors.dicom.worklist import WorklistService
from engine.connectors.fhir.server import add_fhir
from engine.connectors.mllp.client import MllpClient
from engine.connectors.mllp.server import MllpServer
from engine.connectors.web.application import add_web
from engine.core.clock import Clock, SystemClock
from engine.core.errors import ConfigError
from engine.core.ids import BlobKey
from engine.core.limits import Limits
from engine.desk.worklist import Worklist
from engine.records.fact import InstanceFact
from engine.store import known
from engine.store.database import migrate, open_engine, sqlite_url
from engine.store.reader import Reader
from engine.store.writer import Writer

_SYNC_THREADS = 4
_SWITCH_S = 0.001
"""How long a thread may keep the interpreter while another wants it [s]. The writer gives it up at every statement; at
Python's 5 ms the loop and the writer wait for each other, and a sixth of the order rate is lost."""
_GARBAGE = (10_000, 20, 20)
"""When the interpreter looks for circular garbage; hot paths make none, so its default of 700 objects is often."""

log = structlog.get_logger()


class CannotListen(ConfigError):
    """CFG-132: an address of a listener is not ours, or not free."""

    code = "CFG-132"


@contextmanager
def _binding(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        reason = os.strerror(cause.errno) if cause.errno else "unknown address"
        raise CannotListen(f"cannot listen on {host}:{port}: {reason}") from cause


class Engine:
    """A running Isthmus. `await start()`, use its ports, `await stop()`."""

    def __init__(self, site: Site, folder: DataFolder, clock: Clock | None = None) -> None:
        self.site = site
        self.folder = folder
        self.clock = clock or SystemClock()
        self.limits: Limits = site.settings.limits
        self.mllp: dict[str, MllpServer] = {}
        self.dicom: dict[str, DicomServer] = {}
        self.lanes: dict[str, Lanes] = {}
        self._senders: list[MllpClient] = []
        self.http_port = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Open the data folder, bring the database up to date, then bind every port.

        Raises:
            ConfigError: the folder is in use, or a port cannot be bound; nothing listens then.
            StorageError: the database or the folder cannot be written.
        """
        sys.setswitchinterval(_SWITCH_S)
        gc.set_threshold(*_GARBAGE)
        self.folder.take()
        try:
            await self._open_stores()
            self._build()
            await self._listen()
        except BaseException:
            await self.stop()
            raise
        log.info("engine.started", http=self.http_port, revision=self.site.revision[:12])

    async def _open_stores(self) -> None:
        url = sqlite_url(self.folder.database)
        await asyncio.to_thread(migrate, url)
        self.blobs = FolderStore(self.folder.blobs, self.limits)
        self.sync_pool = ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="sync")
        self.database = open_engine(url)
        self.writer = Writer(self.database, self.clock, self.limits)
        self.writer.start()
        self.reader = Reader(self.database)
        self._spawn(self._sweep(), "sweep")

    async def _sweep(self) -> None:
        """Remove what a crash left behind; blobs that a row knows are kept."""
        loop = asyncio.get_running_loop()

        def is_known(key: BlobKey) -> bool:
            asked = asyncio.run_coroutine_threadsafe(self.reader.run(lambda c: known.knows_blob(c, key)), loop)
            return asked.result()

        swept = await asyncio.to_thread(self.blobs.sweep, is_known)
        if swept.unfinished or swept.orphans:
            log.info("blobs.swept", unfinished=swept.unfinished, orphans=swept.orphans)

    def _build(self) -> None:
        self.quiet = QuietTimer(
            site=self._current, writer=self.writer, reader=self.reader, clock=self.clock, wake=self._wake
        )
        self.validation = ValidationPool(self.limits)
        self.messages = MessageIntake(
            site=self._current,
            writer=self.writer,
            blobs=self.blobs,
            wake=self._wake,
            limits=self.limits,
            check_standard=self.validation,
        )
        self.images = ImageIntake(
            site=self._current,
            writer=self.writer,
            wake=self._wake,
            quiet=self.quiet.arm,
            compare=StoredPixels(self.blobs, self.limits).compare,
        )
        self.resources = ResourceIntake(
            site=self._current,
            writer=self.writer,
            reader=self.reader,
            blobs=self.blobs,
            wake=self._wake,
            limits=self.limits,
        )
        self.worklist = Worklist(
            site=self._current, reader=self.reader, writer=self.writer, clock=self.clock, limits=self.limits
        )
        self.loop_lag = LoopLag(self.clock)
        settings = self.site.settings
        for name, destination in settings.destinations.mllp.items():
            tls = destination.tls
            sender = MllpClient(
                name,
                destination.host,
                destination.port,
                replace(self.limits, mllp_ack_timeout_s=destination.ack_timeout_s),
                ssl_context=destination_tls(tls, self.site.folder).current if tls else None,
                server_name=tls.server_name if tls else None,
                ack_match=destination.ack_match,
            )
            self._senders.append(sender)
            self.lanes[name] = Lanes(
                destination=name,
                sender=sender,
                writer=self.writer,
                reader=self.reader,
                clock=self.clock,
                retry=self._retry,
            )
        self.status = EngineStatus(self)

    async def _listen(self) -> None:
        settings = self.site.settings
        for name, mllp in settings.listeners.mllp.items():
            server = MllpServer(
                name=name,
                host=mllp.host,
                port=mllp.port,
                intake=self.messages,
                limits=replace(self.limits, mllp_message_bytes=mllp.max_message),
                end_block=mllp.end_block,
                allow_unframed=mllp.allow_unframed,
                accept_eof_as_end=mllp.accept_eof_as_end,
                allow_from=mllp.allow_from,
                ssl_context=listener_tls(mllp.tls, self.site.folder).serving() if mllp.tls else None,
            )
            with _binding(mllp.host, mllp.port):
                await server.start()
            self.mllp[name] = server
        for name, dicom in settings.listeners.dicom.items():
            await self._listen_dicom(name, dicom.default_issuer or settings.site.default_issuer)
        await self._listen_http()
        self._spawn(self.quiet.run(), "quiet")
        self._spawn(self.loop_lag.run(), "loop-lag")
        for name, lanes in self.lanes.items():
            self._spawn(lanes.run(), f"lanes:{name}")

    async def _listen_dicom(self, name: str, default_issuer: str) -> None:
        settings = self.site.settings.listeners.dicom[name]

        async def accept(said: InstanceFact) -> None:
            await self.images.accept(said, default_issuer)

        ingest = Ingest(self.blobs, self.sync_pool, accept, self.limits)
        server = DicomServer(
            name=name,
            ae_title=settings.ae_title,
            host=settings.host,
            port=settings.port,
            services=[
                VerificationService(),
                StorageService(ingest),
                WorklistService(self.worklist, limits=self.limits),
            ],
            limits=self.limits,
            strict_ae=settings.strict_ae,
            allowed_calling=frozenset(settings.allowed_calling) if settings.allowed_calling is not None else None,
        )
        with _binding(settings.host, settings.port):
            await server.start()
        self.dicom[name] = server

    async def _listen_http(self) -> None:
        settings = self.site.settings.listeners.http
        app = web.Application(client_max_size=self.limits.fhir_body_bytes)
        add_web(app, reader=self.reader, blobs=self.blobs, site=self._current, status=self.status)
        add_fhir(app, site=self._current, intake=self.resources, reader=self.reader, limits=self.limits)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=self.limits.shutdown_s)
        await self._runner.setup()
        listening = web.TCPSite(self._runner, settings.host, settings.port)
        with _binding(settings.host, settings.port):
            await listening.start()
        self.http_port = self._runner.addresses[0][1]

    @property
    def workers_alive(self) -> bool:
        """Whether everything that must run for ever still runs; the sweep at start is allowed to end."""
        return not any(task.done() for task in self._tasks if task.get_name() != "sweep")

    def _current(self) -> Site:
        return self.site

    def _wake(self, destination: str) -> None:
        lanes = self.lanes.get(destination)
        if lanes is not None:
            lanes.wake()

    def _retry(self, route: str, destination: str) -> Retry:
        for each in self.site.routes:
            if each.name == route:
                for to in each.destinations:
                    if to.name == destination:
                        return to.retry
        return Retry()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_ended)
        self._tasks.append(task)

    async def stop(self) -> None:
        """Stop accepting, finish what was committed, then close the stores; harmless when half started."""
        for mllp in self.mllp.values():
            await mllp.stop()
        for dicom in self.dicom.values():
            await dicom.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sender in self._senders:
            await sender.close()
        if hasattr(self, "validation"):
            await self.validation.close()
        if hasattr(self, "writer"):
            await self.writer.stop()
            self.reader.close()
            self.sync_pool.shutdown()
            self.database.dispose()
        self.folder.release()
        log.info("engine.stopped")


def _ended(task: asyncio.Task[None]) -> None:
    """A worker must not end by itself; when one does, say so instead of going on half alive."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("worker.died", worker=task.get_name(), error=type(error).__name__)
