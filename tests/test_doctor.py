"""python -m bench doctor: its checks on made-up systems, what it measures here, its file, its view,
its exit codes, and what a run keeps of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels_c
from bench.__main__ import main
from bench.interpreters import discovery
from bench.measure.doctor import checkup, noise, software, system
from bench.measure.doctor.look import Counters, Files, Look, counters, groups, look, numbers
from bench.measure.doctor.noise import Noise
from bench.measure.doctor.spread import Spread, spread_of
from bench.measure.machine import others
from bench.measure.machine.others import CoreTime
from bench.measure.session import Session
from bench.saved import doctor, runs
from bench.saved.checks import BadRun
from bench.saved.doctor import COSTS, FINE, NOTE, UNKNOWN, VERDICTS, Checkup, Finding
from bench.views import doctor as drawn
from bench.views import tables
from tests.altered import altered
from tests.checkout import Checkout
from tests.test_runs import GOOD

QUIET = Noise(
    spread=Spread(9000, 1e-4, 1.0, 1.02, 3.0, 1.01, 0.02, 1.3, False),
    native=True, slowest_core=(1, 1.0), waiting=1.0, after_pause=1.05, pair=1.0, all_cores=1.0,
    clock_step=5e-8, clock_call=6e-8,
)  # fmt: skip
UNMEASURED = replace(QUIET, pair=None, all_cores=None)
CPU = "sys/devices/system/cpu"
quickly = settings(max_examples=100, deadline=None, database=None, derandomize=True)


def system_of(root: Path, files: Mapping[str, str]) -> Files:
    """A made-up system."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")
    return Files(root)


def times(everything: float, used: float, ours: float, stolen: float) -> Counters:
    return Counters(CoreTime(everything, used, ours, stolen), throttled=0, swapped=0, stopped=0)


def look_at(files: Files, **what: Any) -> Look:
    """Two cores and a quiet second, but for what is given."""
    usual = {"cores": (0, 1), "noise": QUIET, "before": times(0, 0, 0, 0)}
    return Look(**{"files": files, **usual, "after": times(200, 100, 100, 0), **what})


def found(seen: Look) -> dict[str, Finding]:
    return {finding.name: finding for finding in (check(seen) for check in checkup.CHECKS)}


def verdicts(seen: Look, *names: str) -> dict[str, str]:
    return {name: found(seen)[name].verdict for name in names}


# --- Made-up systems -----------------------------------------------------------------------------


def test_a_laptop_on_its_battery(tmp_path: Path) -> None:
    siblings = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
    files = system_of(tmp_path, {
        "proc/cpuinfo": "flags\t\t: fpu avx2\nmodel name\t: AMD Ryzen",
        **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "powersave" for n in siblings},
        **{f"{CPU}/cpu{n}/cpufreq/scaling_driver": "amd-pstate-epp" for n in siblings},
        **{f"{CPU}/cpu{n}/topology/thread_siblings_list": s for n, s in siblings.items()},
        f"{CPU}/online": "0-3", f"{CPU}/smt/active": "1", f"{CPU}/cpufreq/boost": "1",
        "sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "0",
        "sys/class/power_supply/BAT0/type": "Battery",
        "sys/class/power_supply/BAT0/status": "Discharging",
        "sys/firmware/acpi/platform_profile": "low-power",
    })  # fmt: skip
    ramps = replace(QUIET, after_pause=2.41, pair=1.9, all_cores=1.17)
    seen = found(look_at(files, cores=(0, 1, 2, 3), noise=ramps))
    governor, turbo, smt, power = (
        seen[name] for name in ("frequency-scaling", "turbo", "smt", "power")
    )
    assert (governor.verdict, governor.factor) == (COSTS, 2.41)
    assert "powersave, amd-pstate-epp" in governor.seen and "2.4x" in governor.cost
    assert (turbo.verdict, turbo.factor) == (COSTS, 1.17)
    assert turbo.fix == "echo 0 > /sys/devices/system/cpu/cpufreq/boost, as root"
    assert (smt.verdict, smt.factor) == (COSTS, 1.9)
    assert "cpu0 and cpu1 are hardware threads of one core" in smt.seen
    assert "taskset -c 0,2 " in smt.fix
    assert power.verdict == COSTS and power.factor is None
    assert "battery" in power.seen and "low-power" in power.seen
    assert (seen["virtualisation"].verdict, seen["affinity"].verdict) == (FINE, FINE)
    # Plugged in, and nothing of it was felt.
    (tmp_path / "sys/class/power_supply/BAT0/status").write_text("Full\n")
    (tmp_path / "sys/firmware/acpi/platform_profile").write_text("balanced\n")
    names = ("frequency-scaling", "turbo", "smt", "power")
    assert set(verdicts(look_at(files), *names).values()) == {FINE}
    # Others had the cores while it was measured: it may be of their making.
    busy = look_at(files, noise=ramps, after=times(200, 150, 100, 0))
    assert set(verdicts(busy, *names[:3]).values()) == {UNKNOWN}


