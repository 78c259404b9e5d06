"""`isthmus`: the commands by name. A command's module is imported only when it runs, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click

COMMANDS: Mapping[str, str] = {
    "check": "engine.cli.check:check",
    "demo": "engine.cli.demo:demo",
    "map": "engine.cli.map:map_file",
    "serve": "engine.cli.serve:serve",
}
"""Name → module:function. A new command is one line here and one module."""


class LazyGroup(click.Group):
    """Finds commands in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of help."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None when there is none of that name."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


def _version() -> str:
    try:
        return version("isthmus")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="isthmus")
def main() -> None:
    """Isthmus: an HL7/FHIR integration engine between PACS, RIS and HIS."""
