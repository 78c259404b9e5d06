"""Every module says what it is for, and no file of the repository names a machine of ours or holds a secret."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PLACEHOLDER = re.compile(r"\b(todo|fixme|tbd|xxx)\b", re.IGNORECASE)
NOWHERE = {"utils", "helpers", "common", "manager"}

# Each host is written in two halves, so that this file does not find itself.
_HOSTS = (("py", "pi.org"), ("python", "hosted.org"), ("deb.", "debian.org"), ("registry.", "npmjs"))
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.~$}-])/(?:work|root|home/\w+|opt/pypi)[/]"),
    "a registry host": re.compile("|".join(re.escape(first + second) for first, second in _HOSTS)),
}
SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE " + r"KEY-----"),
    "a cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a repository token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{30}|glpat-[\w-]{20})"),
    "a bearer token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a password in an address": re.compile(r"\b[a-z][a-z0-9+]*://[^\s/:@{}$<>]+:[^\s/:@{}$<>]+@"),
    "a password in a setting": re.compile(
        r"""(?i)\b(?:password|passwd|secret|api_?key|token)["']?\s*[:=]\s*["'][^"'\s{}$<>]{8,}["']"""
    ),
}


@cache
def repository_files() -> dict[Path, str]:
    """Return the text files that are, or are about to be, in the repository."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=60,
    )
    texts: dict[Path, str] = {}
    for name in listed.stdout.decode().split("\0"):
        path = REPOSITORY / name
        if not name or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content:
            texts[Path(name)] = content.decode("utf-8", errors="replace")
    return texts


def places(pattern: re.Pattern[str]) -> list[str]:
    """Return `file:line` of every match; the text itself stays out of the report."""
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        for path, text in repository_files().items()
        for match in pattern.finditer(text)
    ]


def modules() -> list[Path]:
    return sorted((REPOSITORY / "engine").rglob("*.py"))


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for module in modules():
        text = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
        if len(text) < 20 or PLACEHOLDER.search(text):
            silent.append(str(module.relative_to(REPOSITORY)))

    assert silent == []


def test_no_module_is_named_after_nothing() -> None:
    assert [str(module) for module in modules() if {module.stem, module.parent.name} & NOWHERE] == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    assert places(FORBIDDEN[what]) == []


@pytest.mark.parametrize("what", SECRETS)
def test_no_file_holds(what: str) -> None:
    assert places(SECRETS[what]) == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a private key", "-----BEGIN RSA PRIVATE " + "KEY-----"),
        ("a cloud access key", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("a repository token", "ghp_" + "a" * 36),
        ("a bearer token", "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20),
        ("a password in an address", "postgresql://isthmus:" + "letmein@db/isthmus"),
        ("a password in a setting", "password" + ": 'correct-horse'"),
    ],
)
def test_the_scan_finds(what: str, text: str) -> None:
    assert SECRETS[what].search(text)
