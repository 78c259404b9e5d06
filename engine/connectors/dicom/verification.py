"""C-ECHO: is anybody there?

Source: DICOM PS3.4 annex A; PS3.7 section 9.1.5.
"""

from __future__ import annotations

from collections.abc import Collection

from engine.connectors.dicom.service import Reply, Request
from engine.dicom.command import Operation
from engine.dicom.sop_class import UNCOMPRESSED, VERIFICATION
from engine.dicom.status import SUCCESS


class _Echo:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def write(self, fragment: bytes | memoryview) -> None:
        """Drop it: an echo has no data set."""

    async def finish(self) -> None:
        """Say yes."""
        self._reply.send(SUCCESS)

    def discard(self) -> None:
        """Forget it."""


class VerificationService:
    """Answers every C-ECHO with success."""

    operations = frozenset({int(Operation.C_ECHO)})
    keeps_going = False

    def transfer_syntaxes(self, abstract_syntax: str) -> Collection[str] | None:
        """Take the verification SOP class in any uncompressed transfer syntax."""
        return UNCOMPRESSED if abstract_syntax == VERIFICATION else None

    def begin(self, request: Request, reply: Reply) -> _Echo:
        """Start on an echo."""
        return _Echo(reply)
