"""The classes of failure. The class says who must act, the code says what happened.

Texts carry numbers, positions and field names, never a value taken from a message.
"""

from __future__ import annotations


class EngineError(Exception):
    """Every error the engine raises on purpose.

    `code` is stable (docs/errors.md); `where` is the place in the sender's own words: an HL7 location such as
    `PID^1^3`, a FHIRPath, a DICOM keyword; None when the whole input is meant.
    """

    code = "BUG-101"

    def __init__(self, text: str, *, where: str | None = None, code: str | None = None) -> None:
        self.text = text
        self.where = where
        if code is not None:
            self.code = code
        super().__init__(text)

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" + (f" at {self.where}" if self.where else "")

    @property
    def kept_text(self) -> str:
        """What our own journal keeps: `text`, with what is nobody else's business, such as a line of a file of ours."""
        return self.text


class ConfigError(EngineError):
    """An integrator edits a file; we refuse to load and keep the running set."""

    code = "CFG-101"


class PeerError(EngineError):
    """The sender must act; we refuse with the protocol's own answer and never retry."""

    code = "HL7-110"


class AccessError(PeerError):
    """The security desk must act; we refuse and audit."""

    code = "SEC-130"


class TransientError(EngineError):
    """Nobody must act yet; we retry by policy, then dead-letter."""

    code = "NET-111"


class StorageError(EngineError):
    """Our operator must act; intake stops and nothing is answered."""

    code = "STO-102"


class InvariantError(EngineError):
    """We must act; this one is dead-lettered, all others are served."""

    code = "BUG-101"