def test_a_server_with_turbo_on_which_nothing_can_be_measured(tmp_path: Path) -> None:
    files = system_of(tmp_path, {
        f"{CPU}/intel_pstate/no_turbo": "0",
        f"{CPU}/cpu0/cpufreq/base_frequency": "2100000",
        f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "3800000",
        f"{CPU}/cpu0/topology/thread_siblings_list": "0,1",
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
        f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "odd",
    })  # fmt: skip
    hot = counters(files)
    assert hot.throttled == 7
    seen = found(look_at(files, noise=UNMEASURED, before=hot, after=hot))
    assert seen["turbo"].factor == pytest.approx(3.8 / 2.1)
    assert "cpuinfo_max_freq over base_frequency" in seen["turbo"].cost  # where it comes from
    assert "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo" in seen["turbo"].fix
    assert (seen["smt"].verdict, seen["smt"].factor) == (COSTS, 1.6)
    assert "bench/measure/timing/minimum.py" in seen["smt"].cost
    assert (
        seen["thermal-throttling"].verdict == NOTE and "7 times" in seen["thermal-throttling"].seen
    )
    hotter = look_at(files, before=hot, after=replace(hot, throttled=9))
    assert found(hotter)["thermal-throttling"].verdict == COSTS
    for name in ("base_frequency", "cpuinfo_max_freq"):
        (tmp_path / CPU / "cpu0/cpufreq" / name).write_text("?")
    assert found(look_at(files, noise=UNMEASURED))["turbo"].factor is None
    (tmp_path / CPU / "intel_pstate/no_turbo").write_text("1")
    assert found(look_at(files, noise=UNMEASURED))["turbo"].verdict == FINE


V2 = {
    "proc/self/cgroup": "0::/app/worker",
    "sys/fs/cgroup/app/cpu.max": "150000 100000",
    "sys/fs/cgroup/app/worker/cpu.max": "max 100000",
    "sys/fs/cgroup/app/worker/cpu.stat": "usage_usec 7\nnr_throttled 12",
}
V1 = {
    "proc/self/cgroup": "5:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n1:name=systemd:/",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000",  # its own, seen from inside
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 20\nnr_throttled 12",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "104857600",
    "proc/meminfo": "MemAvailable:  16000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB",
}


@pytest.mark.parametrize("files", [V2, V1], ids=["v2", "v1"])
def test_a_container_with_one_and_a_half_cores(tmp_path: Path, files: dict[str, str]) -> None:
    there = system_of(tmp_path, files)
    assert counters(there).stopped == 12
    stopped = replace(times(200, 100, 100, 0), stopped=4)
    quota = found(look_at(there, after=stopped))["cgroup-quota"]
    assert quota.verdict == COSTS and quota.factor == pytest.approx(2 / 1.5)
    assert quota.seen == "1.5 cores' time, on 2; stopped 4 times while we looked"
    assert quota.cost == "about 1.33x on all cores"
    assert found(look_at(there, cores=(0,)))["cgroup-quota"].verdict == FINE


def test_quotas_below_a_core_odd_ones_and_none(tmp_path: Path) -> None:
    there = system_of(tmp_path, {"proc/self/cgroup": "0::/../../x", "sys/fs/cgroup/cpu.max": "1"})
    for text, verdict in (
        ("50000 100000", COSTS), ("max 100000", FINE), ("0 100000", FINE), ("1 0", FINE),
        ("1", UNKNOWN), ("", UNKNOWN),
    ):  # fmt: skip
        (tmp_path / "sys/fs/cgroup/cpu.max").write_text(text)
        quota = found(look_at(there))["cgroup-quota"]
        assert quota.verdict == verdict, text
        if verdict == COSTS:
            assert quota.cost == "about 4.00x on all cores, 2.00x on one"
    assert groups(Files(tmp_path / "none"), "cpu") == []


