"""`isthmus`: the commands by name. A command's module is imported only when it runs, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and one line about it."""

    module: str
    function: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    "check": Entry("engine.cli.check", "check", "Check the routes, mappings, tables and tests of a site."),
    "demo": Entry("engine.cli.demo.command", "demo", "Play a hospital's morning against a real engine."),
    "map": Entry("engine.cli.map", "map_file", "Run one mapping on one file, and say where every value came from."),
    "serve": Entry("engine.cli.serve", "serve", "Run the engine."),
}
"""A new command is one line here and one module."""


class LazyGroup(click.Group):
    """Finds commands in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of help."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None when there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), entry.function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])


def _version() -> str:
    try:
        return version("isthmus")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="isthmus")
def main() -> None:
    """Isthmus: an HL7/FHIR integration engine between PACS, RIS and HIS."""


if __name__ == "__main__":
    main()
