"""How the engine names itself to DICOM peers.

Source: DICOM PS3.7 annex D.3.3.2; PS3.5 annex B.2 (UUID-derived UIDs under 2.25).
"""

from __future__ import annotations

from typing import Final

IMPLEMENTATION_UID: Final = "2.25.311416227366498829316273226302957243745"
IMPLEMENTATION_VERSION: Final = "ISTHMUS"
"""At most 16 characters; without a number, so that an upgrade is not announced to strangers."""