def test_memory_is_the_containers(tmp_path: Path) -> None:
    memory = found(look_at(system_of(tmp_path, V1)))["memory"]
    assert memory.verdict == COSTS and memory.seen.startswith(
        "0.1 GiB free; the largest case, relu"
    )
    (tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("9223372036854771712")
    assert found(look_at(Files(tmp_path)))["memory"].verdict == FINE


def test_a_virtual_machine_of_which_others_steal(tmp_path: Path) -> None:
    files = system_of(tmp_path, {
        "proc/cpuinfo": "flags : fpu hypervisor avx2", "proc/loadavg": "1.50 1 1 2/90 7",
        "sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/product_name": "Standard PC",
    })  # fmt: skip
    stolen = look_at(files, after=times(200, 120, 100, 20))
    steal, programs = (found(stolen)[name] for name in ("steal", "other-programs"))
    assert steal.verdict == COSTS and steal.figures == {"share": 0.1}
    assert steal.factor == pytest.approx(120 / 100)  # of the time in which anybody had work
    assert "gate run --base REF" in steal.fix
    assert programs.verdict == FINE and programs.figures["share"] == 0.0
    assert "load average 1.50" in programs.seen
    machine = found(stolen)["virtualisation"]
    assert machine.verdict == NOTE and "(QEMU Standard PC)" in machine.seen
    busy = replace(QUIET, waiting=1.8)
    programs = found(look_at(files, noise=busy, after=times(200, 160, 100, 0)))["other-programs"]
    assert (programs.verdict, programs.factor, programs.figures["share"]) == (COSTS, 1.8, 0.3)
    waited = look_at(files, noise=busy)  # as for a quota that is used up
    assert found(waited)["other-programs"].verdict == FINE
    # Too short a look for ticks; what the loop felt counts all the same.
    short = look_at(files, noise=busy, after=times(20, 20, 10, 5))
    assert verdicts(short, "steal", "other-programs") == {"steal": UNKNOWN, "other-programs": COSTS}


def test_machines_whose_cpus_have_no_flag_for_it_are_known_by_name(tmp_path: Path) -> None:
    files = system_of(tmp_path, {"proc/cpuinfo": "Features : asimd"})
    assert found(look_at(files))["virtualisation"].verdict == UNKNOWN
    for name, verdict in (("KVM Virtual Machine", NOTE), ("ThinkPad", FINE)):
        system_of(tmp_path, {"sys/class/dmi/id/product_name": name})
        assert found(look_at(files))["virtualisation"].verdict == verdict


@pytest.mark.parametrize("how", ["nothing", "folders", "bytes"])
def test_what_cannot_be_read_is_unknown(tmp_path: Path, how: str) -> None:
    """No /proc and /sys at all, as elsewhere than on Linux; folders in place of files, which cannot
    be read by root either; and files of odd bytes."""
    paths = [*V1, *V2, "proc/stat", "proc/vmstat", "proc/cpuinfo", f"{CPU}/online"]
    paths += ["sys/kernel/mm/transparent_hugepage/enabled", "sys/class/power_supply/B/type"]
    for path in paths if how != "nothing" else []:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if how == "folders":
            (tmp_path / path).mkdir(parents=True, exist_ok=True)
        elif not (tmp_path / path).is_dir():
            with suppress(OSError):
                (tmp_path / path).write_bytes(b"\xff\x00 \x9b[31m\n-: 7\n" * 3)
    files = Files(tmp_path)
    counted = counters(files)
    assert counted == Counters()
    seen = found(look_at(files, cores=(), noise=UNMEASURED, before=counted, after=counted))
    unknown = {name for name, finding in seen.items() if finding.verdict == UNKNOWN}
    expected = {
        "steal", "cgroup-quota", "affinity", "turbo", "smt", "thermal-throttling",
        "virtualisation", "huge-pages", "memory", "swap", "power",
    }  # fmt: skip
    assert unknown == expected - ({"power"} if how == "bytes" else set())
    assert seen["other-programs"].verdict == FINE  # the loop was not kept waiting


CHECKED = ("spread", "timer", "huge-pages", "swap", "affinity", "environment", "disk")


def test_what_else_there_is_to_find(tmp_path: Path) -> None:
    files = system_of(tmp_path, {
        "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
        "proc/meminfo": "SwapTotal: 2097152 kB\nSwapFree: 1048576 kB", f"{CPU}/online": "0-3,8",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet",
    })  # fmt: skip
    two = Spread(9000, 1e-4, 1.3, 1.62, 80.0, 1.25, 0.45, 1.6, True)
    slow = replace(QUIET, spread=two, slowest_core=(1, 1.4), clock_step=1e-6, clock_call=9e-7)
    swapping = replace(times(200, 100, 100, 0), swapped=7)
    environment = {"LD_PRELOAD": "/x.so", "PYTHONHASHSEED": "0", "HOME": "/"}
    seen = found(look_at(files, noise=slow, after=swapping, environment=environment))
    assert {seen[name].verdict for name in CHECKED[:4]} == {COSTS}
    assert seen["spread"].factor == 1.25
    assert seen["spread"].cost.startswith("about 1.60x for 45% of the rounds, 1.25x on average")
    for said in ("two speeds", "cpu1 takes 1.40x at best", "90% at most 1.62x", "8.0 ms"):
        assert said in seen["spread"].seen
    assert "(hpet)" in seen["timer"].seen and seen["timer"].factor == pytest.approx(1.019)
    assert "7 pages" in seen["swap"].seen
    assert seen["affinity"].verdict == NOTE
    assert seen["affinity"].seen == "this process may use 2 of 5 cores: cpu0, cpu1"
    assert seen["environment"].verdict == COSTS and seen["environment"].seen == "LD_PRELOAD=/x.so"
    assert found(look_at(files))["swap"].verdict == NOTE


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("OMP_NUM_THREADS", "1", COSTS), ("OMP_NUM_THREADS", "2", FINE),
        ("OMP_NUM_THREADS", "4,2", COSTS), ("OMP_PROC_BIND", "true", COSTS),
        ("PYTHONMALLOC", "debug", COSTS), ("PYTHONMALLOC", "pymalloc", FINE),
        ("PYTHONDEVMODE", "", FINE), ("MALLOC_ARENA_MAX", "1", COSTS),
        ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2_Usable", COSTS),
        ("OPENBLAS_CORETYPE", "Haswell", NOTE), ("MKL_NUM_THREADS", "1", NOTE),
        ("PYTHONHASHSEED", "0", FINE), ("BAREMETAL_CACHES", "2048,8192,65536", COSTS),
    ],
)  # fmt: skip
def test_variables(tmp_path: Path, name: str, value: str, verdict: str) -> None:
    assert (
        software.environment(look_at(Files(tmp_path), environment={name: value})).verdict == verdict
    )


