"""The machine's ceilings: what the microbenchmarks touch, how levels are found, what follows from
the figures. No test depends on how fast anything is."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import build_ffi
import kernels_c
from bench import __main__ as command_line
from bench.analysis.levels import LEVELS
from bench.measure import derived
from bench.measure.cases.buffers import Buffer
from bench.measure.machine import limits, metadata
from bench.measure.machine.caches import Caches, read_caches
from bench.measure.machine.limits import (
    PATTERNS,
    PEAKS,
    WIDTHS,
    Ceiling,
    Job,
    Limits,
    Machine,
    Memory,
    limits_tier,
)
from bench.measure.machine.roofline import ceilings, least_seconds
from bench.saved import runs
from bench.saved.schema import MARK
from bench.suite import registry
from bench.views import limits as view
from bench.views.tables import render

SMALL = Caches(l1=32 * 2**10, l2=256 * 2**10, l3=2**20)
N = 3 * 128


@pytest.fixture(
    scope="module", params=[t for t, row in build_ffi.TIERS.items() if row.folder == "simd"]
)
def probing(request: pytest.FixtureRequest) -> kernels_c.Tier:
    """The tiers that carry the microbenchmarks."""
    try:
        return kernels_c.load_tier(request.param)
    except kernels_c.TierUnavailable as reason:
        pytest.skip(str(reason))


# --- The microbenchmarks --------------------------------------------------------------------------


def buffer(values: array[float]) -> Buffer:
    memory = Buffer("f", len(values))
    memory.fill(values)
    return memory


def floats(tier: kernels_c.Tier, memory: Buffer) -> Any:
    return tier.ffi.cast("float *", memory.address)


RAMP = array("f", [i / 512 for i in range(N)])


@pytest.mark.parametrize("name", ["copy", "stream"])
@pytest.mark.parametrize("passes", [1, 3])
def test_a_copy_copies_all_of_it_and_nothing_else(
    probing: kernels_c.Tier, name: str, passes: int
) -> None:
    x, out = buffer(RAMP), Buffer("f", N)
    out.poison()
    function = getattr(probing.lib, f"limit_{name}_f32")
    function(floats(probing, x), floats(probing, out), N, passes)
    assert out.holds(RAMP)
    assert x.holds(RAMP)
    assert x.guards_intact()
    assert out.guards_intact()


@pytest.mark.parametrize("passes", [0, 1, 2, 3])
def test_an_update_writes_every_element_in_every_pass(probing: kernels_c.Tier, passes: int) -> None:
    x = buffer(RAMP)
    probing.lib.limit_update_f32(floats(probing, x), N, passes)
    assert x.holds(array("f", [1 - v for v in RAMP]) if passes % 2 else RAMP)
    assert x.guards_intact()


@pytest.mark.parametrize("place", [0, 1, 127, 128, 200, N - 1])
def test_a_read_sees_every_element(probing: kernels_c.Tier, place: int) -> None:
    values = array("f", RAMP)
    values[place] = 1000.0
    x = buffer(values)
    assert probing.lib.limit_read_f32(floats(probing, x), N, 2) == 1000.0
    assert x.holds(values)


@pytest.mark.parametrize("name", ["fma_f32", "madd_i16", "dot_i8", "clock"])
def test_the_operations_reported_grow_with_the_rounds(probing: kernels_c.Tier, name: str) -> None:
    function = getattr(probing.lib, f"limit_{name}")
    one = function(1)
    assert one > 0 or (name == "dot_i8" and not probing.name.startswith("avx512"))
    assert function(0) == 0
    assert function(1000) == 1000 * one


def test_only_tiers_of_a_folder_with_microbenchmarks_declare_them() -> None:
    for name, tier in build_ffi.TIERS.items():
        declared = "".join(map(build_ffi.declared_in, build_ffi.declaring_headers(name)))
        assert ("limit_fma_f32" in declared) == (tier.folder != "portable")
        assert "relu_f32" in declared


# --- Levels --------------------------------------------------------------------------------------


def describe(folder: Path, *caches: tuple[int, str, str]) -> Path:
    for number, (level, kind, size) in enumerate(caches):
        index = folder / f"index{number}"
        index.mkdir()
        for name, text in (("level", str(level)), ("type", kind), ("size", size)):
            (index / name).write_text(f"{text}\n")
    return folder


def test_cache_sizes_are_read_from_the_kernel(tmp_path: Path) -> None:
    folder = describe(
        tmp_path,
        (1, "Data", "48K"),
        (1, "Instruction", "64K"),
        (2, "Unified", "1024K"),
        (3, "Unified", "32768K"),
    )
    assert read_caches(folder) == Caches(48 * 2**10, 2**20, 2**25)


@pytest.mark.parametrize(
    "caches", [(), ((1, "Data", "nonsense"),), ((2, "Unified", "64M"),), ((1, "Data", "65536K"),)]
)
def test_what_the_kernel_does_not_say_is_guessed(
    tmp_path: Path, caches: tuple[tuple[int, str, str], ...]
) -> None:
    found = read_caches(describe(tmp_path, *caches))
    assert 0 < found.l1 <= found.l2 <= found.l3


MACHINES = (
    SMALL,
    read_caches(),
    read_caches(Path("/nonexistent")),
    Caches(32 * 2**10, 512 * 2**10, 512 * 2**10),
    Caches(48 * 2**10, 2 * 2**20, 384 * 2**20),
)


@pytest.mark.parametrize("caches", MACHINES, ids=str)
@pytest.mark.parametrize("cores", [1, 2, 8])
def test_more_bytes_never_live_in_a_nearer_level(caches: Caches, cores: int) -> None:
    found = [LEVELS.index(caches.level(2**bits, cores)) for bits in range(40)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 3)


@pytest.mark.parametrize("caches", MACHINES, ids=str)
def test_a_working_set_lies_within_its_level(caches: Caches) -> None:
    sizes = [caches.working_set(level) for level in LEVELS]
    assert sizes == sorted(sizes)
    assert all(size % 4096 == 0 and size > 0 for size in sizes)
    for size, capacity in zip(sizes, (caches.l1, caches.l2, caches.l3), strict=False):
        assert size <= capacity / 2
    assert sizes[-1] <= 2**28


def test_private_levels_hold_more_on_more_cores() -> None:
    assert SMALL.level(2 * SMALL.l2, 1) == "L3"
    assert SMALL.level(2 * SMALL.l2, 2) == "L2"
    assert SMALL.level(2 * SMALL.l3, 2) == "DRAM"


# --- Measuring -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WIDTHS)
def measured(request: pytest.FixtureRequest) -> Limits:
    """Two threads, on however many cores there are."""
    try:
        tier = kernels_c.load_tier(request.param)
    except kernels_c.TierUnavailable as reason:
        pytest.skip(str(reason))
    made = Limits(tier, cores=2, memory=Memory(SMALL))
    made.complete()
    return made


def test_every_ceiling_is_measured_and_believable(measured: Limits) -> None:
    assert set(measured.best) == set(measured.all)
    assert len(measured.all) == 1 + 2 * (len(measured.peaks) + 1 + len(LEVELS) * len(PATTERNS))
    assert all(0 < rate < math.inf for rate in measured.best.values())


def test_a_further_slice_can_only_raise_a_ceiling(measured: Limits) -> None:
    for ceiling in (Ceiling("fma"), Ceiling("copy", "L1", 2), Ceiling("stream", "DRAM")):
        before = measured.best[ceiling]
        measured.measure([ceiling])
        assert measured.best[ceiling] >= before
    measured.best[Ceiling("fma")] = 1e30
    with measured.beside([Ceiling("fma")]):
        pass
    assert measured.best.pop(Ceiling("fma")) == 1e30
    measured.complete()
    assert measured.best[Ceiling("fma")] < 1e30


def test_a_saved_run_gives_the_rows_back(measured: Limits) -> None:
    rows = json.loads(json.dumps(measured.as_rows()))
    read = runs.limits_from_json(rows)
    assert {Ceiling(limit.name, limit.level, limit.cores) for limit in read} == set(measured.best)
    assert json.loads(render(view.view(read), "json")) == rows
    sets = {limit.working_set for limit in read if limit.level == "L1"}
    assert sets == {SMALL.l1 // 2, SMALL.l1}
    text = render(view.view(read), "text")
    columns = [f"{measured._tier.name} {cores}" for cores in ("1 core", "2 cores")]
    for part in ("FMA peak", *columns, "L1 read", "DRAM copy, non-temporal", "ns"):
        assert part in text


def test_what_these_registers_lack_is_left_out(measured: Limits) -> None:
    dot = Ceiling("dot_i8")
    measured.measure([dot])
    assert (dot in measured.best) == (measured._tier.name == "avx512")


def test_the_widths_stand_side_by_side_each_microbenchmark_once() -> None:
    wide = runs.limits_from_json(
        [
            {"name": name, "level": level, "cores": cores, "working_set": 64, "per_second": 2e9,
             "unit": "B", "tier": tier}
            for tier, names in (("avx2", ("fma", "clock")), ("avx512", ("fma", "dot_i8", "clock")))
            for level, found in ((None, names), ("L1", ("read",)))
            for cores in (1, 2)
            for name in found
        ]
    )  # fmt: skip
    header, _, *lines = render(view.view(wide), "text").splitlines()
    columns = ("avx2 1 core ", "avx2 2 cores", "avx512 1 core ", "avx512 2 cores")
    places = [header.index(column) for column in columns]
    assert places == sorted(places)
    assert [line.split()[0] for line in lines[:4]] == ["FMA", "int8", "core", "L1"]
    assert [line.count("2.00") for line in lines[:4]] == [4, 2, 4, 4]


def test_each_core_has_memory_of_its_own(measured: Limits) -> None:
    """What one thread's microbenchmark writes no other touches."""
    spans: list[tuple[int, int]] = []
    real = measured._tier

    class Recording:
        ffi = real.ffi

        class lib:  # noqa: N801
            @staticmethod
            def limit_update_f32(x: Any, n: int, passes: int) -> None:
                start = int(real.ffi.cast("uintptr_t", x))
                spans.append((start, start + 4 * n))

    made = Limits(Recording(), cores=3, memory=Memory(SMALL))  # type: ignore[arg-type]
    for level in LEVELS:
        spans.clear()
        for core in range(3):
            made._job(Ceiling("update", level, 3), core).run(1)
        spans.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@pytest.mark.parametrize("held_up", [(0,), (0, 3, 6), (1, 2, 9, 12)])
