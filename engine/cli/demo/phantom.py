"""Pictures of nobody: a CT volume and X-rays made of ellipses, row by row from prepared strips of noise.

64 slices of 512 by 512 take a fraction of a second: a row is a few slices copied out of strips, no pixel is computed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from math import pi, sin, sqrt
from random import Random
from typing import NamedTuple

CT_SIZE = 512
"""Rows and columns of a CT slice."""
CT_ZERO = 1024
"""Stored value of 0 HU: Rescale Intercept is -1024 [HU]."""
XRAY_SIZE = 1024
"""Rows and columns of an X-ray, 12 bits."""

_STRIP = 8192
_STEP = 1237


class Tissue(NamedTuple):
    """A stored value and its noise (standard deviation)."""

    value: int
    noise: int


class Ellipse(NamedTuple):
    """An ellipse of one tissue; with `ring`, only its border of that many pixels."""

    x: float
    y: float
    width: float
    height: float
    tissue: str
    ring: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as stored: 16 bits a pixel, little endian."""

    rows: int
    columns: int
    pixels: bytes


_CT: Mapping[str, Tissue] = {
    "air": Tissue(CT_ZERO - 1000, 6),
    "lung": Tissue(CT_ZERO - 820, 25),
    "fat": Tissue(CT_ZERO - 95, 14),
    "muscle": Tissue(CT_ZERO + 45, 14),
    "liver": Tissue(CT_ZERO + 105, 14),
    "kidney": Tissue(CT_ZERO + 170, 16),
    "vessel": Tissue(CT_ZERO + 230, 14),
    "bowel": Tissue(CT_ZERO + 20, 30),
    "water": Tissue(CT_ZERO + 8, 10),
    "brain": Tissue(CT_ZERO + 36, 10),
    "bone": Tissue(CT_ZERO + 520, 70),
    "marrow": Tissue(CT_ZERO + 210, 40),
}
_XRAY: Mapping[str, Tissue] = {
    "air": Tissue(90, 12),
    "skin": Tissue(1500, 40),
    "soft": Tissue(2300, 45),
    "lung": Tissue(820, 60),
    "rib": Tissue(1250, 60),
    "heart": Tissue(2900, 45),
    "bone": Tissue(3000, 60),
    "core": Tissue(2500, 70),
}


def abdomen(slices: int) -> Iterator[Picture]:
    """Yield the slices of an abdomen with contrast medium, from the lung bases down to the pelvis."""
    for number in range(slices):
        yield _painted(CT_SIZE, _CT, _abdomen_at(number / max(slices - 1, 1)), number)


def head(slices: int) -> Iterator[Picture]:
    """Yield the slices of a head, from the base up."""
    for number in range(slices):
        size = sin(pi * (0.25 + 0.6 * number / max(slices, 1)))
        yield _painted(CT_SIZE, _CT, _head_of(size), number)


def chest() -> Picture:
    """Return an X-ray of a chest."""
    ribs = [Ellipse(x, 330 + 62 * number, 190, 130, "rib", ring=13.0) for number in range(7) for x in (335.0, 689.0)]
    shapes = [
        Ellipse(512, 640, 440, 560, "soft"),
        Ellipse(512, 120, 150, 210, "soft"),
        Ellipse(335, 520, 165, 320, "lung"),
        Ellipse(689, 520, 165, 320, "lung"),
        *ribs,
        Ellipse(512, 560, 62, 480, "heart"),
        Ellipse(570, 650, 140, 165, "heart"),
        Ellipse(512, 1010, 420, 190, "heart"),
        Ellipse(372, 212, 132, 17, "bone"),
        Ellipse(652, 212, 132, 17, "bone"),
    ]
    return _painted(XRAY_SIZE, _XRAY, shapes, 1)


def hand() -> Picture:
    """Return an X-ray of a hand."""
    shapes = [Ellipse(520, 760, 210, 240, "skin"), Ellipse(530, 960, 130, 200, "skin")]
    shapes += [Ellipse(470, 960, 48, 170, "bone"), Ellipse(590, 960, 40, 170, "bone")]
    fingers = ((372.0, 420.0, 240.0), (468.0, 340.0, 270.0), (566.0, 360.0, 260.0), (656.0, 450.0, 210.0))
    for x, y, height in fingers:
        shapes.append(Ellipse(x, y, 50, height, "skin"))
    shapes.append(Ellipse(275, 690, 62, 190, "skin"))
    for x, y, height in (*fingers, (275.0, 690.0, 170.0)):
        for part, length in ((-0.62, 0.2), (-0.13, 0.24), (0.45, 0.3)):
            bone = Ellipse(x, y + part * height, 23, length * height, "bone")
            shapes += [bone, Ellipse(bone.x, bone.y, 11, bone.height * 0.8, "core")]
        shapes.append(Ellipse((x + 520) / 2, 740, 21, 118, "bone"))
    return _painted(XRAY_SIZE, _XRAY, shapes, 2)