def test_a_disk_that_is_full_and_one_that_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = look_at(Files(tmp_path), storage=tmp_path / "not/there/yet")
    assert system.disk(seen).verdict == FINE
    monkeypatch.setattr(system, "_RUN_BYTES", 1e30)
    assert system.disk(seen).verdict == COSTS
    monkeypatch.setattr(system.shutil, "disk_usage", raises(OSError("no such device")))
    assert system.disk(seen).verdict == UNKNOWN


def test_who_watches_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = system_of(tmp_path, {"proc/self/status": "Name:\tpython\nTracerPid:\t0"})
    monkeypatch.setattr(software, "watchers", list)
    monkeypatch.setattr(software.sys, "gettrace", lambda: None)
    assert software.interpreter(look_at(files)).verdict in (FINE, NOTE)  # NOTE: how it was built
    monkeypatch.setattr(software.sys, "gettrace", lambda: print)
    traced = software.interpreter(look_at(files))
    assert traced.verdict == NOTE and "is traced, but for what is timed" in traced.seen
    monkeypatch.setattr(software, "watchers", lambda: ["coverage"])
    system_of(tmp_path, {"proc/self/status": "TracerPid:\t77"})
    watched = software.interpreter(look_at(files))
    assert watched.verdict == COSTS
    assert "coverage watches it; process 77, by ptrace watches it" in watched.seen


def test_tiers_and_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look_at(Files(tmp_path))
    monkeypatch.setattr(kernels_c, "why_unusable_build", lambda name: None)
    monkeypatch.setattr(
        kernels_c, "why_unavailable",
        lambda name: f"tier {name} needs AVX-512" if "512" in name else None,
    )  # fmt: skip
    tiers = software.tiers(seen)
    assert (tiers.verdict, tiers.seen) == (NOTE, "avx512, avx512_omp: needs AVX-512")
    monkeypatch.setattr(kernels_c, "why_unavailable", lambda name: None)
    assert software.tiers(seen).verdict == FINE
    monkeypatch.setattr(kernels_c, "why_unusable_build", lambda name: f"tier {name} is stale")
    assert software.tiers(seen).verdict == COSTS
    for tool in (software.callgrind, software.objdump):
        monkeypatch.setattr(tool, "why_unavailable", lambda: None)
    assert software.evidence_tools(seen).verdict == FINE
    monkeypatch.setattr(software.callgrind, "why_unavailable", lambda: "valgrind was not found")
    missing = software.evidence_tools(seen)
    assert (missing.verdict, missing.seen) == (NOTE, "valgrind was not found")


