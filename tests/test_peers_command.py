"""python -m bench peers and pytest --peers: what they print, save, refuse, and do without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from bench import __main__ as command_line
from bench.measure import peers
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import compare
from bench.saved import peers as peer_runs
from bench.suite import registry
from tests.checkout import Checkout
from tests.peer_libraries import available


@pytest.fixture
def quick_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    available("numpy")
    if kernels_c.why_unavailable("avx2") is not None:
        pytest.skip(str(kernels_c.why_unavailable("avx2")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compared(*arguments: str) -> int:
    return command_line.main(["peers", "--seconds", "0.001", "--threads", "1", *arguments])


def test_the_command_compares_prints_and_saves(
    quick_command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["1000", "1000 in place", "1000 in place +16"]
    assert compared("--kernel", "relu_f32", "--size", *sizes) == 0
    shown = capsys.readouterr()
    assert "relu_f32  1000 in place" in shown.out
    assert "saved: " in shown.err
    (saved,) = (quick_command / ".peers").iterdir()
    run = peer_runs.load(saved)
    assert [cell.size for cell in run.cells] == sizes
    for cell in run.cells:
        assert cell.tier == next(
            tier for tier in registry.ON_ONE_THREAD if kernels_c.why_unavailable(tier) is None
        )
        assert "numpy" in cell.peers
        for time in cell.peers.values():
            assert time.pairs >= 15
            assert time.low <= time.ratio <= time.high
        assert cell.median_over_min is not None
    content = json.loads(saved.read_text(encoding="utf-8"))
    assert not any(cell["apart"] for cell in content["cells"])
    assert content["libraries"]["numpy"]["version"]
    assert all("/" not in pool["filepath"] for pool in content["thread_pools"])


def test_a_wrong_library_is_not_timed(
    quick_command: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def wrong(self: Any, case: Any, threads: int, *views: Any) -> Any:
        return lambda: calls.append(1), ()

    def raises(self: Any, case: Any, threads: int, *views: Any) -> Any:
        raise RuntimeError("not\nimplemented")

    monkeypatch.setattr(type(peers.load_peer("numpy")), "matmul_f32", wrong)
    if peers.why_unavailable("torch") is None:
        monkeypatch.setattr(type(peers.load_peer("torch")), "matmul_f32", raises)
    assert compared("--kernel", "matmul_f32", "--size", "16", "-o", "out.json") == 0
    assert len(calls) == 1
    (cell,) = peer_runs.load(Path("out.json")).cells
    assert "is not the result" in cell.wrong["numpy"]
    assert "numpy" not in cell.peers
    if "torch" in cell.wrong:
        assert cell.wrong["torch"] == "matmul_f32 16 torch: raised RuntimeError: not implemented"
    assert "not timed: " in capsys.readouterr().out


def test_a_wrong_kernel_of_ours_ends_it(
    quick_command: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = kernels_c.load_tier("avx2")
    right = tier.lib

    class Forgetful:
        relu_f32 = staticmethod(lambda x, out, n: right.relu_f32(x, out, n - 1))
        build_info = right.build_info

    monkeypatch.setattr(tier, "lib", Forgetful)
    assert compared("--kernel", "relu_f32", "--size", "1000", "--tier", "avx2") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(quick_command.iterdir()) == []


def test_an_interrupted_comparison_leaves_nothing(
    quick_command: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "measure", interrupted)
    assert compared("--quick") == 2
    assert capsys.readouterr().err.strip() == "bench: interrupted; nothing was saved"
    assert list(quick_command.iterdir()) == []


@pytest.mark.parametrize("ends", [KeyboardInterrupt, MemoryError, WrongResult], ids=str)
def test_what_was_compared_before_it_ends_early_is_saved(
    ends: type[BaseException],
    quick_command: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure = compare.measure

    def ended(plan: compare.Plan, *others: Any) -> dict[str, Any]:
        if plan.size != "100":
            raise ends
        return measure(plan, *others)

    monkeypatch.setattr(compare, "measure", ended)
    assert compared("--kernel", "relu_f32", "--size", "100", "1000", "-o", "out.json") == 2
    assert [cell.size for cell in peer_runs.load(Path("out.json")).cells] == ["100"]
    assert "1 of 2 cells are saved" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kernel", "nonsense"],
        ["--kernel", "quantized_matmul_f32"],
        ["--kernel", "relu_f32", "--size", "2x2"],
        ["--kernel", "relu_f32", "--size", "0"],
        ["--kernel", "softmax_f32", "--size", "100 in place"],
        ["--kernel", "softmax_f32", "--size", "100 in place +16"],
        ["--kernel", "relu_f32", "--size", "100 +18"],
        ["--kernel", "relu_f32", "--size", "100 +64"],
        ["--kernel", "relu_f32", "--size", "100 +-4"],
        ["--kernel", "relu_f32", "--size", "100 +16 in place"],
        ["--kernel", "relu_f32", "--size", "100 +"],
        ["--kernel", "matmul_i8_i32", "--size", "8 +64"],
        ["--size", "77"],
        ["--threads", "0"],
        ["--threads", "100000"],
        ["--tier", "nonsense"],
        ["--tier", "avx2", "--threads", "2"],
        ["-o", "."],
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    arguments: list[str], quick_command: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["peers", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(quick_command.iterdir()) == []


@pytest.mark.parametrize(
    ("here", "threads", "tier"),
    [
        (kernels_c.TIERS, 1, "avx512"),
        (kernels_c.TIERS, 2, "avx512_omp"),
        (("scalar", "avx2", "avx2_omp"), 1, "avx2"),
        (("scalar", "avx2", "avx2_omp"), 2, "avx2_omp"),
    ],
)
def test_the_widest_tier_here_stands_against_the_libraries(
    monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...], threads: int, tier: str
) -> None:
    def why_unavailable(name: str) -> str | None:
        return None if name in here else f"no {name}"

    monkeypatch.setattr(kernels_c, "why_unavailable", why_unavailable)
    assert compare._tier(threads, None) == tier
    here = ("scalar",)
    with pytest.raises(kernels_c.TierUnavailable, match="no avx2"):
        compare._tier(threads, None)


def test_what_holds_libraries_back_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in compare._HOLDING_BACK:
        monkeypatch.delenv(name, raising=False)
    assert compare.warnings([]) == []
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    (line,) = compare.warnings([{"internal_api": "blis", "architecture": "zen3"}])
    assert "OPENBLAS_CORETYPE" in line
    assert len(compare.warnings([{"internal_api": "blis", "architecture": "generic"}])) == 2


# --- Without the extra, and in the benchmarks ----------------------------------------------------


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose Python finds none of the extra."""
    checkout = Checkout(tmp_path_factory.mktemp("without"))
    modules = ("numpy", "torch", "onnx", "onnxruntime", "threadpoolctl")
    (checkout.folder / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({modules}))\n", encoding="utf-8"
    )
    return checkout


