"""`isthmus map`: runs one mapping on one file, and says where every value came from."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from engine.config.check import read_source
from engine.config.site import SiteRejected, load_site
from engine.core.errors import EngineError
from engine.mapping.copied import Copied
from engine.mapping.outgoing import Outgoing
from engine.mapping.result import Result
from engine.records.explicit import NULL

EXIT_FINDINGS = 1
_SHOWN_CONTROL_ID = "CONTROL-ID"


@click.command("map")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--site", "folder", envvar="ISTHMUS_SITE", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of the site; without it the shipped site.")  # fmt: skip  # noqa: E501
@click.option("--explain", is_flag=True, help="Say for each target field which source position gave it.")
def map_file(name: str, file: Path, folder: Path | None, *, explain: bool) -> None:
    """Run the mapping NAME on FILE (.json for FHIR and events, else an HL7 message) and print what it becomes.

    Exit codes: 0 done, 1 the site or the file is refused, 2 wrong use.
    """
    try:
        site = load_site(folder, environ=dict(os.environ))
        source = read_source(file.read_bytes(), file.name)
        results = site.mapping(name).run(source, site.context(), explain=explain)
    except SiteRejected as rejected:
        for finding in rejected.findings:
            click.echo(str(finding), err=True)
        sys.exit(EXIT_FINDINGS)
    except EngineError as error:
        place = f" at {error.where}" if error.where else ""
        click.echo(f"isthmus: {error.code}: {error.kept_text}{place}", err=True)
        sys.exit(EXIT_FINDINGS)
    if not results:
        click.echo("nothing: the mapping's `when:` leaves this out", err=True)
    for warning in dict.fromkeys(each for result in results for each in result.warnings):
        click.echo(f"left out: {warning.text}", err=True)
    for result in results:
        click.echo(_explained(result) if explain else _shown(result.fact))


def _shown(fact: Any) -> str:
    if isinstance(fact, Outgoing | Copied):
        content = fact.render(control_id=_SHOWN_CONTROL_ID, now=datetime.now(UTC))
        return content.decode(errors="replace").replace("\r", "\n").rstrip()
    said = _without_nothing(_plain(fact))
    return orjson.dumps(said, option=orjson.OPT_INDENT_2).decode()


def _explained(result: Result) -> str:
    lines = [
        (one.target, _as_text(one.value), one.source or "(literal)", f"{one.file}:{one.line}")
        for one in result.explain
        if one.value not in (None, "")
    ]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(line[:3], widths, strict=True)), line[3]])
        for line in lines
    )


def _as_text(value: Any) -> str:
    if value is NULL:
        return "(erased)"
    if isinstance(value, tuple):
        return "; ".join(str(_without_nothing(_plain(one))) for one in value)
    return str(value).replace("\n", "⏎")


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _without_nothing(value: Any) -> Any:
    if value is NULL:
        return {"erase": True}
    if isinstance(value, dict):
        return {name: _without_nothing(one) for name, one in value.items() if one not in (None, "", (), [])}
    if isinstance(value, list | tuple):
        return [_without_nothing(one) for one in value]
    return value