class Odd(Files):
    """Every file that is asked for is there, and holds any text."""

    def __init__(self, draw: Callable[[], str]) -> None:
        super().__init__(Path("/nowhere"))
        object.__setattr__(self, "draw", draw)

    def text(self, path: str) -> str | None:
        return self.draw().strip()  # type: ignore[attr-defined, no-any-return]

    def paths(self, pattern: str) -> list[str]:
        return [pattern.replace("*", "x").replace("[0-9]", "0")]


TEXTS = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"-?\d{1,25}(,\d{1,3}){0,2}( \d{1,9})?", fullmatch=True),
    st.sampled_from(["0::/x", "3:cpu,memory:/a/../b", "max 1", "[never]", "Battery", "low-power"]),
    st.from_regex(r"(MemAvailable|SwapTotal|SwapFree|flags|pswpin): ?\d+ ?(kB)?", fullmatch=True),
)  # fmt: skip


@settings(quickly, max_examples=40)
@given(st.data())
def test_no_text_of_any_file_breaks_a_check(data: st.DataObject) -> None:
    files = Odd(lambda: data.draw(TEXTS))
    counted = counters(files)
    seen = look_at(files, before=counted, after=counters(files), noise=UNMEASURED)
    checked = Checkup(tuple(check(seen) for check in checkup.CHECKS), 1.0, "CPU")
    assert doctor.from_json(json.loads(json.dumps(doctor.as_json(checked)))).exit_code in (0, 3)


# --- What is measured ----------------------------------------------------------------------------


@quickly
@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50))
def test_a_spread_is_in_order(rounds: list[float]) -> None:
    seen = spread_of(rounds)
    assert seen.minimum == min(rounds) and seen.rounds == len(rounds)
    assert 1.0 <= seen.median <= seen.p90 <= seen.longest
    assert 1.0 - 1e-9 <= seen.mean <= seen.longest * (1 + 1e-9)
    assert 0.0 <= seen.slow < 1.0 and (seen.slow_median > 1.1) == (seen.slow > 0)


def test_two_speeds_are_told_from_one_that_spreads() -> None:
    draw = random.Random(7)
    bell = [draw.gauss(1.0, 0.1) for _ in range(2000)]
    even = [draw.uniform(1.0, 2.0) for _ in range(2000)]
    tail = [1.0 + draw.expovariate(5) for _ in range(2000)]
    interrupted = [draw.gauss(1.0, 0.002) for _ in range(1990)] + [80.0] * 10
    close = [draw.gauss(mean, 0.002) for mean in (1.0, 1.05) for _ in range(1000)]
    for rounds in (bell, even, tail, interrupted, close, [1.0] * 2000, [1.0]):
        assert not spread_of(rounds).two_speeds
    for share in (0.15, 0.5, 0.85):
        slow = int(2000 * share)
        two = [draw.gauss(1.4, 0.04) for _ in range(slow)]
        two += [draw.gauss(1.0, 0.01) for _ in range(2000 - slow)]
        assert spread_of([*two, 90.0]).two_speeds


def usable() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def test_measuring_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before, threads, traced = usable(), threading.active_count(), sys.gettrace()
    seen = noise.measure(0.02, before, before[:2])
    assert (usable(), threading.active_count(), sys.gettrace()) == (before, threads, traced)
    assert seen.spread.rounds >= len(before) and seen.spread.minimum > 1e-5
    assert min(seen.waiting, seen.after_pause, seen.pair or 1, seen.all_cores or 1) >= 1.0
    assert (seen.pair is None) == (len(before) < 2 or kernels_c.why_unavailable("avx2") is not None)
    assert 0 < seen.clock_step < 1e-2 and 0 < seen.clock_call < 1e-2
    # Without native modules, and where no core can be chosen.
    monkeypatch.setattr(kernels_c, "load_tier", raises(kernels_c.TierUnavailable("not built")))
    bare = noise.measure(0.01, [], [])
    assert (bare.native, bare.pair, bare.slowest_core) == (False, None, None)


def test_a_core_that_is_gone_is_left_out() -> None:
    """Taken offline after the system had named it."""
    cores = [*usable(), 10**5]
    assert noise.measure(0.01, cores, []).slowest_core != (10**5, 1.0)
    assert noise.measure(0.01, [10**5], []).spread.rounds == 1


