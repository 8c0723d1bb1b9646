"""Magika on the engine's kernels: each label is that of Magika's own package, by ONNX Runtime."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from engine import magika, magika_weights
from engine.errors import BadInput
from engine.magika_labels import Labels, tokens_of
from engine.onnx import Graph, read_graph
from tests.checkout import ROOT
from tests.magika_files import samples

NEEDS = "needs magika: pip install 'baremetal-ml[magika]'"


@pytest.fixture(scope="module")
def package() -> Any:
    """Magika's own, with ONNX Runtime."""
    return pytest.importorskip("magika", reason=NEEDS).Magika()


@pytest.fixture(scope="module")
def model() -> magika.Magika:
    pytest.importorskip("magika", reason=NEEDS)
    return magika.load()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return samples(tmp_path_factory.mktemp("samples"))


@pytest.fixture(scope="module")
def python_tokens(files: dict[str, bytes]) -> list[int]:
    return tokens_of(files["python.py"], files["python.py"])


def right_scores(package: Any, tokens: list[int]) -> list[float]:
    (scores,) = package._onnx_session.run(["target_label"], {"bytes": [tokens]})[0].tolist()
    return list(scores)


# --- The network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "bound"), [("f32", 1e-3), ("i8", 3e-2)])
def test_scores_are_those_of_onnx_runtime(
    tier: kernels_c.Tier,
    precision: str,
    bound: float,
    package: Any,
    model: magika.Magika,
    python_tokens: list[int],
) -> None:
    session = model.session(tier.name, precision)
    drawn = random.Random(3)
    for tokens in (python_tokens, [drawn.randrange(257) for _ in range(2048)]):
        scores = session.scores(tokens)
        assert sum(scores) == pytest.approx(1.0, abs=1e-5)
        assert list(scores) == pytest.approx(right_scores(package, tokens), abs=bound)


@pytest.mark.parametrize("variant", ["loop", "idiomatic"])
def test_pure_python_is_the_reference(
    variant: str, package: Any, model: magika.Magika, python_tokens: list[int]
) -> None:
    """But for its products, which need ten seconds and have tests of their own."""
    numpy = pytest.importorskip("numpy")

    def product(x: Any, w: Any, bias: Any, m: int, n: int, k: int) -> list[float]:
        sums = numpy.array(x).reshape(m, k) @ numpy.array(w).reshape(k, n) + numpy.array(bias)
        return list(sums.ravel().tolist())

    session = model.session(variant)
    session._linear = product  # type: ignore[union-attr]
    assert list(session.scores(python_tokens)) == pytest.approx(
        right_scores(package, python_tokens), abs=1e-5
    )


def test_a_call_is_prepared_once_and_repeatable(
    model: magika.Magika, python_tokens: list[int]
) -> None:
    session = model.session("scalar")
    first, other = session.call(python_tokens), session.call([0] * 2048)
    first[0](*first[1])
    scores = array("f", session.out)
    other[0](*other[1])
    assert array("f", session.out) != scores
    first[0](*first[1])
    assert array("f", session.out) == scores == session.scores(python_tokens)


@pytest.mark.parametrize("tier_name", ["scalar", "idiomatic"])
@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "tokens: got 0, needs 2048"),
        ([0] * 2047, "tokens: got 2047, needs 2048"),
        ([257] * 2048, "tokens: got 257, needs 0 to 256"),
        ([-1] * 2048, "tokens: got -1, needs 0 to 256"),
        ([2**40] * 2048, "tokens: needs integers of 0 to 256"),
        ([1.0] * 2048, "tokens: needs integers of 0 to 256"),
    ],
)
def test_tokens_are_checked(
    tier_name: str, tokens: Any, message: str, model: magika.Magika
) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(message)}$"):
        model.session(tier_name).scores(tokens)


def test_sessions_are_checked(model: magika.Magika) -> None:
    with pytest.raises(BadInput, match="precision: got 'f16', needs one of f32, i8"):
        model.session("scalar", "f16")
    with pytest.raises(BadInput, match="precision i8 needs a native tier"):
        model.session("loop", "i8")
    with pytest.raises(kernels_c.TierUnavailable, match="there is no tier 'fast'"):
        model.session("fast")


