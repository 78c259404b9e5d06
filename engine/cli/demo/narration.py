"""Tells the story as it happens: one table row for each thing said, printed when it was answered.

Nothing is redrawn, so a terminal and a CI log show the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

_NARROWEST = 80
_WIDEST = 120
_LOG_WIDTH = 100
"""Columns where the output is no terminal and nobody says how wide it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Something that was said, and what came back. `at_s` counts from the start of the story [s]."""

    at_s: float
    who: str
    whom: str
    said: str
    answer: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and its width or its share of what the others leave."""

    heading: str
    share: int = 0
    width: int = 0


_STORY = (Column(" time", width=5), Column("who → whom", width=18), Column("what", 9), Column("answer", 10))
_HEADING = ("bold underline",) * 5
_PLAIN = ("",) * 5


@dataclass
class Narrator:
    """Keeps the rows, and prints them when there is a console.

    Args:
        clock: Seconds from any fixed moment, never going back [s].
        console: Where to print; None keeps silent.
    """

    clock: Callable[[], float]
    console: Console | None
    rows: list[Row] = field(default_factory=list)
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def start(self) -> None:
        """Let time begin to count, and print the headings."""
        self._started = self.clock()
        self._print_row(_HEADING, [column.heading for column in _STORY], "", _STORY)

    @property
    def elapsed_s(self) -> float:
        """Time since the start of the story [s]."""
        return self.clock() - self._started

    def tell(self, who: str, whom: str, said: str, answer: str, *, ok: bool = True) -> None:
        """Add a row."""
        row = Row(at_s=round(self.elapsed_s, 3), who=who, whom=whom, said=said, answer=answer, ok=ok)
        self.rows.append(row)
        between = f"{who} {self._sign('→', '->')} {whom}" if whom else who
        mark = self._sign("✓", "ok") if ok else self._sign("✗", "!!")
        cells = [f"{row.at_s:4.1f}s", between, said, answer]
        self._print_row(
            ("dim", "cyan", "", "" if ok else "bold red", "green" if ok else "bold red"), cells, mark, _STORY
        )

    def heading(self, text: str) -> None:
        """Print a line that begins a part."""
        self.line()
        self.line(text, "bold")

    def line(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        if self.console is not None:
            self.console.print(Text(self.plain(text), style=style))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Print a small table."""
        if any(column.heading for column in columns):
            self._print_row(_HEADING, [column.heading for column in columns], "", columns)
        for cells in rows:
            self._print_row(_PLAIN, list(cells), "", columns)

    def plain(self, text: str) -> str:
        """Return a text with signs that the output can show."""
        return text if self._is_unicode else text.replace("→", "->").replace("✓", "ok").replace("✗", "!!")

    def _print_row(self, styles: Sequence[str], cells: Sequence[str], mark: str, columns: Sequence[Column]) -> None:
        if self.console is None:
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        for column in columns:
            if column.share:
                table.add_column(ratio=column.share, overflow="fold")
            else:
                table.add_column(width=column.width, overflow="fold")
        table.expand = True
        shown = [Text(self.plain(cell), style=style) for cell, style in zip(cells, styles, strict=False)]
        if columns is _STORY:
            table.add_column(width=2)
            shown.append(Text(mark, style=styles[-1]))
        table.add_row(*shown)
        self.console.print(table)

    @property
    def _is_unicode(self) -> bool:
        return self.console is None or self.console.encoding.lower().startswith("utf")

    def _sign(self, sign: str, plain: str) -> str:
        return sign if self._is_unicode else plain


class StoryConsole(Console):
    """Falls silent when nobody reads any more (`isthmus demo | head`); the story is played and checked to its end."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def new_console() -> Console:
    """Return the console of standard output: 80 to 120 columns wide. NO_COLOR and COLUMNS are obeyed."""
    console = StoryConsole(highlight=False)
    wanted = console.width if console.is_terminal or "COLUMNS" in os.environ else _LOG_WIDTH
    console.width = min(max(wanted, _NARROWEST), _WIDEST)
    return console
