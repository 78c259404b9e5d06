"""A certificate authority for one test: gives out certificates for 127.0.0.1 with the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.config.settings import DestinationTls, ListenerTls


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; skips the test where openssl is not installed."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._own = Pair(folder / "ca.pem", folder / "ca.key")
        self._openssl("req", "-x509", *self._new(self._own), "-subj", f"/CN={name}")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def sign(self, name: str, address: str = "IP:127.0.0.1") -> Pair:
        """Return a new certificate; one of the same name before it is overwritten."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        signed = ["-CA", self._own.certificate, "-CAkey", self._own.key, "-addext", f"subjectAltName={address}"]
        self._openssl("req", "-x509", *self._new(pair), "-subj", f"/CN={name}", *signed)
        return pair

    def listener(self, pair: Pair, *, mutual: bool = False) -> ListenerTls:
        client_ca = str(self.certificate) if mutual else None
        return ListenerTls(certificate=str(pair.certificate), key=str(pair.key), client_ca=client_ca)

    def destination(self, pair: Pair | None = None, server_name: str | None = None) -> DestinationTls:
        return DestinationTls(
            ca=str(self.certificate),
            certificate=str(pair.certificate) if pair else None,
            key=str(pair.key) if pair else None,
            server_name=server_name,
        )

    def _new(self, pair: Pair) -> list[str | Path]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        return [*curve, "-keyout", pair.key, "-out", pair.certificate]

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
