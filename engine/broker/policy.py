"""Hands linkage what the site's files say about orders."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from engine.config.sender import USUAL_WAYS, Ways
from engine.config.site import Site
from engine.linkage.policy import CodeEntry, OrderPolicy


def order_policy(site: Site, sender: str, ways: Ways = USUAL_WAYS.usual) -> OrderPolicy:
    """Return the site's answers to what an order of `sender` (`MSH-3/MSH-4`) leaves open."""
    stations = site.settings.stations

    def code(of: str, system: str, value: str) -> CodeEntry | None:
        row = site.code_map.find(value, system=system, sender=of)
        if row is None:
            return None
        return CodeEntry(
            modality=row.modality, station_aes=stations.group(row.station_group), description=row.description
        )

    return OrderPolicy(
        code=code,
        stations=stations.for_modality,
        timezone=ZoneInfo(site.settings.site.timezone),
        nw_as_update=sender in site.settings.orders.nw_as_update,
        sender=sender,
        controls=ways.controls,
        numbers_orders=ways.answers == "order",
    )
