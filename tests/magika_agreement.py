"""How many files of a tree get the label that Magika's own package gives them, by ONNX Runtime.

    python -m tests.magika_agreement [--tier avx2] [--every 10] [FOLDER ...]

Without a folder: Python's standard library and what is installed beside it. Prints each file whose
label differs, the network's or the one after thresholds, and counts. Needs baremetal-ml[magika].
"""

from __future__ import annotations

import argparse
import os
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine.magika
from engine.errors import one_line
from engine.magika_labels import Identification
from engine.magika_native import PRECISIONS

BATCH = 64  # files a call of ONNX Runtime


def files_below(folders: list[str]) -> Iterator[Path]:
    """Regular files that can be read, no links, each once."""
    for folder in dict.fromkeys(folders):
        for parent, _, names in sorted(os.walk(folder)):
            paths = (Path(parent, name) for name in sorted(names))
            yield from (p for p in paths if p.is_file() and not p.is_symlink() and os.access(p, 4))


def expected(package: Any, paths: list[Path]) -> list[Identification]:
    """What the package says."""
    return [
        Identification(
            str(result.output.label),
            result.output.description,
            result.score,
            str(result.dl.label),
            str(result.prediction.overwrite_reason),
        )
        for result in package.identify_paths(paths)
    ]


def compare(folders: list[str], tier: str | None, every: int) -> None:
    import magika  # loads ONNX Runtime

    package, model = magika.Magika(), engine.magika.load()
    sessions = {precision: model.session(tier, precision) for precision in PRECISIONS}
    paths = list(dict.fromkeys(files_below(folders)))[::every]
    equal: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    furthest = dict.fromkeys(PRECISIONS, 0.0)
    for first in range(0, len(paths), BATCH):
        batch = paths[first : first + BATCH]
        for path, right in zip(batch, expected(package, batch), strict=True):
            labels[right.dl_label] += 1
            for precision, session in sessions.items():
                found = model.identify_path(path, session)
                furthest[precision] = max(furthest[precision], abs(found.score - right.score))
                if (found.dl_label, found.label) == (right.dl_label, right.label):
                    equal[precision] += 1
                else:
                    print(f"{precision} {one_line(path)}: {shown(found)}, not {shown(right)}")
    without = labels.pop("undefined", 0)
    print(f"{len(paths)} files; {len(paths) - without} by the network, {len(labels)} labels")
    for precision, session in sessions.items():
        count, far = equal[precision], furthest[precision]
        print(
            f"{session.tier} {precision}: {count} equal labels; scores differ by {far:.2g} or less"
        )


def shown(found: Identification) -> str:
    return f"{found.dl_label} -> {found.label} {found.score:.6f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares labels with ONNX Runtime's.")
    installed = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    parser.add_argument("folders", nargs="*", default=installed, metavar="FOLDER")
    parser.add_argument("--tier")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one file of N")
    arguments = parser.parse_args()
    compare(arguments.folders, arguments.tier, arguments.every)


if __name__ == "__main__":
    main()
