"""Turns records into pages: the template engine, and how names, times and sizes are written for people."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.config.site import Site
from engine.connectors.web.health import engine_version

_NOTHING: Final = "\N{EN DASH}"
_PACKAGE: Final = "engine.connectors.web"
_GOOD: Final = frozenset({"DELIVERED", "APPLIED", "COMPLETED", "COMPLETE_VERIFIED", "COMPLETE_ASSUMED", "ACQUIRED"})
_GOOD_TOO: Final = frozenset({"RESOLVED", "REPORTED", "READY", "FINAL", "CORRECTED", "ADDENDUM"})
_BAD: Final = frozenset({"DEAD", "REFUSED", "RED", "REJECTED", "IN_ERROR", "WITHDRAWN"})
_WARN: Final = frozenset({"HELD", "HELD_INCOMPLETE", "AMBER", "OPEN", "RETRY", "INCOMPLETE", "DISCONTINUED"})
_NOW: Final = frozenset({"IN_PROGRESS", "STARTED", "RECEIVING", "ARRIVED", "PRELIMINARY"})


class Pages:
    """Renders templates for one site."""

    def __init__(self, site: Callable[[], Site]) -> None:
        self._site = site
        self.style = resources.files(_PACKAGE).joinpath("static/isthmus.css").read_bytes()
        self.icon = resources.files(_PACKAGE).joinpath("static/isthmus.svg").read_bytes()
        self._environment = Environment(
            loader=PackageLoader(_PACKAGE),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": self._when,
            "person": person,
            "day": day,
            "size": size,
            "span": span,
            "tone": tone,
            "words": words,
        }
        self._environment.globals |= {
            "order_path": order_path,
            "style_version": hashlib.sha256(self.style).hexdigest()[:12],
            "version": engine_version(),
        }

    async def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Return a page; it is made beside the event loop, since a long list takes tens of milliseconds."""
        text = await asyncio.to_thread(self.render, template, **values)
        return web.Response(text=text, status=status, content_type="text/html")

    def render(self, template: str, **values: Any) -> str:
        """Return the text of a page."""
        return self._environment.get_template(template).render(site_name=self._site().settings.site.name, **values)

    def _when(self, moment: str | datetime | None) -> Markup | str:
        """Write a time in the site's zone; the exact one in UTC is its title."""
        if not moment:
            return _NOTHING
        zone = ZoneInfo(self._site().settings.site.timezone)
        try:
            exact = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        except ValueError:
            return str(moment)  # a start that the sender did not write as a time is shown as it was kept
        if exact.tzinfo is None:
            return exact.date().isoformat()
        utc = exact.astimezone(ZoneInfo("UTC"))
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            utc.isoformat().replace("+00:00", "Z"),
            utc.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            exact.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        )


def order_path(accession: str | None, issuer: str | None) -> str:
    """Return the address of an order's page."""
    path = f"/orders/{quote(accession or '', safe='')}"
    return f"{path}?{urlencode({'issuer': issuer})}" if issuer else path


def person(name: str) -> str:
    """Write a DICOM PN value as family name, given names. Source: DICOM PS3.5 6.2.1."""
    groups = [group for group in name.split("=") if group]
    if not groups:
        return _NOTHING
    family, _, rest = groups[0].partition("^")
    given = " ".join(part for part in rest.split("^")[:2] if part)
    return f"{family}, {given}" if given and family else family or given or _NOTHING


def day(date: str) -> str:
    """Write YYYY[MM[DD]] with hyphens."""
    if not date.isdigit() or len(date) not in (4, 6, 8):
        return date or _NOTHING
    return "-".join(part for part in (date[:4], date[4:6], date[6:]) if part)


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return _NOTHING
    number = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def span(seconds: float) -> str:
    """Write a length of time in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def words(code: str) -> str:
    """Write a code such as IN_PROGRESS as words."""
    return code.replace("_", " ").lower()


def tone(state: str) -> str:
    """Return how a state or danger is coloured; the words beside it always say the same."""
    folded = state.upper()
    for name, states in (("good", _GOOD | _GOOD_TOO), ("bad", _BAD), ("warn", _WARN), ("now", _NOW)):
        if folded in states:
            return name
    return "plain"
