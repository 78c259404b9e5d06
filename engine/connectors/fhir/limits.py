"""Bounds of a FHIR request's body.

Source: spec sheet reliability.md section 9.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from engine.fhir.errors import refused

_PATIENCE_S = 10.0
_SLOWEST_BYTES_PER_S = 16 * 1024
FORM_BYTES = 64 * 1024


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body of a request, unpacked.

    A body gets 10 s, and longer only as long as 16 KiB/s arrive.

    Raises:
        ResourceRefused: FHIR-104, more than `limit` [bytes]; FHIR-101, too slow.
    """
    if request.content_length is not None and request.content_length > limit:
        raise refused("FHIR-104", f"the body is larger than {limit} bytes")
    parts: list[bytes] = []
    size = 0
    began = time.monotonic()
    try:
        while True:
            left = _PATIENCE_S + size / _SLOWEST_BYTES_PER_S - (time.monotonic() - began)
            async with asyncio.timeout(left):
                part = await request.content.readany()
            if not part:
                return b"".join(parts)
            size += len(part)
            if size > limit:
                raise refused("FHIR-104", f"the body is larger than {limit} bytes")
            parts.append(part)
    except TimeoutError as cause:
        raise refused("FHIR-101", "the body came too slowly") from cause
