"""Where the story plays: the players with their connections, and questions to the engine's API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiohttp

from engine.cli.demo.cast import Cast, Exam
from engine.cli.demo.his import His
from engine.cli.demo.modality import Modality, Subject
from engine.cli.demo.phantom import Picture
from engine.cli.demo.ris import Ris

Json = dict[str, Any]


class Unexpected(Exception):
    """The engine answered something that the story does not foresee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Films:
    """The pictures that the modalities will take."""

    abdomen: list[Picture]
    head: list[Picture]
    chest: list[Picture]
    hand: list[Picture]


@dataclass(slots=True, kw_only=True)
class Stage:
    """One run of the story: who plays, and what they remember."""

    cast: Cast
    films: Films
    http: aiohttp.ClientSession
    his: His
    terminal: His
    ct: Modality
    cr: Modality
    ris: Ris
    sent: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Message and answer by name, for the one that is sent again."""
    scheduled: dict[str, Subject] = field(default_factory=dict)
    """What the modalities saw on their worklists, by accession number."""
    stored: set[str] = field(default_factory=set)
    """Accession numbers of the images that were stored."""
    wrong_study_uid: str = ""
    """Study Instance UID of the images with the wrong patient ID."""

    async def get(self, path: str, **parameters: str) -> Json:
        """Return a JSON answer of the engine.

        Raises:
            Unexpected: another status than 200.
            aiohttp.ClientError: no answer.
        """
        async with self.http.get(path, params=parameters) as answer:
            if answer.status != 200:
                raise Unexpected(f"{path} answered {answer.status}")
            found: Json = await answer.json()
            return found

    async def order(self, exam: Exam) -> Json:
        """Return the whole story of an order, as the engine tells it."""
        return await self.get(f"/api/orders/{exam.accession_number}")
