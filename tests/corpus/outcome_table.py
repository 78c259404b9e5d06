"""The table of outcomes, hl7_outcomes.tsv: one row for each message of each file of the corpus.

A person reviews it, a test compares it. `make corpus-table` writes it anew; the change then shows in the diff.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

import structlog

from engine.hl7.acknowledgement import read_ack
from tests.corpus.sending import Bench, Sent, body_of, files_of

TABLE: Final = Path(__file__).with_name("hl7_outcomes.tsv")
HEADINGS: Final = ("file", "message", "MSH-9", "state", "MSA-1", "code", "place", "words")
_EVENT = re.compile(r"[A-Z0-9_]{0,8}\^[A-Z0-9_]{0,8}")

_OUR_LINE = re.compile(r" at mappings/[^:]+:\d+")
"""Lines of mappings move with every edit, and no sender is told of them."""

Rows = list[tuple[str, ...]]


def rows_of(name: str, sent: Sent) -> Rows:
    """Return the rows of one file; a file that leaves no message has one row that says so."""
    if not sent.kept:
        return [(name, "0", "", "nothing", _codes(sent.answers), "", "", "")]
    return [
        (
            name,
            str(number),
            kept.message_type if _EVENT.fullmatch(kept.message_type) else "?" if kept.message_type else "",
            kept.state,
            _codes(kept.answers),
            kept.code,
            kept.place,
            told(kept.text),
        )
        for number, kept in enumerate(sent.kept, 1)
    ]


def told(text: str) -> str:
    """Return the words of our journal as a sender is told them: without lines of files of ours."""
    return _OUR_LINE.sub("", text)


def _codes(answers: tuple[bytes, ...]) -> str:
    """Return MSA-1 of each answer."""
    return " ".join(read_ack(frame).code for frame in answers)


def read_table() -> dict[str, Rows]:
    """Return the rows of each file as they stand in the table."""
    expected: dict[str, Rows] = {}
    for line in TABLE.read_text("utf-8").splitlines()[1:]:
        row = tuple(line.split("\t"))
        expected.setdefault(row[0], []).append(row)
    return expected


async def write_table(corpus: Path) -> int:
    """Send every file and write the table; return how many rows it has."""
    lines = ["\t".join(HEADINGS)]
    with tempfile.TemporaryDirectory(prefix="isthmus-corpus-") as name:
        bench = Bench.made_in(Path(name))
        for number, (file, path) in enumerate(files_of(corpus).items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            lines += ["\t".join(row) for row in rows_of(file, await bench.send(body_of(path), folder))]
    TABLE.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines) - 1


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    default = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
    written = asyncio.run(write_table(Path(os.environ.get("ISTHMUS_CORPUS", default))))
    print(f"{TABLE}: {written} messages", file=sys.stderr)  # noqa: T201  (a command)
    if defects := [row for rows in read_table().values() for row in rows if row[3] == "dead"]:
        sys.exit("\n".join(["these are defects of ours, not outcomes:", *map("  ".join, defects)]))