# --- Labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["f32", "i8"])
def test_labels_are_those_of_the_package(
    precision: str, package: Any, model: magika.Magika, files: dict[str, bytes]
) -> None:
    session = model.session(precision=precision)
    for name, content in files.items():
        found, right = model.identify(content, session), package.identify_bytes(content)
        assert found.label == right.output.label, name
        assert found.dl_label == right.dl.label, name
        assert found.overwritten == right.prediction.overwrite_reason, name
        assert found.description == right.output.description, name
        assert found.score == pytest.approx(right.score, abs=0.03 if precision == "i8" else 1e-3)


def test_labels_follow_scores_as_in_the_package(package: Any, model: magika.Magika) -> None:
    """Every label at scores around its threshold."""
    for index, name in enumerate(model.labels.names):
        for score in (0.49, 0.5, 0.74, 0.75, 0.89, 0.9, 0.94, 0.95, 1.0):
            found = model.labels.of_scores([0.0] * index + [score] + [0.0] * (213 - index))
            right = package._get_output_label_from_dl_label_and_score(name, score)
            assert (found.label, found.overwritten) == right, (name, score)


def test_the_first_of_equal_scores_is_taken(model: magika.Magika) -> None:
    assert model.labels.of_scores([0.5] * 214).dl_label == model.labels.names[0]


def test_scores_that_are_no_numbers_are_refused(model: magika.Magika) -> None:
    nothing = [float("nan")] * 214
    model.labels.is_close(nothing)
    with pytest.raises(BadInput, match="the scores are NaN"):
        model.labels.of_scores(nothing)


def test_a_close_decision_of_int8_is_taken_by_float(
    model: magika.Magika, files: dict[str, bytes]
) -> None:
    single, session = model.session("scalar"), model.session("scalar", "i8")
    for name in ("archive.zip", "python.py"):
        found, right = (model.identify(files[name], each) for each in (session, single))
        assert (found == right) == model.labels.is_close(session.out) == (name == "archive.zip")


def test_threads_have_sessions_of_their_own(model: magika.Magika, files: dict[str, bytes]) -> None:
    contents = [files[name] for name in ("python.py", "page.xml", "image.png", "data.json")]
    right = [model.identify(content) for content in contents]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(model.identify, contents * 8)) == right * 8


def test_a_path_is_read_at_both_ends(
    package: Any, model: magika.Magika, files: dict[str, bytes], tmp_path: Path
) -> None:
    for name in ("longer_than_two_blocks", "block", "one_byte", "empty", "archive.zip"):
        path = tmp_path / name
        path.write_bytes(files[name])
        assert model.identify_path(path) == model.identify(files[name])
    for path in (tmp_path, Path("/dev/null")):
        assert model.identify_path(path).label == package.identify_path(path).output.label
    with pytest.raises(FileNotFoundError):
        model.identify_path(tmp_path / "none")


# --- The command ---------------------------------------------------------------------------------


