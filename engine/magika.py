"""Magika, Google's model that tells the type of a file from its bytes, on this engine's kernels.

    model = engine.load("magika")
    model.identify_path("a.zip").label

The network and its labels come with the package `magika`, which is not imported: that would load
NumPy and ONNX Runtime. Labels are those of its own `Magika().identify_path`.
"""

from __future__ import annotations

import importlib.metadata
import os
import stat
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from engine import onnx
from engine.errors import BadInput, one_line
from engine.gpt import default_tier
from engine.magika_labels import BLOCK, Identification, Labels, tokens_of
from engine.magika_native import PRECISIONS, NativeSession
from engine.magika_python import VARIANTS, PythonSession
from engine.magika_weights import Weights, weights_of

_MODEL = "models/standard_v3_3/model.onnx"
_CONFIG = "models/standard_v3_3/config.min.json"
_CONTENT_TYPES = "config/content_types_kb.min.json"
_REMEDY = "run: pip install 'baremetal-ml[magika]'"

Session = NativeSession | PythonSession


def load() -> Magika:
    """The model of the installed package. BadInput where it is missing, damaged or another one."""
    try:
        package = importlib.metadata.distribution("magika")
    except importlib.metadata.PackageNotFoundError:
        raise BadInput(f"the package magika, which has the model, is missing; {_REMEDY}") from None
    folder = Path(str(package.locate_file("magika")))
    try:
        graph = onnx.read_graph((folder / _MODEL).read_bytes())
        config, types = ((folder / name).read_text("utf-8") for name in (_CONFIG, _CONTENT_TYPES))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"magika {package.version} lacks what is needed: {error}; {_REMEDY}"
        ) from None
    return Magika(weights_of(graph), Labels(config, types))


class Magika:
    """The model; sessions compute with it."""

    def __init__(self, weights: Weights, labels: Labels) -> None:
        self.weights, self.labels = weights, labels
        self._own = threading.local()

    def session(self, tier: str | None = None, precision: str = "f32") -> Session:
        """On a tier of kernels_c, or "loop" or "idiomatic" in pure Python; by default the fastest
        of one thread that this machine can run. precision: "f32" or "i8". Raises TierUnavailable.
        """
        if precision not in PRECISIONS:
            raise BadInput(f"precision: got {precision!r}, needs one of {', '.join(PRECISIONS)}")
        tier = tier or default_tier()
        kind = PythonSession if tier in VARIANTS else NativeSession
        return kind(self.weights, tier, precision)

    def identify(self, data: bytes, session: Session | None = None) -> Identification:
        """What the bytes are, by the session, or by one of default tier that each thread has. Where
        int8 leaves a close decision, float takes it, so that labels are those of ONNX Runtime."""
        return self._identify(data[:BLOCK], data[-BLOCK:], session)

    def identify_path(self, path: str | Path, session: Session | None = None) -> Identification:
        """What the file is, of which both ends are read. OSError where it cannot be."""
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return self.labels.without_network("directory")
        if not stat.S_ISREG(mode):  # a device or a pipe: reading might not end
            return self.labels.without_network("unknown")
        with open(path, "rb") as file:
            head = file.read(BLOCK)
            file.seek(max(file.seek(0, os.SEEK_END) - BLOCK, 0))
            return self._identify(head, file.read(BLOCK), session)

    def _identify(self, head: bytes, tail: bytes, session: Session | None) -> Identification:
        answer = self.labels.of_few_bytes(head)
        if answer is not None:
            return answer
        tokens = tokens_of(head, tail)
        session = session or self._session_of_thread(default_tier())
        scores = session.scores(tokens)
        if session.precision == "i8" and self.labels.is_close(scores):
            scores = self._session_of_thread(session.tier).scores(tokens)
        return self.labels.of_scores(scores)

    def _session_of_thread(self, tier: str) -> Session:
        """In float, made once."""
        made: dict[str, Session] = self._own.__dict__
        if tier not in made:
            made[tier] = self.session(tier)
        return made[tier]


def command(paths: Iterable[str], tier: str | None = None, precision: str = "f32") -> int:
    """Prints a line for each path. 2 where one could not be read, which standard error says."""
    model = load()
    session, code = model.session(tier, precision), 0
    for path in paths:
        try:
            found = model.identify_path(path, session)
        except OSError as error:
            print(one_line(f"{path}: {error.strerror or error}"), file=sys.stderr)
            code = 2
            continue
        print(one_line(f"{path}: {found.label} ({found.description}) {found.score:.1%}"))
    return code
