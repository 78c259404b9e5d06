"""Reads the parameters of an address. Empty counts as not given, so that an empty form field narrows nothing."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from multidict import MultiMapping

from engine.connectors.web.errors import BadParameter
from engine.core.ids import RowId
from engine.store.paging import Cut

E = TypeVar("E", bound=StrEnum)
Query = MultiMapping[str]

_ROW: Final = re.compile(r"[0-9]{1,18}")
_LIMIT: Final = 100
_MOST: Final = 1000


def only(query: Query, names: Collection[str]) -> None:
    """Refuse parameters that are not among `names`: a misspelt filter would show everything.

    Raises:
        BadParameter: WEB-110; the text gives the names that there are, never what was sent.
    """
    if any(name not in names for name in query):
        raise BadParameter("name", f"one of {', '.join(sorted(names))}" if names else "this address takes none")
    for name in names:
        if len(query.getall(name, [])) > 1:
            raise BadParameter(name, "at most once")


def text(query: Query, name: str) -> str | None:
    """Return a parameter as it stands; None when it is not given or blank."""
    return query.get(name, "").strip() or None


def choice(query: Query, name: str, of: type[E]) -> E | None:
    """Return a parameter that is one of a few words, in any case of letters.

    Raises:
        BadParameter: WEB-110.
    """
    stated = text(query, name)
    if stated is None:
        return None
    for member in of:
        if member.value.casefold() == stated.casefold():
            return member
    raise BadParameter(name, f"one of {', '.join(member.value for member in of)}")


def flag(query: Query, name: str) -> bool | None:
    """Return a parameter that is true or false.

    Raises:
        BadParameter: WEB-110.
    """
    stated = text(query, name)
    if stated is None:
        return None
    if stated.casefold() not in {"true", "false"}:
        raise BadParameter(name, "true or false")
    return stated.casefold() == "true"


def moment(query: Query, name: str) -> datetime | None:
    """Return a time; without an offset it is UTC.

    Raises:
        BadParameter: WEB-110, not ISO 8601.
    """
    stated = text(query, name)
    if stated is None:
        return None
    if "T" in stated:
        stated = stated.replace(" ", "+")  # a plus sign that was not escaped arrives as a space
    try:
        stated_moment = datetime.fromisoformat(stated)
        return (stated_moment if stated_moment.tzinfo else stated_moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise BadParameter(name, "a time in ISO 8601, such as 2026-03-01T08:15:00Z") from cause


def cut(query: Query) -> Cut:
    """Return which part of a list is wanted; `limit` is clipped to 1000.

    Raises:
        BadParameter: WEB-110.
    """
    limit, after = text(query, "limit"), text(query, "after")
    if limit is not None and (not _ROW.fullmatch(limit) or int(limit) == 0):
        raise BadParameter("limit", "a number from 1 to 1000")
    if after is not None and not _ROW.fullmatch(after):
        raise BadParameter("after", "the value of `next` in the page before")
    return Cut(
        limit=min(int(limit), _MOST) if limit is not None else _LIMIT,
        after=RowId(int(after)) if after is not None else None,
    )
