"""Which files make a site: its own, and behind them those of the shipped default site.

A file of the site replaces the shipped file of the same name; `enabled: false` in a route switches a shipped one off.
The shipped site is the top-level routes/, mappings/ and samples/ of a checkout, else share/isthmus/ of an installation.
"""

from __future__ import annotations

import hashlib
import site as python_site
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SETTINGS_FILE = "isthmus.yaml"
TEST_SUFFIX = ".test.yaml"
PROFILE_SUFFIX = ".profile.yaml"


def shipped_folder() -> Path:
    """Return the folder of the default site.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    checkout = Path(__file__).resolve().parents[2]
    bases = (sys.prefix, python_site.getuserbase() or sys.prefix)
    candidates = [checkout, *(Path(base) / "share" / "isthmus" for base in bases)]
    for folder in candidates:
        if (folder / "routes").is_dir() and (folder / "mappings").is_dir():
            return folder
    raise FileNotFoundError(f"no routes/ and mappings/ under {' or '.join(str(folder) for folder in candidates)}")


@dataclass(frozen=True)
class SiteFiles:
    """The files of a site by their name inside it; `folder` is None for the shipped site alone."""

    folder: Path | None
    shipped: Path

    @cached_property
    def settings(self) -> Path | None:
        """`isthmus.yaml`, None when the site has none."""
        path = None if self.folder is None else self.folder / SETTINGS_FILE
        return path if path is not None and path.is_file() else None

    @cached_property
    def routes(self) -> dict[str, Path]:
        """Files of routes/, tests and message profiles left out."""
        found = self._found("routes", "*.yaml", tests=False)
        return {name: path for name, path in found.items() if not name.endswith(PROFILE_SUFFIX)}

    @cached_property
    def profiles(self) -> dict[str, Path]:
        """Message profiles of routes/."""
        return self._found("routes", f"*{PROFILE_SUFFIX}", tests=False)

    @cached_property
    def mappings(self) -> dict[str, Path]:
        """Files of mappings/, tests left out."""
        return self._found("mappings", "*.yaml", tests=False)

    @cached_property
    def tables(self) -> dict[str, Path]:
        """Files of mappings/tables/."""
        return self._found("mappings/tables", "*.csv", tests=False)

    @cached_property
    def tests(self) -> dict[str, Path]:
        """Tests beside routes and mappings. A shipped test of a file that the site replaces is left out."""
        found = self._found("routes", f"*{TEST_SUFFIX}", tests=True) | self._found(
            "mappings", f"*{TEST_SUFFIX}", tests=True
        )
        tested = self.routes | self.mappings
        return {
            name: path
            for name, path in found.items()
            if self._is_own(path) or not self._is_own(tested.get(name.removesuffix(TEST_SUFFIX) + ".yaml"))
        }

    def sample(self, name: str) -> Path | None:
        """Return a file that a test names, None when there is none or when it is outside the site."""
        for folder in (self.folder, self.shipped):
            path = None if folder is None else (folder / name).resolve()
            if path is not None and folder is not None and path.is_relative_to(folder.resolve()) and path.is_file():
                return path
        return None

    def revision(self) -> str:
        """Return SHA-256 over names and contents of everything that says what the site does."""
        digest = hashlib.sha256()
        files = self.routes | self.profiles | self.mappings | self.tables
        if self.settings is not None:
            files = {SETTINGS_FILE: self.settings, **files}
        for name in sorted(files):
            content = files[name].read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def _is_own(self, path: Path | None) -> bool:
        return path is not None and self.folder is not None and path.is_relative_to(self.folder)

    def _found(self, folder: str, pattern: str, *, tests: bool) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for base in (self.shipped, self.folder):
            if base is not None:
                for path in sorted((base / folder).glob(pattern)):
                    if path.is_file() and path.name.endswith(TEST_SUFFIX) is tests:
                        found[f"{folder}/{path.name}"] = path
        return dict(sorted(found.items()))
