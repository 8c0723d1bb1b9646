"""Joins pytest, pytest-benchmark and bench. Thin: everything that decides anything is in bench/.

`pytest-benchmark compare` imports this file too and calls hooks as plain functions: so nothing
compiled is imported at the top, and no hook is a wrapper.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import pytest

QUICK_SHARE = 0.15  # of --benchmark-max-time
_SESSION = pytest.StashKey[Any]()


class MeasureOperation(Protocol):
    """Time one operation of kernels_py/operations.py."""

    def __call__(self, operation: str) -> None: ...


class Measure(Protocol):
    """Verify, then time, one case; `size` names one of the kernel's shapes."""

    def __call__(self, kernel: str, variant: str, size: str) -> None: ...


class Cross(Protocol):
    """Verify, then time, one way to cross between Python and native code with n elements."""

    def __call__(self, name: str, binding: str, n: int, element: str | None = None) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="benchmarks: smaller sizes only, and less time for each (under a minute in all)",
    )
    parser.addoption(
        "--count",
        action="store_true",
        help="benchmarks: also count the instructions of what is measured, where valgrind is there "
        "(a minute or two)",
    )
    parser.addoption(
        "--explain",
        action="store_true",
        help="benchmarks: also what python -m bench ladder can explain more with: sizes between, "
        "lists in and out, instruction counts (several minutes more)",
    )
    parser.addoption(
        "--peers",
        action="store_true",
        help="benchmarks: NumPy, PyTorch, ONNX Runtime, BLIS and OpenBLAS beside our own",
    )
    parser.addoption(
        "--peer-threads", type=int, default=1, metavar="N", help="threads for --peers (default: 1)"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """--benchmark-only would list every test in tests/ as skipped."""
    is_test = collection_path.is_relative_to(config.rootpath / "tests")
    return True if is_test and config.getoption("benchmark_only") else None


def pytest_configure(config: pytest.Config) -> None:
    from bench.measure.session import SLOW_SECONDS, Session

    share = QUICK_SHARE if config.getoption("quick") else 1.0
    cap = share * float(config.getoption("benchmark_max_time"))
    # A single call of a slow loop does not say how it repeats; an explanation wants to know.
    slow = (2 if config.getoption("explain") else 1) * SLOW_SECONDS
    config.stash[_SESSION] = Session(cap, config.getoption("peer_threads"), slow)
    config.addinivalue_line(
        "markers", "interpreter: times the interpreter and no code of ours; the gate leaves it out"
    )
    config.addinivalue_line("markers", "operation: run the test for every operation of Python")
    config.addinivalue_line(
        "markers", "kernel(name): run the test for every variant and size of that registry row"
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse options that would make a figure something else than it is said to be."""
    options = session.config._benchmarksession.options  # type: ignore[attr-defined]
    if float(options["max_time"]) <= 0:
        raise pytest.UsageError("--benchmark-max-time: needs more than 0 seconds")
    if options["timer"].target is not time.perf_counter:
        raise pytest.UsageError("--benchmark-timer: kernels are timed by time.perf_counter only")
    if session.config.getoption("peer_threads") < 1:
        raise pytest.UsageError("--peer-threads: needs at least 1")
    if session.config.getoption("peers"):
        from bench.measure import peers

        reason = peers.why_not_installed()
        if reason is not None:
            pytest.exit(reason, returncode=2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    from bench import registry

    marker = metafunc.definition.get_closest_marker("kernel")
    if marker is not None:
        option = metafunc.config.getoption
        wanted = {name: option(name) for name in ("quick", "peers", "explain")}
        cases = registry.cases(*marker.args, **wanted)
        metafunc.parametrize(("variant", "size"), cases)
    if metafunc.definition.get_closest_marker("operation") is not None:
        from kernels_py.operations import OPERATIONS

        metafunc.parametrize("operation", OPERATIONS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels in the registry's order, whatever their files are called: so do matrix and charts."""
    from bench import registry

    order = {name: number for number, name in enumerate(registry.KERNELS)}

    def place(item: pytest.Item) -> int:
        marker = item.get_closest_marker("kernel")
        return order[marker.args[0]] if marker else -1

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to start on native modules that are older than their sources, or not there at all:
    everything that was asked for would be measured on the wrong code, or skipped."""
    import kernels_c
    from bench import registry

    asked_for = set()
    for item in session.items:
        marker, spec = item.get_closest_marker("kernel"), getattr(item, "callspec", None)
        variant = spec.params.get("variant", "") if spec else ""
        if marker and variant.startswith("c-"):
            asked_for.add(registry.kernel(*marker.args).native(variant).tier)
        if "cross" in getattr(item, "fixturenames", ()):
            asked_for.add("scalar")
    in_order = [tier for tier in kernels_c.TIERS if tier in asked_for]
    for tier in () if session.config.option.collectonly else in_order:
        reason = kernels_c.why_unusable_build(tier)
        if reason is not None:
            pytest.exit(reason, returncode=2)


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    import kernels_c
    from bench.measure.peers import PeerUnavailable

    session = request.config.stash[_SESSION]

    def verify_then_time(kernel: str, variant: str, size: str) -> None:
        try:
            session.measure(benchmark, kernel, variant, size)
        except (kernels_c.TierUnavailable, PeerUnavailable) as reason:
            pytest.skip(str(reason))

    return verify_then_time


@pytest.fixture
def measure_operation(benchmark: Any, request: pytest.FixtureRequest) -> MeasureOperation:
    from bench.measure import operations

    cap = request.config.stash[_SESSION].cap_seconds
    return lambda operation: operations.measure(benchmark, operation, cap / 2)


@pytest.fixture
def cross(benchmark: Any, request: pytest.FixtureRequest) -> Cross:
    import kernels_c
    from bench.measure import crossings

    cap = request.config.stash[_SESSION].cap_seconds

    def verify_then_time(name: str, binding: str, n: int, element: str | None = None) -> None:
        try:
            crossings.measure(benchmark, cap, name, binding, n, element)
        except kernels_c.TierUnavailable as reason:
            pytest.skip(str(reason))

    return verify_then_time


def _peer_facts(config: pytest.Config) -> dict[str, Any]:
    """What machine_info says of the peers; nothing without --peers."""
    if not config.getoption("peers"):
        return {}
    from bench.measure import peers

    return {"peers": peers.facts(), "refused_peers": config.stash[_SESSION].refused_peers}


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    from bench.measure import facts

    facts.complete(machine_info)
    machine_info.update(_peer_facts(config))


def pytest_benchmark_compare_machine_info(
    config: Any,
    benchmarksession: Any,
    machine_info: dict[str, Any],
    compared_benchmark: dict[str, Any],
) -> None:
    """Leave out what cannot be used of the compared run, warn of what makes times incomparable, and
    of nothing else. What has no usable benchmark is refused: nothing would be compared.

    pytest-benchmark's own hook runs after this one and would print both machine_infos whole as soon
    as a byte of them differs; it is shown two equal ones.
    """
    from pytest_benchmark.stats import Stats

    from bench import comparable

    read = getattr(benchmarksession.storage, "_cache", {})  # by path; the hook is not told it
    source = next((str(p) for p, run in read.items() if run is compared_benchmark), "that run")
    try:
        lines = comparable.make_fit(compared_benchmark, machine_info, Stats.fields, source)
    except comparable.BadRun as reason:
        pytest.exit(f"--benchmark-compare: {reason}", returncode=2)
    for line in lines:
        benchmarksession.logger.warning(line)
    compared_benchmark["machine_info"] = machine_info


def pytest_benchmark_update_json(config: Any, benchmarks: Any, output_json: dict[str, Any]) -> None:
    from bench.measure.derived import add_derived_figures, correct_options
    from bench.measure.evidence import add_evidence

    limits = config.stash[_SESSION].finished_limits()
    if limits:
        rows = [row for of_tier in limits.values() for row in of_tier.as_rows()]
        output_json["machine_info"]["limits"] = rows
    add_derived_figures(output_json["benchmarks"], limits)
    correct_options(output_json["benchmarks"])
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    say = print if terminal is None else terminal.write_line
    counting = config.getoption("count") or config.getoption("explain")
    add_evidence(output_json, counting, say)  # all timing is done


@pytest.hookimpl(trylast=True)  # after pytest-benchmark's own tables
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The competency matrix of what was just measured."""
    measured = [b for b in config._benchmarksession.benchmarks if b]  # type: ignore[attr-defined]
    if not measured:
        return
    from bench import boundary_runs, runs
    from bench.measure import facts
    from bench.measure.derived import add_derived_figures
    from bench.views import boundary, matrix

    benchmarks = [b.as_dict(include_data=False) for b in measured]
    add_derived_figures(benchmarks, config.stash[_SESSION].finished_limits())
    machine = {"tiers": facts.tiers(), **_peer_facts(config)}
    run = runs.from_json({"benchmarks": benchmarks, "machine_info": machine})
    if run.ours:
        terminalreporter.section("competency matrix", sep="-")
        terminalreporter.write_line(matrix.as_text(run))
    if boundary_runs.crossings(run):
        terminalreporter.section("crossings between Python and native code", sep="-")
        terminalreporter.write_line(boundary.crossings_as_text(run))
