"""`isthmus serve`: runs the engine until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import click

from engine.app.data_folder import DataFolder
from engine.app.engine import Engine
from engine.app.logging import set_up_logging
from engine.config.site import Site, SiteRejected, load_site
from engine.core.errors import ConfigError, StorageError

EXIT_STORAGE = 74
EXIT_CONFIGURATION = 78


@click.command()
@click.option("--site", "site_folder", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="ISTHMUS_SITE", help="Folder with isthmus.yaml, routes/ and mappings/; without it the shipped site runs.")  # fmt: skip  # noqa: E501
@click.option("--data", "data_folder", type=click.Path(file_okay=False, path_type=Path), help="Folder of database and objects.  [default: ./data]")  # fmt: skip  # noqa: E501
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", envvar="ISTHMUS_LOG_LEVEL", show_default=True)  # fmt: skip  # noqa: E501
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", envvar="ISTHMUS_LOG_FORMAT", show_default=True)  # fmt: skip  # noqa: E501
def serve(site_folder: Path | None, data_folder: Path | None, log_level: str, log_format: str) -> None:
    """Run the engine: MLLP, DICOM and HTTP on the ports of the site.

    Stops on SIGTERM or Ctrl-C after finishing what was committed. Exit codes: 0 clean stop, 74 storage, 78
    configuration.
    """
    set_up_logging(log_level, "json" if log_format == "json" else "text")
    try:
        site = load_site(site_folder, environ=dict(os.environ))
    except SiteRejected as error:
        for finding in error.findings:
            click.echo(str(finding), err=True)
        sys.exit(EXIT_CONFIGURATION)
    folder = DataFolder(data_folder or Path(site.settings.data))
    try:
        asyncio.run(_run(Engine(site, folder), site, folder))
    except ConfigError as error:
        click.echo(f"isthmus: {error}", err=True)
        sys.exit(EXIT_CONFIGURATION)
    except StorageError as error:
        click.echo(f"isthmus: {error}", err=True)
        sys.exit(EXIT_STORAGE)
    except OSError as error:
        click.echo(f"isthmus: {error.strerror or error}", err=True)
        sys.exit(EXIT_CONFIGURATION)


async def _run(engine: Engine, site: Site, folder: DataFolder) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await engine.start()
    click.echo(where_it_listens(engine, site, folder))
    await stop.wait()
    await engine.stop()


def where_it_listens(engine: Engine, site: Site, folder: DataFolder) -> str:
    """Return a few lines that tell a person where to point things."""
    settings = site.settings
    lines = [f"Isthmus is running; data in {folder.path}"]
    lines += [
        f"  HL7 v2   mllp://{settings.listeners.mllp[name].host}:{server.port}  ({name})"
        for name, server in engine.mllp.items()
    ]
    for name, server in engine.dicom.items():
        listener = settings.listeners.dicom[name]
        lines.append(f"  DICOM    {listener.ae_title}@{listener.host}:{server.port}  ({name})")
    base = f"http://{settings.listeners.http.host}:{engine.http_port}"
    lines.append(f"  Pages    {base}/   FHIR {base}/fhir   API {base}/api   metrics {base}/metrics")
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
