"""How many files of a tree get the label that Magika's own package gives them, by ONNX Runtime.

    python -m tests.magika_agreement [--tier avx2] [--every 10] [FOLDER ...]

Without a folder: Python's standard library and what is installed beside it. Prints each file whose
label differs, the network's or the one after thresholds, and counts, also where it is interrupted.
Needs baremetal-ml[magika].
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


class Comparison:
    def __init__(self, tier: str | None) -> None:
        import magika  # loads ONNX Runtime

        self.package, self.model = magika.Magika(), engine.magika.load()
        self.sessions = [self.model.session(tier, precision) for precision in PRECISIONS]
        self.counts: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.furthest = dict.fromkeys(PRECISIONS, 0.0)

    def add(self, paths: list[Path]) -> None:
        for path, right in zip(paths, expected(self.package, paths), strict=True):
            self.labels[right.dl_label] += 1
            for session in self.sessions:
                self._add(path, right, session)

    def _add(self, path: Path, right: Identification, session: engine.magika.Session) -> None:
        precision, labels = session.precision, self.model.labels
        found = self.model.identify_path(path, session)
        if (found.dl_label, found.label) == (right.dl_label, right.label):
            self.counts[precision] += 1
        else:
            print(f"{precision} {one_line(path)}: {shown(found)}, not {shown(right)}", flush=True)
        if right.dl_label == "undefined":
            return
        alone = labels.of_scores(session.out)
        self.counts[f"{precision} close"] += labels.is_close(session.out)
        self.counts[f"{precision} network"] += alone.dl_label == right.dl_label
        self.counts[f"{precision} alone"] += alone.label == right.label
        off = abs(session.out[labels.names.index(right.dl_label)] - right.score)
        self.furthest[precision] = max(self.furthest[precision], off)

    def show(self) -> None:
        total, without = sum(self.labels.values()), self.labels.pop("undefined", 0)
        asked = total - without
        print(
            f"{total} files; {asked} by the network, which has {len(self.labels)} labels for them"
        )
        for session in self.sessions:
            name, count = session.precision, self.counts
            print(
                f"{session.tier} {name}: {count[name]} equal labels. Of {asked}, the session alone"
                f" has {count[f'{name} network']} equal before thresholds and"
                f" {count[f'{name} alone']} after;"
                f" {count[f'{name} close']} decisions are close;"
                f" scores differ by {self.furthest[name]:.2g} or less"
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
    paths = list(dict.fromkeys(files_below(arguments.folders)))[:: arguments.every]
    comparison = Comparison(arguments.tier)
    try:
        for first in range(0, len(paths), BATCH):
            comparison.add(paths[first : first + BATCH])
    except KeyboardInterrupt:
        print("interrupted")
    comparison.show()


if __name__ == "__main__":
    main()