def test_a_run_that_is_held_up_does_not_shorten_the_pieces(
    held_up: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A microsecond each, but for runs that another program interrupts."""
    runs_so_far: list[int] = []

    def run_together(jobs: object, repeats: int) -> float:
        runs_so_far.append(repeats)
        return repeats * 1e-6 + (0.005 if len(runs_so_far) - 1 in held_up else 0.0)

    monkeypatch.setattr(limits, "run_together", run_together)
    repeats = limits.repeats_of_a_piece([Job(lambda n: None, 1.0)] * 2)
    assert 1500 <= repeats < 8 * 1500


def test_threads_run_together_and_take_as_long_as_the_last() -> None:
    meeting = threading.Barrier(3, timeout=60)  # broken, unless all three are there at once
    done: list[int] = []

    def run(repeats: int) -> None:
        meeting.wait()
        done.append(repeats)

    assert limits.run_together([Job(run, 1.0)] * 3, 7) > 0
    assert done == [7, 7, 7]


def test_a_ring_goes_round_its_whole_memory() -> None:
    step = limits._DRAM_STEP
    seen: list[tuple[int, int]] = []
    job = limits.ring_job(lambda x, n, passes: seen.append((x, n)), [0], 8 * step, 4.0)
    assert job.most == 2
    for _ in range(5):
        job.run(2)
    assert seen == [(2 * step * (i % 4), 2 * step) for i in range(5)]


THREADS = "import sys, kernels_c; print(kernels_c.load_tier(sys.argv[1]).threads)"


@pytest.mark.parametrize("given", ["", "1", "2", "2,1", "1000"])
@pytest.mark.parametrize("tier", ["scalar", "avx2", "avx2_omp", "avx512", "avx512_omp"])
def test_a_tier_uses_the_threads_that_it_is_given_and_has_cores_for(tier: str, given: str) -> None:
    if kernels_c.why_unavailable(tier):
        pytest.skip(str(kernels_c.why_unavailable(tier)))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
    if given:
        environment["OMP_NUM_THREADS"] = given
    command = [sys.executable, "-c", THREADS, tier]
    root = Path(kernels_c.__file__).resolve().parent.parent
    answer = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True)
    wanted = int(given.partition(",")[0] or 2**20) if tier.endswith("_omp") else 1
    assert int(answer.stdout) == min(wanted, metadata.usable_cores())


# --- What follows from them ----------------------------------------------------------------------


@pytest.mark.parametrize("kernel", registry.KERNELS.values(), ids=lambda kernel: kernel.name)
def test_every_row_states_its_cost_in_terms_that_are_measured(kernel: registry.Kernel) -> None:
    assert kernel.signature.peak in PEAKS
    assert kernel.signature.pattern in ("read", "update", "copy")
    for shape in kernel.shapes():
        assert kernel.flops(shape) > 0
        assert kernel.bytes(shape) > 0


def synthetic(cores: int = 1) -> dict[Ceiling, float]:
    """1e9 operations a second; a copy of 16e9 bytes a second in L1, half of that in each level
    further out, but 6e9 past the caches."""
    names = [name for of_peak in PEAKS.values() for name in of_peak]
    best: dict[Ceiling, float] = {Ceiling(name, None, cores): 1e9 for name in names}
    for number, level in enumerate(LEVELS):
        for pattern in PATTERNS:
            best[Ceiling(pattern, level, cores)] = 16e9 / 2**number
        best[Ceiling("stream", level, cores)] = 6e9
    return best


@pytest.mark.parametrize(
    ("name", "shape", "seconds", "bound"),
    [
        ("relu_f32", (1000,), 1000 / 1e9, "compute"),
        ("relu_f32", (2**17,), 2**20 / 4e9, "L3"),
        ("relu_f32", (2**20,), 8 * 2**20 / 6e9, "DRAM"),
        ("quantize_f32_i8", (2**20,), 3 * 2**20 / 1e9, "compute"),
        ("matmul_f32", (10, 10, 10), 2000 / 1e9, "compute"),
    ],
)
def test_the_slower_of_arithmetic_and_memory_bounds(
    name: str, shape: tuple[int, ...], seconds: float, bound: str
) -> None:
    kernel = registry.KERNELS[name]
    least = least_seconds(kernel, shape, 1, SMALL, synthetic())
    assert least is not None
    assert least[0] == pytest.approx(seconds, rel=1e-3)
    assert least[1] == bound


def test_non_temporal_stores_count_only_past_the_caches() -> None:
    relu = registry.KERNELS["relu_f32"]
    names = [[c.name for c in ceilings(relu, (n,), 1, SMALL)] for n in (100, 2**20)]
    assert names == [["fma", "copy"], ["fma", "copy", "stream"]]


def test_the_fastest_exact_way_that_a_width_has_bounds_int8_products() -> None:
    product = registry.KERNELS["matmul_i8_i32"]
    best = synthetic()
    best[Ceiling("dot_i8")] = 2e9
    for expected in (2000 / 2e9, 2000 / 1e9):
        least = least_seconds(product, (10, 10, 10), 1, SMALL, best)
        assert least == (pytest.approx(expected), "compute")
        best.pop(Ceiling("dot_i8"), None)


@pytest.mark.parametrize(
    ("variant", "tier"),
    [
        ("c-scalar", "avx2"),
        ("c-fastmath", "avx2"),
        ("c-avx2", "avx2"),
        ("c-avx2_omp", "avx2"),
        ("c-avx512", "avx512"),
        ("c-avx512_omp", "avx512"),
        ("c-scalar_ijk", "avx2"),
        ("c-avx2_tiled", "avx2"),
        ("c-avx2_lists", None),  # most of its time is not the kernel's
    ],
)
def test_a_tier_is_judged_by_its_own_registers(variant: str, tier: str | None) -> None:
    assert limits_tier(variant) == tier


@pytest.mark.parametrize(
    ("available", "tier"), [(WIDTHS, "avx512"), (("avx2",), "avx2"), ((), "avx2")]
)
def test_a_library_is_judged_by_the_widest_registers_here(
    monkeypatch: pytest.MonkeyPatch, available: tuple[str, ...], tier: str
) -> None:
    monkeypatch.setattr(
        kernels_c, "why_unavailable", lambda name: None if name in available else "not here"
    )
    assert limits_tier("peer-numpy") == tier
    if not available:
        assert Machine().limits("peer-numpy") is None


def test_the_widths_share_their_memory() -> None:
    for tier in WIDTHS:
        if kernels_c.why_unavailable(tier):
            pytest.skip(str(kernels_c.why_unavailable(tier)))
    machine = Machine()
    narrow, wide = (machine.of_tier(tier) for tier in WIDTHS)
    assert machine.limits("c-scalar") is narrow
    assert machine.limits("c-avx512_omp") is wide
    assert narrow._memory is wide._memory


def test_without_the_ceilings_of_that_many_cores_nothing_is_said() -> None:
    relu = registry.KERNELS["relu_f32"]
    assert least_seconds(relu, (100,), 2, SMALL, synthetic(1)) is None
    assert least_seconds(relu, (100,), 2, SMALL, synthetic(2)) is not None


def test_the_percentage_is_of_the_minimum_and_not_for_python() -> None:
    class Synthetic:
        caches, best = SMALL, synthetic()

    def benchmark(variant: str, side: str, seconds: float) -> dict[str, Any]:
        metadata = {"kernel": "relu_f32", "size": "1000", "shape": [1000], "threads": 1}
        metadata |= {**MARK, "variant": variant, "side": side}
        return {
            "stats": {"min": seconds, "median": 9.0},
            "extra_info": {**metadata, "flops": 1000, "bytes": 8000},
        }

    measured = [
        benchmark("py-loop", "python", 1e-3),
        benchmark("c-avx2", "native", 4e-6),
        benchmark("c-avx512", "native", 2e-6),  # whose limits were not measured
    ]
    derived.add_derived_figures(measured, {"avx2": Synthetic()})  # type: ignore[dict-item]
    python, native, wide = (b["extra_info"] for b in measured)
    assert native["bound"] == "compute"
    assert native["percent_of_limit"] == pytest.approx(25.0)
    for other in (python, wide):
        assert not {"bound", "percent_of_limit"} & other.keys()


# --- The command ---------------------------------------------------------------------------------


def test_the_command_prints_positive_finite_rates(capsys: pytest.CaptureFixture[str]) -> None:
    if kernels_c.why_unavailable("avx2"):
        pytest.skip("needs the avx2 tier")
    assert command_line.main(["limits", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    able = [tier for tier in WIDTHS if kernels_c.why_unavailable(tier) is None]
    assert list(dict.fromkeys(row["tier"] for row in rows)) == able
    ways = {"fma", "madd_i16", "dot_i8"} if "avx512" in able else {"fma", "madd_i16"}
    assert {row["name"] for row in rows} == {*ways, "clock", "call", *PATTERNS}
    assert all(0 < row["per_second"] < math.inf for row in rows)


def test_without_the_tier_the_command_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(name: str) -> kernels_c.Tier:
        raise kernels_c.TierUnavailable(f"tier {name} needs AVX2 and FMA, which is not here")

    monkeypatch.setattr(kernels_c, "load_tier", unavailable)
    assert command_line.main(["limits"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "bench: tier avx2 needs AVX2 and FMA, which is not here\n"
    assert captured.out == ""