def test_the_time_of_cores_is_counted(tmp_path: Path) -> None:
    names = [f"cpu{core}" for core in usable()]
    if not names:
        pytest.skip("the system names no cores")

    def counted(*ticks: int) -> CoreTime | None:
        lines = [f"{name} {' '.join(map(str, ticks))}" for name in ["cpu", *names]]
        return others.core_time(
            [], system_of(tmp_path, {"proc/stat": "\n".join(lines)}).root / "proc"
        )

    before, after = (
        counted(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        counted(500, 0, 0, 400, 0, 0, 0, 100, 9, 9),
    )
    assert before is not None and after is not None
    after = replace(after, ours=before.ours)
    assert others.share_stolen(before, after) == pytest.approx(0.1)
    assert others.share_of_programs(before, after) == pytest.approx(0.5)
    assert others.share_of_others(before, after) == pytest.approx(0.6)
    assert others.share_stolen(None, after) is None


def test_this_machine(tmp_path: Path) -> None:
    """Whatever it is: every check answers, each by a name of its own."""
    taken = checkup.take(0.02, tmp_path)
    names = [finding.name for finding in taken.findings]
    assert len({*names}) == len(names) == len(checkup.CHECKS)
    assert all(finding.seen for finding in taken.findings)
    assert all(finding.cost for finding in taken.costly)
    assert 0 < taken.seconds < 60 and taken.when is not None
    made_up = look(0.01, tmp_path, Files(tmp_path))
    assert made_up.stolen is None and not made_up.files.texts("*")


def test_lists_of_cores() -> None:
    assert numbers("0-2,5\n") == [0, 1, 2, 5]
    assert numbers(None) == numbers("") == numbers("3-1") == []


# --- The file ------------------------------------------------------------------------------------

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
WORST = Finding("smt", COSTS, "seen", "about 1.9x", "a fix", 1.9, {"factor": 1.9})
SAMPLE = Checkup(
    (
        Finding("steal", FINE, "0%", figures={"share": 0.0}), Finding("disk", UNKNOWN, "odd"),
        Finding("power", COSTS, "on its battery", "not measured"), WORST,
        Finding("tiers", NOTE, "avx512: needs AVX-512"),
    ),
    1.25, "AMD EPYC", WHEN,
)  # fmt: skip
JSON = doctor.as_json(SAMPLE)

FINDINGS = st.builds(
    Finding,
    name=st.text(min_size=1),
    verdict=st.sampled_from(VERDICTS),
    seen=st.text(min_size=1),
    cost=st.text(),
    fix=st.text(),
    factor=st.none() | st.floats(1, 1e6),
    figures=st.dictionaries(st.text(), st.floats(0, 1e9), max_size=2),
)


@quickly
@given(st.lists(FINDINGS, min_size=1, max_size=3), st.none() | st.datetimes(datetime(1971, 1, 1)))
def test_what_is_written_is_read(findings: list[Finding], when: datetime | None) -> None:
    """Texts come back on one line each; all else as it was."""
    when = when and when.replace(microsecond=0, year=min(when.year, 9000))
    taken = Checkup(tuple(findings), 0.5, "CPU", when)
    again = doctor.from_json(json.loads(json.dumps(doctor.as_json(taken))))
    assert again == doctor.from_json(doctor.as_json(again))
    assert (again.when, again.seconds, again.exit_code) == (when, 0.5, taken.exit_code)
    for before, after in zip(findings, again.findings, strict=True):
        assert (after.verdict, after.factor) == (before.verdict, before.factor)
        assert sorted(after.figures.values()) <= sorted(before.figures.values())
        assert all(map(str.isprintable, (after.name, after.seen, after.cost, after.fix)))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("format", "baremetal-ml gate", "needs 'baremetal-ml doctor' of version 1"),
        ("version", 2, "needs 'baremetal-ml doctor' of version 1"),
        ("datetime", "yesterday", "datetime is"),
        ("cpu", 7, "cpu is 7, needs text"),
        ("seconds", -1, "seconds is -1"),
        ("findings", [], "findings is empty"),
        ("findings", {"a": 1}, "needs a list"),
        ("findings.0", "slow", "needs an object"),
        ("findings.0.name", ..., "findings[0].name is nothing"),
        ("findings.0.verdict", "bad", "needs costs or note or unknown or fine"),
        ("findings.0.seen", "", "findings[0].seen"),
        ("findings.3.cost", 1, "findings[3].cost is 1, needs text"),
        ("findings.3.factor", 0.5, "needs a number from 1"),
        ("findings.3.factor", float("nan"), "findings[3].factor"),
        ("findings.3.figures", [1], "needs an object"),
        ("findings.3.figures.factor", "1", "findings[3].figures.factor"),
    ],
)
def test_what_is_damaged_is_named(path: str, value: Any, said: str) -> None:
    broken = altered(JSON, path, value)
    with pytest.raises(BadRun) as raised:
        doctor.from_json(broken, "x.json")
    assert str(raised.value).startswith("x.json: ") and said in str(raised.value)
    # In a run it is left out, and named; the run stands.
    run = runs.from_json(altered(GOOD, "machine_info.doctor", broken), "run.json")
    assert run.doctor is None and run.results
    assert len(run.left_out) == 1 and run.left_out[0].startswith("run.json: machine_info.doctor.")


