"""The command `isthmus demo`: sets the stage, has the morning played, shows how it ends and whether that is right."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

import aiohttp
import click

from engine.cli.demo import phantom
from engine.cli.demo.cast import Cast, new_cast
from engine.cli.demo.ending import IMAGES, Check, Ending, answered, check, collect
from engine.cli.demo.his import His
from engine.cli.demo.host import QUIET_S, Address, Hosted, NotStarted, hosted
from engine.cli.demo.modality import Modality
from engine.cli.demo.narration import Narrator, new_console
from engine.cli.demo.report import as_json, draw
from engine.cli.demo.ris import Notice, Ris
from engine.cli.demo.stage import Films, Stage, Unexpected
from engine.cli.demo.story import morning, play, verdict
from engine.core.errors import EngineError

EXIT_WRONG = 1
_TOLD_WITHIN_S = 20.0
_TOLD_WITHIN_S_AGAINST = 180.0
"""A running engine has its own quiet time; the shipped one is 60 s."""


_PLAYERS = (
    "The HIS registers patients and orders examinations, and so does the EHR. CT1 and CR1 are a scanner and an X-ray "
    "device. The RIS is the radiology department's own system. Isthmus, the engine, stands between them and keeps "
    "orders and images together. Everybody talks over real network connections; every patient is invented."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the person typed. `against` is the engine to use; None starts one."""

    against: Address | None
    ris_port: int
    keep: bool
    as_json: bool


@click.command()
@click.option("--against", metavar="URL", help="Use the engine that runs here, e.g. http://127.0.0.1:8080, instead of starting one.")  # fmt: skip  # noqa: E501
@click.option("--mllp-port", type=click.IntRange(1, 65535), default=2575, show_default=True, help="Its HL7 port (with --against).")  # fmt: skip  # noqa: E501
@click.option("--dicom-port", type=click.IntRange(1, 65535), default=11112, show_default=True, help="Its DICOM port (with --against).")  # fmt: skip  # noqa: E501
@click.option("--ae-title", default="ISTHMUS", show_default=True, help="Its DICOM AE title (with --against).")
@click.option("--ris-port", type=click.IntRange(1, 65535), default=2576, show_default=True, help="Where it sends what is for the RIS; the demo listens there (with --against).")  # fmt: skip  # noqa: E501
@click.option("--keep", is_flag=True, help="Leave the engine running at the end, and print its addresses.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the story, the end and the checks as JSON instead of tables.")  # fmt: skip  # noqa: E501
def demo(
    against: str | None,
    mllp_port: int,
    dicom_port: int,
    ae_title: str,
    ris_port: int,
    *,
    keep: bool,
    json_wanted: bool,
) -> None:
    """Play a hospital's morning against a real engine, over real sockets: a HIS, an EHR, two modalities and a RIS.

    Without --against an engine is started on free ports in a scratch folder, and removed at the end.

    An engine named by --against must send to the RIS on this machine (ISTHMUS_RIS_PORT, 2576 unless changed). It gets
    invented patients that stay in it, and whatever waits for the RIS is delivered to the demo. Start it with
    ISTHMUS_QUIET_S=2, or the demo waits for its quiet time.

    Exit codes: 0 everything is as it must be, 1 something is not, 2 wrong use.
    """
    running = _address(against, mllp_port, dicom_port, ae_title) if against else None
    wish = Wish(against=running, ris_port=ris_port if running else 0, keep=keep, as_json=json_wanted)
    try:
        right = asyncio.run(_interruptible(wish))
    except NotStarted as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the demo cannot play: {error}") from error
    sys.exit(0 if right else EXIT_WRONG)


