"""What may stand in a log line. Everything else is dropped: a patient must not be found in a log."""

from __future__ import annotations

ALLOWED = frozenset(
    {
        "address",
        "ae",
        "attempt",
        "bytes",
        "calling_ae",
        "code",
        "count",
        "destination",
        "error",
        "event",
        "files",
        "findings",
        "host",
        "http",
        "incident",
        "kind",
        "level",
        "limit",
        "listener",
        "method",
        "ms",
        "orphans",
        "port",
        "reason",
        "revision",
        "route",
        "row",
        "seconds",
        "state",
        "status",
        "timestamp",
        "trace",
        "type",
        "unfinished",
        "units",
        "worker",
    }
)
