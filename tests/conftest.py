"""What every suite may ask for: the corpus, independent peers, free ports, and how long a test may take."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = REPOSITORY.parent / "shared" / "corpus"

# No deadlines: a shared machine pauses when it likes, and a test must not depend on that.
for _profile, _examples in (("short", 100), ("long", 5000)):
    settings.register_profile(
        _profile,
        deadline=None,
        print_blob=True,
        max_examples=_examples,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
settings.load_profile("short")


def _absent(reason: str, *, required_by: str) -> None:
    """Skip the asking test, or fail it where `required_by` says that nothing may be missing."""
    if os.environ.get(required_by) == "1":
        pytest.fail(f"{reason} ({required_by}=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder with the material of other projects: hl7/, dicom/, fhir/ and INDEX.tsv."""
    if not (CORPUS / "INDEX.tsv").is_file():
        _absent("no corpus beside the checkout (../shared/corpus)", required_by="ISTHMUS_REQUIRE_CORPUS")
    return CORPUS


@dataclass(frozen=True, slots=True)
class Dcmtk:
    """The DCMTK command line tools, by absolute path: the .venv holds pynetdicom scripts of the same names."""

    echoscu: str
    findscu: str
    storescu: str
    storescp: str
    dcmdump: str
    dump2dcm: str


@pytest.fixture(scope="session")
def dcmtk() -> Dcmtk:
    """Return where DCMTK's tools are; `make peers` installs them."""
    paths = {name: f"/usr/bin/{name}" for name in Dcmtk.__slots__}
    gone = sorted(path for path in paths.values() if not os.access(path, os.X_OK))
    if gone:
        _absent(f"DCMTK is not installed: no {gone[0]}; run `make peers`", required_by="ISTHMUS_REQUIRE_PEERS")
    return Dcmtk(**paths)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that names a port of 127.0.0.1 that nobody listens on, another one each time.

    For programs that cannot bind port 0 and tell; our own servers can.
    """
    named: set[int] = set()

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if port not in named:
                named.add(port)
                return port

    return find


@pytest.fixture(scope="session")
def long_run() -> bool:
    """Return whether the suite was started by hand for hours (`make soak`) instead of minutes."""
    return os.environ.get("ISTHMUS_LONG") == "1"
