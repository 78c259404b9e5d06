"""Measures a whole engine on this machine: orders in, images in, worklist out. `make bench` runs it.

Every answer is checked, so a fast wrong answer shows. The engine runs with its defaults: each order and each image is
durable before it is answered, so the rate of syncs that the disk can do stands beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import pstats
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.bench import images, orders, reading, worklist
from tests.bench.figure import Figure, table
from tests.bench.serving import Serving, serving

WARM_UP = 100


def syncs_per_s(folder: Path, number: int = 300) -> float:
    """Return how many appends of 4 KiB the disk under `folder` makes durable a second [1/s], one after the other."""
    path = folder / "syncs"
    with path.open("wb", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(number):
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
        rate = number / (time.perf_counter() - started)
    path.unlink()
    return rate


def measure(engine: Serving, folder: Path, scale: float) -> Iterator[Figure]:
    """Yield the figures one by one; `scale` shrinks or grows every number of operations."""

    def times(number: int) -> int:
        return max(8, int(number * scale))

    orders.place(engine, orders.orders("BW", WARM_UP), connections=1)

    few, many = orders.orders("BA", times(2_000)), orders.orders("BB", times(8_000))
    yield orders.place(engine, few, connections=1)
    yield orders.place(engine, many, connections=16)
    placed = [*few, *many]
    yield orders.look_up(engine, placed)

    asked = placed[:: max(1, len(placed) // times(2_000))]
    items = len(placed) + WARM_UP
    yield worklist.ask(engine, asked, items=items, associations=1)
    yield worklist.ask(engine, asked, items=items, associations=4)

    for what, prefix, number, size in (("CT 512x512", "BC", 200, 512), ("10 KB objects", "BS", 400, 68)):
        for associations in (1, 4):
            studies = orders.orders(f"{prefix}{associations}", 8)
            orders.place(engine, studies, connections=1)
            made = folder / f"{prefix}{associations}"
            folders = images.make(made, studies, number=times(number), size=size, associations=associations)
            yield images.store(engine, folders, what=what)
            shutil.rmtree(made)


def main() -> int:
    """Run the benchmark; exit code 1 when an answer was wrong, or reading misses its target."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on every number of operations")
    parser.add_argument("--folder", type=Path, help="where data and images go; default: the system's temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--profile", action="store_true", help="run under cProfile: figures are slower, then top lines")
    chosen = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="isthmus-bench-", dir=chosen.folder) as name:
        folder = Path(name)
        profile = folder / "profile" if chosen.profile else None
        syncs = syncs_per_s(folder)
        figures: list[Figure] = []
        with serving(folder, profile=profile) as engine:
            idle_mib = engine.memory_mib()
            for figure in measure(engine, folder, chosen.scale):
                figures.append(figure)
                print(f"… {figure.what}: {figure.rate:,.0f}/s", file=sys.stderr)
            facts = {
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "syncs_per_s": round(syncs),
                "start_s": round(engine.started_in_s, 2),
                "idle_mib": round(idle_mib),
                "loaded_mib": round(engine.memory_mib()),
            }
        read = reading.measure(chosen.scale)
        print(table(figures))
        print(read)
        print(", ".join(f"{key} {value}" for key, value in facts.items()))
        if chosen.json:
            report = {**facts, "reading": asdict(read), "figures": [figure.as_json() for figure in figures]}
            chosen.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        if profile:
            print("\nthe event loop's thread (writer and sync threads are not in it):")
            pstats.Stats(str(profile)).sort_stats("tottime").print_stats(25)
    return 1 if any(figure.wrong for figure in figures) or not read.is_fast_enough else 0


if __name__ == "__main__":
    sys.exit(main())
