"""python -m bench alignment: the same memory at every offset, verified there, and what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels_c
from bench import __main__ as command_line
from bench.measure.calls import call_of
from bench.measure.cases.buffers import Buffer
from bench.measure.comparison import alignment, sizes
from bench.measure.machine.caches import read_caches
from bench.saved import alignment as saved
from bench.suite import registry

FLOATS = st.integers(0, 16).map(lambda n: 4 * n)


@given(FLOATS, st.integers(1, 2000))
def test_a_shifted_buffer_is_the_same_memory_further_on(by: int, n: int) -> None:
    buffer = Buffer("f", n, stagger=5)
    there = buffer.shifted(by)
    assert there.address == buffer.address + by
    assert len(there.view) == n
    assert there.guards_intact()
    there.view[:] = memoryview(bytes(4 * n)).cast("f")
    assert there.guards_intact()
    assert buffer.shifted(0).view.tolist()[by // 4 :] == [0.0] * (n - by // 4)


@pytest.mark.parametrize("name", registry.KERNELS)
@pytest.mark.parametrize("offset", alignment.OFFSETS)
def test_a_shifted_case_has_the_same_inputs_and_a_right_result(name: str, offset: str) -> None:
    kernel = registry.kernel(name)
    case = sizes.make(name, "5x7x9" if kernel.signature.rank == 3 else "77")
    there = case.shifted(*alignment.OFFSETS[offset])
    there.run_and_verify(f"{name} {offset}", call_of(there, "c-scalar"))
    addresses = [b.address for b in (*case.buffers, case.out)]
    operands, result = alignment.OFFSETS[offset]
    moved = [b.address for b in (*there.buffers, there.out)]
    assert moved == [*(a + operands for a in addresses[:-1]), addresses[-1] + result]


def test_in_place_operand_and_result_stay_one() -> None:
    case = sizes.make("relu_f32", "77 in place")
    there = case.shifted(4, 4)
    assert there.out is there.buffers[0]
    there.run_and_verify("in place", call_of(there, "c-scalar"))


@pytest.mark.parametrize("name", [n for n, k in registry.KERNELS.items() if not k.is_layer])
def test_a_size_stands_for_each_level(name: str) -> None:
    kernel = registry.kernel(name)
    listed = [size for size in alignment.listed(name, False) if sizes.IN_PLACE not in size]
    levels = [alignment.Plan(name, size, "scalar").level for size in listed]
    assert set(alignment.listed(name, True)) < set(alignment.listed(name, False))
    if kernel.signature.rank < 3:
        assert levels[:3] == ["L1", "L2", "L3"]
        assert len(levels) == 4
        assert kernel.bytes(kernel.shape_named(listed[-1])) >= read_caches().working_set("L3")


def aligned(*arguments: str) -> int:
    return command_line.main(
        ["alignment", "--tier", "scalar", "--seconds", "0.001", "-o", "out.json", *arguments]
    )


def test_the_command_measures_prints_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert aligned("-k", "relu_f32", "--size", "1000", "1000 in place") == 0
    assert "cells within 5 %; worst: " in capsys.readouterr().out
    away, in_place = saved.load(Path("out.json")).cells
    assert list(away.ratios) == list(alignment.OFFSETS)
    assert all(name.startswith("both") for name in in_place.ratios)
    assert saved.CONTROL in in_place.ratios
    assert (away.level, in_place.size) == ("L1", "1000 in place")
    assert all(ratio.pairs >= 15 for ratio in away.ratios.values())


def test_a_kernel_that_errs_off_a_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tier = kernels_c.load_tier("scalar")
    right = tier.lib

    class AlignedOnly:
        build_info = right.build_info

        @staticmethod
        def relu_f32(x: Any, out: Any, n: int) -> None:
            right.relu_f32(x, out, n)
            if int(tier.ffi.cast("uintptr_t", out)) % 64 == 36:
                out[n // 2] = 1e9

    monkeypatch.setattr(tier, "lib", AlignedOnly)
    monkeypatch.chdir(tmp_path)
    assert aligned("-k", "relu_f32", "--size", "1000") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "relu_f32 1000 scalar, result 36 bytes off a cache line" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "nonsense"],
        ["-k", "relu_f32", "--size", "2x2"],
        ["-k", "relu_f32", "--size", "0"],
        ["-k", "relu_f32", "--size", "100 +16"],
        ["-k", "softmax_f32", "--size", "100 in place"],
        ["--size", "77"],
        ["--tier", "nonsense"],
        ["-o", "."],
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert aligned(*arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
