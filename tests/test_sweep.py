"""The sweep over all of float32, with most of it left out: that it runs, judges and refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import build_ffi
import kernels_c
from bench.suite.registry import KERNELS, Bound
from tests import sweep


@pytest.fixture(autouse=True)
def needs_avx2() -> None:
    reason = kernels_c.why_unavailable("avx2")
    if reason:
        pytest.skip(reason)


def test_it_goes_through_every_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(["--step", "20011"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(sweep.UNARY) + len(sweep.SCALES)
    assert all(line.startswith("avx2 ") for line in lines)
    assert all("217088 inputs" in line for line in lines)  # 53 blocks
    assert "no error" in lines[0]
    assert re.search(r"worst [123]\.\d+ ULP of the true value at x = -?\d\S* \(0x", lines[1])


def test_a_bound_that_does_not_hold_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = KERNELS["gelu_tanh_f32"]
    strict = replace(kernel, bounds={**kernel.bounds, "simd": Bound(1.0)})
    monkeypatch.setitem(KERNELS, "gelu_tanh_f32", strict)
    assert sweep.main(["--step", "20011", "--kernel", "gelu_tanh_f32"]) == 1
    assert "at most 1 allowed" in capsys.readouterr().out


def test_it_would_see_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """One kernel judged as another: nearly every input differs."""
    monkeypatch.setitem(sweep.UNARY, "relu_f32", sweep.UNARY["gelu_erf_f32"])
    assert sweep.main(["--step", "20011", "--kernel", "relu_f32"]) == 1


def test_every_block_is_swept_once_however_it_is_cut() -> None:
    class Library:
        def sweep_unary(self, _kernel: object, _which: int, *place: object) -> None:
            begin, end, step = (number.value for number in place[:3])  # type: ignore[attr-defined]
            seen.extend(range(begin, end, step))

    seen: list[int] = []
    tier = kernels_c.load_tier("avx2")
    one = sweep.sweeps(Library(), tier, "relu_f32", 1009)["relu_f32"]
    sweep.over_all_blocks(one)
    assert sorted(seen) == list(range(0, sweep.BLOCKS, 1009))


@pytest.mark.parametrize(
    "arguments",
    [["--step", "0"], ["--step", "x"], ["--tier", "scalar"], ["--kernel", "softmax_f32"], ["x"]],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        sweep.main(arguments)
    assert exit_.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sweep: ")
    assert said.err.count("\n") == 1


def test_no_compiler_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> tuple[str, ...]:
        raise build_ffi.BuildError("no C++ compiler")

    monkeypatch.setattr(build_ffi, "compiler", missing)
    assert sweep.main([]) == 2
    assert capsys.readouterr().err == "sweep: no C++ compiler\n"
