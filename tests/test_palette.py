"""The palette's promises: contrast with both pages, and distance for common colour-vision
deficiencies; recomputed here from the published formulas."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from bench.views.report.palette import LIBRARIES, TIERS, TONES, css_class, tones
from bench.views.report.svg import PAGE

THEMES = {"light": 0, "dark": 1}
Vector = tuple[float, float, float]
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION: dict[str, tuple[Vector, Vector, Vector]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(color: str) -> Vector:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return red, green, blue


def times(matrix: tuple[Vector, Vector, Vector], vector: Vector) -> Vector:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def oklab(rgb: Vector) -> Vector:
    """Ottosson 2020."""
    clipped = tuple(min(1.0, max(0.0, c)) for c in rgb)
    cones = times(
        (
            (0.4122214708, 0.5363325363, 0.0514459929),
            (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005),
        ),
        clipped,  # type: ignore[arg-type]
    )
    return times(
        (
            (0.2104542553, 0.7936177850, -0.0040720468),
            (1.9779984951, -2.4285922050, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.8086757660),
        ),
        tuple(c ** (1 / 3) for c in cones),  # type: ignore[arg-type]
    )


def distance(one: str, other: str, vision: str) -> float:
    seen = [oklab(times(VISION[vision], linear(color))) for color in (one, other)]
    return 100 * sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5


def luminance(color: str) -> float:
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(color), strict=True))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("tone", TONES)
def test_every_tone_has_its_contrast(tone: str, theme: str) -> None:
    column = THEMES[theme]
    darker, lighter = sorted(map(luminance, (TONES[tone][column], PAGE["paper"][column])))
    assert (lighter + 0.05) / (darker + 0.05) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISION)
def test_tiers_are_told_apart_by_everybody(vision: str, theme: str) -> None:
    column = THEMES[theme]
    for one, other in combinations(TIERS, 2):
        assert distance(TIERS[one][column], TIERS[other][column], vision) >= 7, (one, other)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISION)
def test_libraries_are_told_apart_from_what_they_stand_beside(vision: str, theme: str) -> None:
    column = THEMES[theme]
    beside = [name for name in TIERS if name.startswith(("py-", "c-avx"))]
    pairs = [*combinations(LIBRARIES, 2), *product(LIBRARIES, beside)]
    for one, other in pairs:
        assert distance(TONES[one][column], TONES[other][column], vision) > 5.5, (one, other)


def test_a_tier_keeps_its_tone_whatever_stands_beside_it() -> None:
    for beside in (["x"], ["c-debug", "y"], list(TONES)):
        assert tones([*beside, "c-avx2"])["c-avx2"] == "c-avx2"


def test_variants_of_a_tier_have_its_tone() -> None:
    found = tones(["c-avx2_omp_tiled", "c-avx2_tiled", "c-avx512", "c-scalar_ijk"])
    assert list(found.values()) == ["c-avx2_omp", "c-avx2", "c-avx512", "c-scalar"]


def test_others_have_tones_that_nothing_beside_them_has() -> None:
    found = tones(["c-neon", "c-avx2", "py-loop", "somebody's"])
    assert len(set(found.values())) == 4 and set(found.values()) <= set(TONES)


def test_many_others_repeat() -> None:
    found = tones(f"x{n}" for n in range(100))
    assert len(found) == 100 and len(set(found.values())) > 10


def test_classes_differ() -> None:
    assert len({css_class(tone) for tone in TONES}) == len(TONES)