def _address(url: str, mllp_port: int, dicom_port: int, ae_title: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("must be an address such as http://127.0.0.1:8080", param_hint="--against")
    return Address(
        url=f"{parts.scheme}://{parts.netloc}",
        host=parts.hostname,
        mllp_port=mllp_port,
        dicom_port=dicom_port,
        ae_title=ae_title,
    )


async def _interruptible(wish: Wish) -> bool:
    """Run the demo; SIGTERM ends it as Ctrl-C does, so that the engine is stopped either way."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await _run(wish)
    except asyncio.CancelledError:
        raise click.Abort from None


async def _run(wish: Wish) -> bool:
    narrator = Narrator(monotonic, None if wish.as_json else new_console())
    cast = new_cast(secrets.token_hex(2).upper() if wish.against else "")
    told = {exam.accession_number for exam in cast.exams}

    def tell(notice: Notice) -> None:
        if notice.accession_number in told:
            images = "1 image" if notice.instances == "1" else f"{notice.instances} images"
            said = f"{notice.description} of {notice.patient_name}: images complete ({images})"
            narrator.tell("Isthmus", "RIS", said, verdict("AA"))

    ris = Ris(on_notice=tell)
    try:
        await ris.start(wish.ris_port)
    except OSError as cause:
        raise NotStarted(f"the RIS of the demo cannot listen on port {wish.ris_port}") from cause
    try:
        narrator.line("A hospital's morning", "bold")
        narrator.line(_PLAYERS)
        filming = asyncio.create_task(asyncio.to_thread(_films))
        async with _engine(wish, ris.port) as (address, host):
            films = await filming
            narrator.line(_where(address, host), "dim")
            narrator.line()
            async with _stage(address, cast, films, ris) as stage:
                narrator.start()
                quiet, within = (QUIET_S, _TOLD_WITHIN_S) if host else (None, _TOLD_WITHIN_S_AGAINST)
                await play(stage, morning(quiet, within), narrator)
                ending, checks = await _ended(stage, narrator)
            if wish.as_json:
                told_as = as_json(narrator.rows, ending, checks, address, cast)
                told_as["kept"] = _kept(host, ris.port) if wish.keep and host is not None else None
                click.echo(json.dumps(told_as, indent=2))
            else:
                draw(narrator, cast, ending, checks)
                if wish.keep and host is not None:
                    _say_kept(narrator, host, cast)
    finally:
        await ris.stop()
    return all(each.ok for each in checks)


async def _ended(stage: Stage, narrator: Narrator) -> tuple[Ending | None, Sequence[Check]]:
    try:
        ending = await collect(stage)
    except (Unexpected, EngineError, OSError, aiohttp.ClientError) as error:
        silent = Check(name="the engine tells how things stand in the end", ok=False, found=str(error))
        return None, [*answered(narrator.rows), silent]
    return ending, check(stage.cast, narrator.rows, ending)


def _films() -> Films:
    return Films(
        abdomen=list(phantom.abdomen(IMAGES["abdomen"])),
        head=list(phantom.head(IMAGES["head"])),
        chest=[phantom.chest()],
        hand=[phantom.hand()],
    )


@asynccontextmanager
async def _engine(wish: Wish, ris_port: int) -> AsyncIterator[tuple[Address, Hosted | None]]:
    if wish.against is not None:
        yield wish.against, None
        return
    async with hosted(ris_port, keep=wish.keep) as host:
        yield host.address, host


@asynccontextmanager
async def _stage(address: Address, cast: Cast, films: Films, ris: Ris) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as opened:
        http = await opened.enter_async_context(aiohttp.ClientSession(address.url))
        try:
            async with http.get("/health/ready") as ready:
                if ready.status != 200:
                    raise NotStarted(f"the engine is not ready: {address.url}/health/ready answers {ready.status}")
        except aiohttp.ClientError as cause:
            raise NotStarted(f"nobody answers at {address.url}") from cause
        his, terminal = (
            [await opened.enter_async_context(His(address.host, address.mllp_port)) for _ in range(2)]
        )  # fmt: skip
        ct, cr = (
            Modality(
                ae_title=name,
                kind=name[:2],
                host=address.host,
                port=address.dicom_port,
                called_ae=address.ae_title,
            )
            for name in ("CT1", "CR1")
        )
        yield Stage(cast=cast, films=films, http=http, his=his, terminal=terminal, ct=ct, cr=cr, ris=ris)


def _where(address: Address, host: Hosted | None) -> str:
    listening = f"HL7 port {address.mllp_port}, DICOM {address.ae_title} on port {address.dicom_port}, {address.url}"
    return f"An engine was started in {host.folder}: {listening}" if host else f"The engine at {listening}"


def _kept(host: Hosted, ris_port: int) -> dict[str, object]:
    return {"process_id": host.process_id, "folder": str(host.folder), "ris_port": ris_port}


def _say_kept(narrator: Narrator, host: Hosted, cast: Cast) -> None:
    address = host.address
    narrator.heading("The engine goes on running")
    narrator.line(
        f"  pages    {address.url}/orders/{cast.abdomen.accession_number}   what is held: {address.url}/holds"
    )
    narrator.line(f"  API      {address.url}/api/orders   FHIR {address.url}/fhir/metadata")
    narrator.line(f"  HL7 v2   mllp://{address.host}:{address.mllp_port}")
    narrator.line(f"  DICOM    {address.ae_title}@{address.host}:{address.dicom_port}")
    narrator.line(f"  stop it  kill {host.process_id}; rm -r {host.folder}")
