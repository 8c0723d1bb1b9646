"""Reports to be looked at in a browser, each made by `python -m bench report` from files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import __main__ as command_line
from bench.saved import runs
from tests.checkout import ROOT
from tests.stats import OPTIONS, stats
from tests.test_hostile_text import places, replaced, small_run

RESULTS = ROOT / "results"
# Each would run, load or turn something where it is anything but text.
HOSTILE = (
    "\"'>--></script></style></title></svg><script>alert(1)</script><img src=x onerror=alert(2)>"
    '<svg onload=alert(3)></svg><a href="javascript:alert(4)" onmouseover=alert(5)>x</a>'
    "<iframe srcdoc='<script>parent.alert(6)</script>'></iframe>{{ 7 * 7 }}\u202e\u2066\u200f"
)


def report(folder: Path, sources: Sequence[Path]) -> Path:
    """The page; its charts are files beside it."""
    assert command_line.main(["report", *map(str, sources), "-o", str(folder)]) == 0
    return folder / "index.html"


def committed(folder: Path) -> Path:
    """Of what results/ has: kernels and models, several interpreters, other libraries."""
    names = ("reference.json", "engine.json", "interpreters/*.json", "peers.json")
    return report(folder, [path for name in names for path in sorted(RESULTS.glob(name))])


def kernels(folder: Path) -> Path:
    """Of the reference run alone: of several machines a page is about one."""
    return report(folder, [RESULTS / "reference.json"])


def history(folder: Path) -> Path:
    """Runs of one machine, one of another among them, with a step in the middle; and in all of them
    benchmarks of somebody else, with names as long as tests have: one new, one gone."""
    content = json.loads((RESULTS / "reference.json").read_text(encoding="utf-8"))
    kept = ("relu_f32", "matmul_f32", None)
    content["benchmarks"] = [
        b for b in content["benchmarks"] if b["extra_info"].get("kernel") in kept
    ]
    saved = folder / "runs"
    saved.mkdir()
    for day, factor in enumerate((1.0, 0.99, 1.01, 3.0, 1.0, 1.3, 1.31, 1.29, 1.3), 1):
        machine = content["machine_info"]
        if factor == 3.0:
            machine = {**machine, "cpu": {**machine["cpu"], "brand_raw": "Another CPU"}}
        foreign = [
            f"tests/unit/test_storage.py::TestBackend::test_writes_{n}[sqlite-{10**n}-compressed]"
            for n in range(0 if day < 9 else 1, 12 if day < 9 else 13)
        ]
        run = {
            **content,
            "benchmarks": [
                *(scaled(b, factor) for b in content["benchmarks"]),
                *(_foreign(name, 1e-6 * 3**n * factor) for n, name in enumerate(foreign)),
            ],
            "machine_info": machine,
            "datetime": f"2026-01-{day:02}T10:00:00+00:00",
            "commit_info": {**content["commit_info"], "id": f"{day:040x}", "dirty": day == 2},
        }
        (saved / f"{day:04}_run.json").write_text(json.dumps(run))
    return report(folder / "report", [saved])


def scaled(benchmark: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same benchmark where every round took `factor` times as long."""
    names = ("min", "max", "mean", "median", "stddev", "iqr", "q1", "q3", "ld15iqr", "hd15iqr")
    times = {name: benchmark["stats"][name] * factor for name in names}
    return {**benchmark, "stats": {**benchmark["stats"], **times}}


def _foreign(name: str, seconds: float) -> dict[str, Any]:
    return {"fullname": name, "stats": stats(seconds, iqr=seconds / 100), "options": OPTIONS}


def hostile(folder: Path) -> Path:
    """Every text ends in HOSTILE, but where a reader would have left out what has it; the file's
    name in as much of it as a name may hold."""
    content = small_run()
    for place in dict.fromkeys(places(content)):
        changed = replaced(content, place, HOSTILE)
        if place[-1] != "side" and _is_whole(changed):  # without sides there are no charts
            content = changed
    return _twice(folder, content, "'\"><img src=x onerror=alert(7)>\u202e")


def _is_whole(content: dict[str, Any]) -> bool:
    try:
        return not runs.from_json(content).left_out
    except runs.BadRun:
        return False


def harmless(folder: Path) -> Path:
    """The same without."""
    return _twice(folder, small_run(), "")


def _twice(folder: Path, content: dict[str, Any], name: str) -> Path:
    paths = [folder / f"{number}{name}.json" for number in (1, 2)]
    for number, path in enumerate(paths, 1):
        benchmarks = [{**b, "stats": dict(b["stats"])} for b in content["benchmarks"]]
        run = {**content, "benchmarks": benchmarks, "datetime": f"2026-01-0{number}T10:00:00+00:00"}
        path.write_text(json.dumps(run))
    return report(folder / "report", paths)


PAGES: dict[str, Callable[[Path], Path]] = {
    page.__name__: page for page in (committed, kernels, history, hostile)
}
