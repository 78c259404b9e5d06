"""Names for the identifiers that rooms hand to each other, so that two of them are not mixed up."""

from __future__ import annotations

from typing import NewType

RowId = NewType("RowId", int)
"""Number of a row, unique in the whole database; later rows have larger numbers. Safe in URLs and logs."""

RouteName = NewType("RouteName", str)
"""`route:` of a file under routes/."""

PeerName = NewType("PeerName", str)
"""Name of a listener or destination in isthmus.yaml."""

BlobKey = NewType("BlobKey", str)
"""SHA-256 of a stored object, 64 hexadecimal digits."""
