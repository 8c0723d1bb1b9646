"""Checks of what runs: the interpreter and who watches it, environment, native modules, tools."""

from __future__ import annotations

import re
import sys
import tracemalloc

import kernels_c
from bench.measure.doctor.look import Look
from bench.measure.evidence import callgrind, objdump
from bench.measure.machine import interpreter as description
from bench.measure.timing.minimum import watchers
from bench.saved.checks import listed
from bench.saved.doctor import COSTS, FINE, NOTE, Finding

# Variables that change what runs, and why; the others of these libraries only log or limit. COSTS:
# our own kernels or the interpreter run otherwise; NOTE: the libraries of --peers do.
_VARIABLES = (
    (r"PYTHONMALLOC|PYTHONDEVMODE|PYTHONTRACEMALLOC", COSTS, "each object costs Python more"),
    (r"PYTHONPERFSUPPORT|PYTHON_PERF_JIT_SUPPORT", COSTS, "each call in Python costs more"),
    (r"LD_PRELOAD|LD_AUDIT", COSTS, "other code stands in for the C library's"),
    (r"GLIBC_TUNABLES", COSTS, "malloc, and the C library's expf and tanhf, may be others"),
    (r"MALLOC_\w+", COSTS, "malloc works otherwise"),
    (r"BAREMETAL_CACHES", COSTS, "products are cut for other caches than these"),
    (r"OMP_NUM_THREADS|OMP_THREAD_LIMIT|OMP_DYNAMIC", COSTS, "limits the _omp tiers' threads"),
    (
        r"OMP_PROC_BIND|OMP_PLACES|GOMP_CPU_AFFINITY|KMP_AFFINITY",
        COSTS,
        "binds this thread to a core as soon as an _omp tier is loaded",
    ),
    (r"(OPENBLAS|GOTO|MKL|BLIS|NUMEXPR)_NUM_THREADS", NOTE, "limits a library's threads"),
    (r"OMP_WAIT_POLICY|GOMP_SPINCOUNT|KMP_BLOCKTIME", NOTE, "a library's idle threads wait longer"),
    (
        r"OPENBLAS_CORETYPE|OPENBLAS_L2_SIZE|BLIS_ARCH_TYPE|MKL_ENABLE_INSTRUCTIONS|MKL_CBWR"
        r"|(ONEDNN|DNNL)_MAX_CPU_ISA|ATEN_CPU_CAPABILITY|NPY_DISABLE_CPU_FEATURES",
        NOTE,
        "a library runs other code than it would choose",
    ),
)  # fmt: skip
_DEFAULTS = {"PYTHONMALLOC": ("default", "pymalloc"), "OMP_DYNAMIC": ("false", "FALSE")}


def environment(look: Look) -> Finding:
    """Variables of this process's environment. PYTHONHASHSEED is none of them: no case has a set
    or a dictionary of strings in what is timed."""
    found = {
        name: (verdict, why)
        for name, value in look.environment.items()
        for pattern, verdict, why in _VARIABLES
        if re.fullmatch(pattern, name) and value and not _harmless(look, name, value)
    }
    if not found:
        return Finding("environment", FINE, "no variable that changes code, memory or threads")
    seen = listed(f"{name}={look.environment[name][:40]}" for name in found)
    cost = "; ".join(dict.fromkeys(why for _, why in found.values()))
    verdict = COSTS if any(verdict == COSTS for verdict, _ in found.values()) else NOTE
    fix = f"unset {' '.join(found)}"
    return Finding("environment", verdict, seen, f"{cost} (not measured here)", fix)


def _harmless(look: Look, name: str, value: str) -> bool:
    """As many threads as there are cores is what is chosen without; the defaults by name."""
    if name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT") and value.isdecimal():
        return int(value) >= len(look.cores)
    return value in _DEFAULTS.get(name, ())


def interpreter(look: Look) -> Finding:
    """A build with assertions, and whoever watches. What traces or profiles a thread is put aside
    while something is timed; a debugger, and tools that use sys.monitoring, cannot be."""
    info = description.describe()
    watching = [*watchers(), *(["tracemalloc"] if tracemalloc.is_tracing() else [])]
    tracer = look.files.fields("proc/self/status").get("TracerPid", "0")
    if tracer != "0":
        watching.append(f"process {tracer}, by ptrace")
    costs = [f"{name} watches it" for name in watching]
    costs += ["it has CPython's own assertions"] if info["debug"] else []
    costs += ["it is in development mode"] if sys.flags.dev_mode else []
    notes = ["is traced, but for what is timed"] if sys.gettrace() or sys.getprofile() else []
    if "--enable-optimizations" not in info["configured"]:
        notes.append("was not told to optimise itself as it was built (--enable-optimizations)")
    seen = "; ".join([info["label"], *costs, *notes])
    if costs:
        cost = "Python variants take longer, native calls perhaps, too (not measured here)"
        return Finding("interpreter", COSTS, seen, cost, "a release build, with nobody watching")
    fix = "compare interpreters: python -m bench interpreters" if notes else ""
    return Finding("interpreter", NOTE if notes else FINE, seen, fix=fix)


def tiers(look: Look) -> Finding:
    """Native modules that are stale or not there, and those that this CPU cannot run."""
    unusable = list(filter(None, map(kernels_c.why_unusable_build, kernels_c.TIERS)))
    if unusable:
        cost = "benchmarks of them are refused"
        return Finding("tiers", COSTS, listed(unusable, 2), cost, "python build_ffi.py")
    missing: dict[str, list[str]] = {}
    for name in kernels_c.TIERS:
        if (reason := kernels_c.why_unavailable(name)) is not None:
            missing.setdefault(reason.removeprefix(f"tier {name} "), []).append(name)
    if missing:
        seen = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in missing.items())
        return Finding("tiers", NOTE, seen)  # what can be done is in the reason
    return Finding("tiers", FINE, f"all {len(kernels_c.TIERS)} are built and up to date")


def evidence_tools(look: Look) -> Finding:
    """What counts instructions and reads machine code: without them a run has less evidence."""
    missing = list(filter(None, (callgrind.why_unavailable(), objdump.why_unavailable())))
    if missing:
        return Finding("evidence-tools", NOTE, "; ".join(missing))
    return Finding("evidence-tools", FINE, "valgrind and objdump are there")