def test_the_command_names_each_file_and_goes_on(
    model: magika.Magika, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x\n.py").write_text("import os\n\nprint(os.getcwd())\n" * 9)
    paths = [f"{tmp_path}/none", str(tmp_path), f"{tmp_path}/x\n.py"]
    assert magika.command(paths) == 2
    out, err = capsys.readouterr()
    assert err == f"{tmp_path}/none: No such file or directory\n"
    directory, python = out.splitlines()
    assert directory == f"{tmp_path}: directory (A directory) 100.0%"
    assert re.fullmatch(rf"{tmp_path}/x\\n.py: python \(Python source\) \d+\.\d%", python)
    assert magika.command(paths[1:], "scalar", "i8") == 0


def test_the_package_is_not_imported() -> None:
    """It would load NumPy and ONNX Runtime, which the engine does without."""
    pytest.importorskip("magika", reason=NEEDS)
    script = (
        "import sys, engine.magika as m\n"
        "assert m.load().identify(b'import os\\n' * 30).label == 'python'\n"
        "assert not {'magika', 'numpy', 'onnxruntime'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise magika.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(magika.importlib.metadata, "distribution", missing)
    with pytest.raises(BadInput, match=r"missing; run: pip install 'baremetal-ml\[magika\]'$"):
        magika.load()


def test_a_package_without_the_model_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Package:
        version = "9.9"

        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(magika.importlib.metadata, "distribution", lambda name: Package())
    with pytest.raises(BadInput, match=r"^magika 9\.9 lacks .*model\.onnx.*; run: pip install"):
        magika.load()


def known_graph() -> Graph:
    package = pytest.importorskip("magika", reason=NEEDS)
    return read_graph(Path(package.__file__).parent.joinpath(magika._MODEL).read_bytes())


def without(name: str) -> Graph:
    graph = known_graph()
    del graph.initializers[name]
    return graph


def with_dimensions(name: str, *dims: int) -> Graph:
    graph = known_graph()
    graph.initializers[name] = replace(graph.initializers[name], dims=dims)
    return graph


def with_value(name: str, value: float) -> Graph:
    graph = known_graph()
    graph.initializers[name].values[0] = value
    return graph


def with_last_nodes_exchanged() -> Graph:
    graph = known_graph()
    graph.nodes[-2:] = reversed(graph.nodes[-2:])
    return graph


EMBEDDING, EPSILON = "jax2tf_get_logits_/Const:0", "jax2tf_get_logits_/Const_21:0"


@pytest.mark.parametrize(
    "make",
    [
        Graph,
        lambda: without(EMBEDDING),
        lambda: with_dimensions(EMBEDDING, 64, 257),
        lambda: with_value(EPSILON, 1e-5),
        with_last_nodes_exchanged,
    ],
    ids=["nothing", "a tensor less", "other shape", "other constant", "other order"],
)
def test_another_graph_is_one_line(make: Callable[[], Graph]) -> None:
    with pytest.raises(BadInput, match=r"^this model is not built as Magika's standard_v3_3"):
        magika_weights.weights_of(make())


def test_weights_are_finite() -> None:
    with pytest.raises(BadInput, match=r"^tensor jax2tf_get_logits_/Const:0: holds NaN"):
        magika_weights.weights_of(with_value(EMBEDDING, float("nan")))


CONFIG = {
    "beg_size": 1024,
    "mid_size": 0,
    "end_size": 1024,
    "use_inputs_at_offsets": False,
    "padding_token": 256,
    "block_size": 4096,
    "min_file_size_for_dl": 8,
    "medium_confidence_threshold": 0.5,
    "thresholds": {},
    "overwrite_map": {},
    "target_labels_space": ["txt"] * 214,
}
TYPES = {
    name: {"description": None, "is_text": True}
    for name in ("directory", "empty", "txt", "unknown")
}


def test_labels_need_no_more_than_this() -> None:
    labels = Labels(json.dumps(CONFIG), json.dumps(TYPES))
    assert labels.of_scores([1.0] * 214).description == "txt"


@pytest.mark.parametrize(
    ("config", "types", "message"),
    [
        ("{", {}, "config.min.json of magika's model is no JSON"),
        ("[" * 100000, {}, "config.min.json of magika's model is no JSON"),
        ("[]", {}, "config.min.json of magika's model is no JSON object"),
        (CONFIG | {"block_size": 9}, TYPES, "config.min.json: block_size is 9, needs 4096"),
        (CONFIG | {"mid_size": None}, TYPES, "config.min.json: mid_size is None, needs 0"),
        (CONFIG | {"thresholds": [1]}, TYPES, "the files of magika's model are not as they were"),
        (CONFIG | {"overwrite_map": {"a": "b"}}, TYPES, "content_types_kb.min.json lacks b"),
        (CONFIG | {"target_labels_space": ["txt"]}, TYPES, "config.min.json has 1 labels, needs 2"),
        (CONFIG | {"medium_confidence_threshold": 10**400}, TYPES, "the files of magika's model"),
        (CONFIG, {}, "content_types_kb.min.json lacks directory, empty, txt, unknown"),
        (CONFIG, TYPES | {"txt": 1}, "the files of magika's model are not as they were"),
        (CONFIG, {"txt": {"is_text": True}}, "the files of magika's model are not as they were"),
    ],
)
def test_other_labels_are_one_line(config: Any, types: Any, message: str) -> None:
    text = config if isinstance(config, str) else json.dumps(config)
    with pytest.raises(BadInput, match=f"^{re.escape(message)}"):
        Labels(text, json.dumps(types))
