"""The container's files agree with the program: its ports, its site, its settings."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from engine.config.settings import Listeners, Settings
from engine.config.site import load_site

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"


def ports(listeners: Listeners) -> set[int]:
    mllp = {listener.port for listener in listeners.mllp.values()}
    dicom = {listener.port for listener in listeners.dicom.values()}
    return mllp | dicom | {listeners.http.port}


def test_the_site_of_the_container_is_valid_and_binds_what_the_image_exposes() -> None:
    settings = load_site(DOCKER / "site", environ={}).settings

    exposed = re.search(r"^EXPOSE (.+)$", (DOCKER / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert exposed is not None
    assert {int(port) for port in exposed[1].split()} == ports(settings.listeners) == ports(Settings().listeners)
    assert settings.listeners.mllp.keys() == Settings().listeners.mllp.keys()
    assert settings.listeners.dicom.keys() == Settings().listeners.dicom.keys()


def test_compose_publishes_every_port_on_loopback_only() -> None:
    published = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]["isthmus"]["ports"]

    assert sorted(published) == sorted(f"127.0.0.1:{port}:{port}" for port in ports(Settings().listeners))


def test_everything_the_image_copies_is_let_through_to_the_build() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    let_through = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE)

    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]
    ]
    assert sorted(set(copied)) == sorted(let_through)
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []
