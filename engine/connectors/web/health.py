"""Says whether the process turns, whether it can keep its promises, and what it counted.

Source: spec/reliability.md section 10 (health); Prometheus text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.connectors.web.api import json_answer
from engine.desk.overview import Figures, Overview


class Health:
    """Handlers of /health and /metrics."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    async def live(self, request: web.Request) -> web.Response:
        """Answer 200 while the event loop turns."""
        return json_answer({"status": "live"})

    async def ready(self, request: web.Request) -> web.Response:
        """Answer 200 when every check holds, else 503 with what does not."""
        checks = await self._overview.checks()
        is_ready = all(check.is_ok for check in checks)
        told = {check.name: {"ok": check.is_ok, "detail": check.detail} for check in checks}
        return json_answer({"ready": is_ready, "checks": told}, status=200 if is_ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with every figure in Prometheus text."""
        registry = CollectorRegistry()
        registry.register(_Snapshot(await self._overview.figures()))
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=generate_latest(registry), headers=headers)


class _Snapshot(Collector):
    """The figures of one moment; no patient data, only names of isthmus.yaml and outcomes."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        counts = self._figures.counts
        yield InfoMetricFamily("isthmus_build", "Version of the engine.", {"version": engine_version()})
        yield _by_label("messages", "Messages received since the start, by outcome.", "state", counts.messages)
        yield _by_label("instances", "Instances received since the start, by outcome.", "outcome", counts.instances)
        yield CounterMetricFamily("isthmus_worklist_queries", "Worklist queries answered.", counts.worklist_queries)
        yield CounterMetricFamily("isthmus_writer_batches", "Commits of the writer.", counts.writer_batches)
        yield CounterMetricFamily("isthmus_writer_units", "Units of work of the writer.", counts.writer_units)
        yield GaugeMetricFamily("isthmus_writer_backlog", "Units that wait for the next commit.", counts.writer_backlog)
        yield GaugeMetricFamily("isthmus_associations", "Open DICOM associations.", counts.associations)
        yield GaugeMetricFamily("isthmus_mllp_connections", "Open MLLP connections.", counts.mllp_connections)
        yield GaugeMetricFamily("isthmus_loop_lag_seconds", "How late the event loop woke last.", counts.loop_lag_s)
        if counts.disk_free_bytes is not None:
            yield GaugeMetricFamily("isthmus_disk_free_bytes", "Free space for objects.", counts.disk_free_bytes)
        yield from self._lanes()
        holds = GaugeMetricFamily("isthmus_holds_open", "Holds that wait for a person.", labels=["danger"])
        for danger in ("RED", "AMBER", "YELLOW"):
            holds.add_metric([danger], self._figures.holds.get(danger, 0))
        yield holds

    def _lanes(self) -> Iterator[Metric]:
        labels = ["destination"]
        deliveries = CounterMetricFamily(
            "isthmus_deliveries", "Attempts to deliver since the start.", labels=["destination", "outcome"]
        )
        waiting = GaugeMetricFamily("isthmus_outbox_waiting", "Notices that wait.", labels=labels)
        oldest = GaugeMetricFamily("isthmus_outbox_oldest_seconds", "Age of the oldest waiting notice.", labels=labels)
        dead = GaugeMetricFamily("isthmus_outbox_dead", "Notices that were given up.", labels=labels)
        for lane in self._figures.lanes:
            name = lane.destination.name
            deliveries.add_metric([name, "delivered"], lane.destination.delivered)
            deliveries.add_metric([name, "failed"], lane.destination.failed)
            waiting.add_metric([name], lane.figures.waiting)
            oldest.add_metric([name], lane.oldest_s)
            dead.add_metric([name], lane.figures.dead)
        yield from (deliveries, waiting, oldest, dead)


def _by_label(name: str, text: str, label: str, counted: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"isthmus_{name}", text, labels=[label])
    for value, number in counted.items():
        family.add_metric([value], number)
    return family


def engine_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("isthmus")
    except PackageNotFoundError:
        return "unknown"
