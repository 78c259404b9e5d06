"""A real engine in a process of its own: started on free ports, asked over HTTP, stopped politely."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package that nothing else here needs

READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A running engine: where it listens and what it uses."""

    process: psutil.Process
    mllp_port: int
    dicom_port: int
    http_port: int
    started_in_s: float

    def cpu_s(self) -> float:
        """Return the CPU time [s] that the engine and its workers have used so far."""
        used = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            times = process.cpu_times()
            used += times.user + times.system
        return used

    def memory_mib(self) -> float:
        """Return the resident memory [MiB] of the engine's main process."""
        return float(self.process.memory_info().rss) / 2**20

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the engine's HTTP port, to be used for many requests."""
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """GET a path; return status and body."""
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def orders_with(connection: http.client.HTTPConnection, accession: str) -> list[dict[str, object]]:
    """Return the orders that the engine lists under an accession number."""
    status, body = ask(connection, f"/api/orders?accession={accession}")
    if status != http.HTTPStatus.OK:
        raise RuntimeError(f"/api/orders answered {status}")
    found = json.loads(body)
    orders: list[dict[str, object]] = found if isinstance(found, list) else found["orders"]
    return orders


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the engine ended with {process.returncode}:\n{_tail(log)}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            if ask(connection, "/health/ready")[0] == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass  # it does not listen yet; asked again below until the deadline
        finally:
            connection.close()
        time.sleep(0.02)
    raise RuntimeError(f"the engine was not ready within {READY_WITHIN_S:.0f} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-20:])


@contextmanager
def serving(folder: Path, *, profile: Path | None = None) -> Iterator[Serving]:
    """Run `isthmus serve` with its data and log in `folder`; stop it at the end and check that it ended cleanly.

    Args:
        folder: An existing, empty folder.
        profile: Where cProfile writes what the event loop's thread did; None runs the engine as it is.
    Raises:
        RuntimeError: it did not start, or did not stop with exit code 0.
    """
    mllp_port, dicom_port, http_port, ris_port = _free_ports(4)
    environment = os.environ | {
        "ISTHMUS_MLLP_PORT": str(mllp_port),
        "ISTHMUS_DICOM_PORT": str(dicom_port),
        "ISTHMUS_HTTP_PORT": str(http_port),
        "ISTHMUS_RIS_PORT": str(ris_port),
    }
    log = folder / "engine.log"
    profiler = ["-m", "cProfile", "-o", str(profile)] if profile else []
    command = [sys.executable, *profiler, str(Path(sys.executable).with_name("isthmus")), "serve"]
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        _wait_until_ready(process, http_port, log)
        yield Serving(
            process=psutil.Process(process.pid),
            mllp_port=mllp_port,
            dicom_port=dicom_port,
            http_port=http_port,
            started_in_s=time.monotonic() - started,
        )
        process.send_signal(signal.SIGTERM)
        if process.wait(STOPPED_WITHIN_S) != 0:
            raise RuntimeError(f"the engine stopped with {process.returncode}:\n{_tail(log)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
