"""`isthmus check`: reads a site, says everything that is wrong with it, and runs its tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from engine.config.check import run_tests
from engine.config.finding import Finding, as_json
from engine.config.site import SiteRejected, load_site

EXIT_FINDINGS = 1


@click.command()
@click.argument(
    "folder", required=False, envvar="ISTHMUS_SITE", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(folder: Path | None, form: str) -> None:
    """Check the routes, mappings, tables and tests of FOLDER; without it, of the shipped site.

    Exit codes: 0 nothing to mend, 1 findings, 2 wrong use.
    """
    try:
        site = load_site(folder, environ=dict(os.environ))
    except SiteRejected as rejected:
        _print(rejected.findings, form)
        sys.exit(EXIT_FINDINGS)
    report = run_tests(site)
    findings = tuple(sorted((*site.findings, *report.findings)))
    _print(findings, form)
    if any(finding.severity == "error" for finding in findings):
        sys.exit(EXIT_FINDINGS)
    if form == "text":
        counts = [
            (len(site.all_routes), "routes"),
            (len(site.mappings), "mappings"),
            (len(site.files.tables) if site.files else 0, "tables"),
            (report.ran, "tests"),
        ]
        click.echo(", ".join(f"{count} {name}" for count, name in counts) + ": ok")


def _print(findings: tuple[Finding, ...], form: str) -> None:
    if form == "json":
        click.echo(as_json(findings))
    else:
        for finding in findings:
            click.echo(str(finding))