@quickly
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_anything_else_is_refused_in_a_line(content: Any) -> None:
    for broken in (content, {**JSON, "findings": content}, {**JSON, "findings": [content]}):
        with pytest.raises(BadRun, match="this checkup: "):
            doctor.from_json(broken)


def test_a_run_says_what_was_found_and_what_others_had() -> None:
    content = altered(GOOD, "machine_info.doctor", JSON)
    content = altered(
        altered(content, "machine_info.steal", 0.25), "machine_info.other_programs", None
    )
    run = runs.from_json(content)
    assert run.doctor == SAMPLE and not run.left_out
    assert (run.steal, run.other_programs) == (0.25, None)
    for damaged in (1.5, "much", -0.1):
        run = runs.from_json(altered(content, "machine_info.steal", damaged))
        assert run.steal is None and "machine_info.steal" in run.left_out[0]
    foreign = altered(
        altered(content, "benchmarks.0.extra_info", {}), "machine_info.suite", "theirs"
    )
    run = runs.from_json(altered(foreign, "machine_info.doctor", "Who"))
    assert (run.doctor, run.steal, run.left_out) == (None, None, ())
    assert runs.from_json(GOOD).doctor is None


# --- The view ------------------------------------------------------------------------------------


def text_of(taken: Checkup, form: str = "text") -> str:
    return tables.render(drawn.view(taken, form), form)


def test_the_worst_comes_first_and_what_is_fine_is_a_line() -> None:
    lines = text_of(SAMPLE).splitlines()
    assert lines[0] == "2 of 5 cost you something; the largest: smt, about 1.9x"
    assert lines[2:7] == [
        "smt: costs, 1.90x",
        "  seen",
        "  costs: about 1.9x",
        "  helps: a fix",
        "",
    ]
    heads = [line.partition(":")[0] for line in lines[2:] if line and line[0] != " "]
    assert heads[:5] == ["smt", "power", "tiers", "disk", "fine"]
    assert "fine: steal" in lines
    assert lines[-1] == "Looked for 1.25s at AMD EPYC, 2026-01-02 03:04."
    healthy = replace(SAMPLE, findings=SAMPLE.findings[:1], when=None)
    assert text_of(healthy).splitlines() == [
        "None of 1 costs you anything", "", "fine: steal", "", "Looked for 1.25s at AMD EPYC.",
    ]  # fmt: skip
    one = replace(SAMPLE, findings=(WORST,))
    assert text_of(one).startswith("1 of 1 costs you something")


def test_a_terminal_of_80_columns_is_enough() -> None:
    long = replace(WORST, seen="so many words " * 30, fix="/".join(["path"] * 4))
    assert max(map(len, text_of(replace(SAMPLE, findings=(long,) * 3)).splitlines())) <= 80


def test_a_document_has_every_finding_and_a_program_the_file() -> None:
    lines = text_of(SAMPLE, "md").splitlines()
    assert lines[0].startswith("### 2 of 5 cost you something")
    assert "| smt | costs | 1.90x | seen | about 1.9x | a fix |" in lines
    assert "| steal | fine |  | 0% |  |  |" in lines
    assert json.loads(text_of(SAMPLE, "json")) == JSON


def test_nothing_that_is_markup_or_obeyed_gets_through() -> None:
    odd = "\x1b[31m\u202e<b>|`x` \n forged"
    hostile = replace(SAMPLE, cpu=odd, findings=(replace(WORST, seen=odd, cost=odd, fix=odd),))
    again = doctor.from_json(doctor.as_json(hostile))
    for form in ("text", "md"):
        shown = text_of(again, form)
        assert "\x1b" not in shown and "\u202e" not in shown and "\n forged" not in shown
    assert "<b>" not in text_of(again, "md")


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Checkup]:
    """What is found is what this holds, without looking."""
    answer = [SAMPLE]
    monkeypatch.setattr(checkup, "take", lambda: answer[0])
    monkeypatch.setattr(discovery, "find", lambda: ([], []))
    return answer