def test_without_the_extra_one_line_says_how_to_get_it(without: Checkout) -> None:
    line = f"the libraries to compare with are not installed; get them with: {peers.EXTRA}"
    command = without.python("-m", "bench", "peers", "--quick")
    assert (command.returncode, command.stderr) == (2, f"bench: {line}\n")
    suite = without.pytest("test_bench_relu.py", "--benchmark-only", "--quick", "--peers")
    assert suite.returncode == 2
    assert line in suite.stdout + suite.stderr
    assert "passed" not in suite.stdout


def test_nothing_needs_the_extra_unless_asked(without: Checkout) -> None:
    run = without.pytest("test_bench_relu.py", "--benchmark-disable", "-k", "c-scalar-100]")
    assert run.returncode == 0, run.stdout
    peers_alone = without.python("-c", "import bench.measure.comparison.compare")
    assert peers_alone.returncode == 0, peers_alone.stderr


def test_the_benchmarks_have_peers_and_say_what_was_not_timed(tmp_path: Path) -> None:
    available("numpy")
    checkout = Checkout(tmp_path)
    checkout.replace("bench/measure/peers/numpy_peer.py", "np.float32(0)  #", "np.float32(7)  #")
    run = checkout.pytest(
        "test_bench_relu.py", "test_bench_matmul.py", "--benchmark-only", "--quick", "--peers",
        "--benchmark-max-time=0.02", "--benchmark-json=peers.json",
        "-k", "(relu and 100] or matmul and 64]) and (avx2 or scalar or idiomatic or peer)",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    saved = checkout.json("peers.json")
    infos = {b["name"]: b["extra_info"] for b in saved["benchmarks"]}
    assert infos["test_matmul[peer-numpy-64]"]["side"] == "peer"
    assert infos["test_matmul[peer-numpy-64]"]["threads"] == 1
    assert infos["test_matmul[c-avx2-64]"]["threads"] == 1
    assert infos["test_matmul[peer-numpy-64]"]["max_error_ulp"] >= 0
    assert "test_relu[peer-numpy-100]" not in infos
    assert "x best peer" in run.stdout
    assert "not timed: relu_f32 100 peer-numpy: element" in run.stdout
    matrix = checkout.python("-m", "bench", "matrix", "peers.json", "--format", "json")
    row = next(r for r in json.loads(matrix.stdout) if r["kernel"] == "matmul_f32")
    assert row["times_best_peer"] > 0
    report = checkout.python("-m", "bench", "report", "peers.json", "-o", "out")
    assert report.returncode == 0, report.stderr


@pytest.mark.parametrize("threads", ["0", "-1", "many"])
def test_a_bad_number_of_threads_is_refused(without: Checkout, threads: str) -> None:
    run = without.pytest("test_bench_relu.py", "--benchmark-only", f"--peer-threads={threads}")
    assert run.returncode == 4
    assert "--peer-threads" in run.stderr + run.stdout
