"""Sets logging up: one line per event on standard error, keys from the allow-list only."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

from engine.app.log_keys import ALLOWED

Format = Literal["text", "json"]


def set_up_logging(level: str = "info", form: Format = "text") -> None:
    """Configure structlog and the standard library's loggers.

    Args:
        level: debug, info, warning or error; lines below it are not made.
        form: `text` for people, `json` for collectors.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed_keys,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s")


def only_allowed_keys(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop keys that are not on the list, and say how many were."""
    dropped = [key for key in line if key not in ALLOWED]
    for key in dropped:
        del line[key]
    if dropped:
        line["count"] = len(dropped)
        line["reason"] = "keys dropped"
    return line
