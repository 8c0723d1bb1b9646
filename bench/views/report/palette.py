"""One colour for a tier, the same in every chart; and what a chart of other things takes.

A tone is a name in TONES. Each is a pair of about one hue, for light and for dark pages. They were
searched for, by simulated annealing: the least distance of two tiers, in OKLab (Ottosson 2020)
times 100, is 7 for normal vision and for what protanopes, deuteranopes and tritanopes see (Machado,
Oliveira and Fernandes 2009); of a library to Python or to a tier by hand, 5.5. Each has a contrast
of at least 3:1 with its page (WCAG 2.1, 1.4.11). tests/test_palette.py recomputes all of that.
"""

from __future__ import annotations

from collections.abc import Iterable

TIERS = {
    "py-loop": ("#d2590d", "#c13e2e"),
    "py-idiomatic": ("#755010", "#989016"),
    "c-debug": ("#7a7a7a", "#d7d7d7"),
    "c-scalar": ("#05441d", "#a4c025"),
    "c-autovec": ("#639c6f", "#65e287"),
    "c-fastmath": ("#92074c", "#ee838d"),
    "c-avx2": ("#1570d1", "#5e85b8"),
    "c-avx2_omp": ("#3c6293", "#455dc9"),
    "c-avx512": ("#9e89c5", "#715c95"),
    "c-avx512_omp": ("#681a84", "#c68ee0"),
}
LIBRARIES = {
    "peer-numpy": ("#114c24", "#9db34e"),
    "peer-torch": ("#620e47", "#b96095"),
    "peer-onnxruntime": ("#439e8e", "#83deee"),
    "peer-blis": ("#941f6d", "#bc70dc"),
    "peer-openblas": ("#cf8037", "#f9c718"),
}
TONES = {**TIERS, **LIBRARIES}
# What is neither: a user's tier, an interpreter, a part of a cost. In an order in which neighbours
# are far apart.
_OTHERS = (
    "c-avx2", "py-idiomatic", "c-avx512_omp", "c-autovec", "c-fastmath", "c-debug", "py-loop",
    "c-scalar", "c-avx512", "peer-onnxruntime", "peer-openblas", "peer-torch",
)  # fmt: skip


def tones(names: Iterable[str]) -> dict[str, str]:
    """A tone for each name: a tier's, its variants' (c-avx2_tiled is an avx2) or a library's own;
    for another the next that none of the names has. They repeat where names are more than tones."""
    found = {name: _own(name) for name in names}
    spare = [tone for tone in _OTHERS if tone not in found.values()] or list(_OTHERS)
    others = [name for name, tone in found.items() if not tone]
    found.update({name: spare[n % len(spare)] for n, name in enumerate(others)})
    return found


def _own(name: str) -> str:
    """The longest tone that the name is, or begins with; "" for none."""
    return max((t for t in TONES if name == t or name.startswith(f"{t}_")), key=len, default="")


def css_class(tone: str) -> str:
    return f"tone-{list(TONES).index(tone)}"