def _abdomen_at(depth: float) -> Sequence[Ellipse]:
    """Return what a slice shows at a depth from 0 (top) to 1."""
    waist = 1.0 - 0.1 * sin(pi * depth)
    lungs = max(0.0, 1.0 - depth / 0.3)
    liver = max(0.0, sin(pi * min(1.0, 0.25 + depth * 1.05)))
    kidneys = max(0.0, sin(pi * (depth - 0.3) / 0.45)) if 0.3 < depth < 0.75 else 0.0
    hips = max(0.0, (depth - 0.72) / 0.28)
    shapes = [
        Ellipse(256, 262, 218 * waist, 158 * waist, "fat"),
        Ellipse(256, 262, 200 * waist, 140 * waist, "muscle"),
        Ellipse(256, 250, 172 * waist, 112 * waist, "fat" if depth > 0.55 else "muscle"),
        Ellipse(172, 236, 92 * liver, 88 * liver, "liver"),
        Ellipse(350, 245, 48 * liver, 62 * liver, "liver"),
        Ellipse(165, 240, 96 * lungs, 100 * lungs, "lung"),
        Ellipse(347, 240, 96 * lungs, 100 * lungs, "lung"),
        Ellipse(166, 308, 34 * kidneys, 42 * kidneys, "kidney"),
        Ellipse(346, 308, 34 * kidneys, 42 * kidneys, "kidney"),
    ]
    if depth > 0.4:
        places = ((200, 210), (262, 190), (318, 214), (228, 256), (296, 262))
        shapes += [Ellipse(x + 14 * sin(9 * depth + x), y, 25, 20, "bowel") for x, y in places]
    shapes += [Ellipse(150, 320, 62 * hips, 34 * hips, "bone"), Ellipse(362, 320, 62 * hips, 34 * hips, "bone")]
    shapes += [Ellipse(256, 225, 44 * hips, 34 * hips, "water")]
    shapes += [
        Ellipse(262, 300, 13, 13, "vessel"),
        Ellipse(234, 300, 14, 11, "muscle"),
        Ellipse(256, 346, 32, 27, "bone"),
        Ellipse(256, 346, 26, 21, "marrow"),
        Ellipse(256, 384, 10, 22, "bone"),
        Ellipse(256, 372, 9, 8, "water"),
    ]
    ribs = sin(40 * depth)
    if depth < 0.6:
        shapes += [Ellipse(256 + side * 190 * waist, 262 + 34 * ribs, 6, 20, "bone") for side in (-1, 1)]
    return shapes


def _head_of(size: float) -> Sequence[Ellipse]:
    return [
        Ellipse(256, 256, 170 * size, 205 * size, "muscle"),
        Ellipse(256, 256, 162 * size, 197 * size, "bone"),
        Ellipse(256, 256, 150 * size, 184 * size, "brain"),
        Ellipse(256, 256, 2, 180 * size, "water"),
        Ellipse(236, 236, 12 * size, 46 * size, "water"),
        Ellipse(276, 236, 12 * size, 46 * size, "water"),
    ]


@cache
def _strip(tissue: Tissue) -> bytes:
    """Return a long row of one tissue."""
    random = Random(tissue.value)  # noqa: S311 - the noise of a picture
    row = array("H", (min(max(round(random.gauss(tissue.value, tissue.noise)), 0), 4095) for _ in range(_STRIP)))
    if row.tobytes()[:2] != row[0].to_bytes(2, "little"):
        row.byteswap()
    return row.tobytes()


def _painted(size: int, tissues: Mapping[str, Tissue], shapes: Sequence[Ellipse], seed: int) -> Picture:
    """Return a square picture: air, then the shapes one over another."""
    strips = {name: _strip(tissue) for name, tissue in tissues.items()}
    starts = count(seed * 7919, _STEP)
    drawn = [(shape, strips[shape.tissue]) for shape in shapes if shape.width >= 1 and shape.height >= 1]
    rows = []
    for y in range(size):
        row = bytearray(_taken(strips["air"], next(starts), size))
        for shape, strip in drawn:
            for left, right in _spans(shape, y, size):
                row[2 * left : 2 * right] = _taken(strip, next(starts), right - left)
        rows.append(row)
    return Picture(size, size, b"".join(rows))


def _taken(strip: bytes, start: int, pixels: int) -> bytes:
    """Return some pixels of a strip; where they begin changes from call to call, so that no row repeats another."""
    first = 2 * (start % (_STRIP - pixels))
    return strip[first : first + 2 * pixels]


def _spans(shape: Ellipse, y: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the columns that a shape covers in a row, each as (first, end)."""
    outer = _half(shape.width, shape.height, y - shape.y)
    if outer <= 0:
        return
    inner = _half(shape.width - shape.ring, shape.height - shape.ring, y - shape.y) if shape.ring else 0.0
    parts = ((-outer, -inner), (inner, outer)) if inner > 0 else ((-outer, outer),)
    for low, high in parts:
        left, right = max(round(shape.x + low), 0), min(round(shape.x + high), size)
        if left < right:
            yield left, right


def _half(width: float, height: float, above: float) -> float:
    """Return half the width of an ellipse at a height above or below its middle; 0 outside."""
    share = 1.0 - (above / height) ** 2
    return width * sqrt(share) if share > 0 else 0.0
