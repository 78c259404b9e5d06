"""The engine of the demo: `isthmus serve` as a child process in a scratch folder, on ports that the system chooses."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

QUIET_S = 3.0
"""After how long without images a study counts as complete in the demo [s]; a slow disk must not pause that long."""
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 30.0
_LOOK_AGAIN_S = 0.02
_TAIL_LINES = 20
_LOG = "engine.log"

_SITE = """\
# The shipped site, for a morning that lasts seconds on whatever disk a laptop has left.
issuers: [{key: HOSP, namespaces: [HOSP]}]
limits: {disk_floor_bytes: 64MiB, disk_floor_share: 0}
"""
_MLLP = re.compile(r"mllp://(\S+):(\d+)")
_DICOM = re.compile(r"DICOM +(\S+)@\S+:(\d+)")
_HTTP = re.compile(r"Pages +(http://\S+?)/ ")


class NotStarted(Exception):
    """The engine ended, or was not ready in time; the text holds the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an engine listens."""

    url: str
    """Of its pages, without a slash at the end."""
    host: str
    mllp_port: int
    dicom_port: int
    ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A child engine that runs."""

    address: Address
    folder: Path
    process_id: int


@asynccontextmanager
async def hosted(ris_port: int, *, keep: bool) -> AsyncIterator[Hosted]:
    """Run an engine; stop it and remove its folder at the end, unless `keep`.

    Raises:
        NotStarted: it did not become ready.
    """
    folder = Path(mkdtemp(prefix="isthmus-demo-"))
    process = _started(folder, ris_port)
    ended_well = False
    try:
        address = await _listening(process, folder)
        yield Hosted(address=address, folder=folder, process_id=process.pid)
        ended_well = True
    finally:
        if not (keep and ended_well):
            await asyncio.to_thread(_stop, process)
            rmtree(folder, ignore_errors=True)


def _started(folder: Path, ris_port: int) -> subprocess.Popen[bytes]:
    site = folder / "site"
    site.mkdir()
    (site / "isthmus.yaml").write_text(_SITE, "utf-8")
    with (folder / _LOG).open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "engine.cli.main", "serve", "--site", site, "--data", folder / "data"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(ris_port),
            start_new_session=True,  # Ctrl-C is for the demo, which then stops the engine
        )


def _environment(ris_port: int) -> dict[str, str]:
    """Return our environment without what would make the engine another one than the demo's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ISTHMUS_")}
    return kept | {
        "ISTHMUS_MLLP_PORT": "0",
        "ISTHMUS_DICOM_PORT": "0",
        "ISTHMUS_HTTP_PORT": "0",
        "ISTHMUS_RIS_PORT": str(ris_port),
        "ISTHMUS_QUIET_S": str(QUIET_S),
    }


async def _listening(process: subprocess.Popen[bytes], folder: Path) -> Address:
    """Wait until the engine says where it listens; the lines are those of `isthmus serve`."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                said = _said(folder)
                mllp, dicom, http = (pattern.search(said) for pattern in (_MLLP, _DICOM, _HTTP))
                if mllp and dicom and http:
                    return Address(
                        url=http[1],
                        host=mllp[1],
                        mllp_port=int(mllp[2]),
                        dicom_port=int(dicom[2]),
                        ae_title=dicom[1],
                    )
                if process.poll() is not None:
                    raise NotStarted(f"the engine ended with {process.returncode}:\n{_tail(said)}")
                await asyncio.sleep(_LOOK_AGAIN_S)
    except TimeoutError as cause:
        raise NotStarted(f"the engine was not ready within {READY_WITHIN_S:.0f} s") from cause


def _said(folder: Path) -> str:
    return (folder / _LOG).read_text("utf-8", errors="replace")


def _tail(said: str) -> str:
    return "\n".join(said.splitlines()[-_TAIL_LINES:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