def test_the_exit_code_says_whether_anything_costs(
    taken: list[Checkup], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 3
    assert "2 of 6 cost you something" in capsys.readouterr().out
    taken[0] = replace(SAMPLE, findings=tuple(f for f in SAMPLE.findings if f.verdict != COSTS))
    assert main(["doctor", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    last = doctor.from_json(content).findings[-1]
    assert (last.name, last.verdict) == ("interpreters", NOTE)


def test_it_is_saved_and_drawn_again(
    taken: list[Checkup], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new/x.json"
    assert main(["doctor", "--format", "md", "-o", str(path)]) == 3
    said = capsys.readouterr()
    assert said.err == f"saved: {path}\n"
    taken.clear()  # it is not taken anew
    assert main(["doctor", "--format", "md", "--from", str(path)]) == 3
    assert capsys.readouterr().out == said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "folder"], "folder: is a folder, needs the name of a file"),
        (["-o", "file/x.json"], "file: is no folder, needs one"),
        (["--from", "none.json"], "none.json: cannot be read (No such file or directory)"),
        (["--from", "file"], "file: is empty, needs the JSON of python -m bench doctor"),
        (["--from", "gate.json"], "gate.json: format is \"baremetal-ml gate\", needs"),
    ],
)  # fmt: skip
def test_bad_input_is_named(
    taken: list[Checkup],
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "gate.json").write_text('{"format": "baremetal-ml gate", "version": 1}')
    assert main(["doctor", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"bench: {said}") and err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--format", "xml"], ["now"], ["--format"]])
def test_arguments_that_there_are_not(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["doctor", *arguments])
    assert end.value.code == 2


def test_ctrl_c_ends_it_in_a_line() -> None:
    """While it measures, with its threads and on a core that it has chosen."""
    script = (
        "import os, signal, sys, threading\n"
        "from bench.__main__ import main\n"
        "from bench.measure.doctor import noise\n"
        "beside = noise._beside\n"
        "def interrupted(*arguments):\n"
        "    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    return [beside(*arguments) for _ in range(100)][0]\n"
        "noise._beside = interrupted\n"
        "sys.exit(main(['doctor']))\n"
    )
    root = Path(__file__).resolve().parent.parent
    end = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (end.returncode, end.stdout) == (2, ""), end.stderr
    assert end.stderr == "bench: interrupted; nothing was saved\n"


# --- A run ---------------------------------------------------------------------------------------

# Writes a line for each look, so that one that should not be is seen.
WATCHING = """
def pytest_configure():
    from bench.measure.doctor import checkup
    take = checkup.take
    def seen(*arguments):
        print("LOOKED FOR", *arguments)
        return take(*arguments)
    checkup.take = seen
"""
FEW = ("-m", "pytest", "-p", "watching", "-s", "-k", "relu and 100] and py-loop")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("doctor"))
    (made.folder / "watching.py").write_text(WATCHING)
    return made


def test_a_saved_run_holds_what_was_found_before_it(project: Checkout) -> None:
    done = project.python(
        *FEW, "test_bench_relu.py", "--benchmark-only", "--benchmark-max-time=0.01",
        "--benchmark-json=x.json", "--benchmark-save=x",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("LOOKED FOR 0.3\n") == 1
    run = runs.load(project.folder / "x.json")
    taken = run.doctor
    assert taken is not None and not run.left_out
    assert {finding.name for finding in taken.findings} >= {"spread", "steal", "tiers"}
    machine = project.json("x.json")["machine_info"]
    assert machine.keys() >= {"doctor", "steal", "other_programs"}
    (numbered,) = (project.folder / ".benchmarks").glob("*/*_x.json")
    assert runs.load(numbered).doctor == taken


@pytest.mark.parametrize(
    "arguments",
    [
        ["test_bench_relu.py", "--benchmark-disable", "--benchmark-json=y.json"],
        ["test_bench_relu.py", "--benchmark-only", "--collect-only", "--benchmark-save=y"],
        ["test_bench_relu.py", "--benchmark-skip", "--benchmark-save=y"],
        ["test_bench_relu.py", "--benchmark-only", "--benchmark-max-time=0.01"],  # not saved
    ],
    ids=["disabled", "collected", "skipped", "not-saved"],
)
def test_nobody_looks_where_nothing_is_measured_and_kept(
    project: Checkout, arguments: list[str]
) -> None:
    done = project.python(*FEW, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOOKED" not in done.stdout


def test_a_fault_of_the_doctor_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    session, said = Session(1.0), []
    assert session.machine_info() == {}
    monkeypatch.setattr(checkup, "take", raises(RuntimeError("odd")))
    session.look_at_machine(said.append)
    assert said == ["what may spoil the times was not looked at: RuntimeError('odd')"]
    assert "doctor" not in session.machine_info()


def raises(error: Exception) -> Callable[..., Any]:
    def fails(*_: object, **__: object) -> Any:
        raise error

    return fails
