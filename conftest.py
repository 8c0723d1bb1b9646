"""Joins pytest, pytest-benchmark and bench. Thin: everything that decides anything is in bench/.

`pytest-benchmark compare` imports this file too and calls hooks as plain functions: so nothing
compiled is imported at the top, and no hook is a wrapper.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

QUICK_SHARE = 0.15  # of --benchmark-max-time
_SESSION = pytest.StashKey[Any]()
_SAVING = pytest.StashKey[Any]()


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
    """No plugin uses names that begin like ours; the short one is there too where it is free."""
    # pytest itself looks for a clash inside one group only.
    groups = [parser._anonymous, *parser._groups]
    taken = {name for group in groups for option in group.options for name in option.names()}

    def add(name: str, **attributes: Any) -> None:
        short = [] if f"--{name}" in taken else [f"--{name}"]
        parser.addoption(f"--baremetal-{name}", *short, dest=_dest(name), **attributes)

    add(
        "quick",
        action="store_true",
        help="benchmarks: smaller sizes only, and less time for each (under a minute in all)",
    )
    add(
        "count",
        action="store_true",
        help="benchmarks: also count the instructions of what is measured, where valgrind is there "
        "(a minute or two)",
    )
    add(
        "explain",
        action="store_true",
        help="benchmarks: also what python -m bench ladder can explain more with: sizes between, "
        "lists in and out, instruction counts (several minutes more)",
    )
    add(
        "peers",
        action="store_true",
        help="benchmarks: NumPy, PyTorch, ONNX Runtime, BLIS and OpenBLAS beside our own",
    )
    add("peer-threads", type=int, default=1, metavar="N", help="threads for peers (default: 1)")


def _dest(name: str) -> str:
    return f"baremetal_{name.replace('-', '_')}"


def _option(config: pytest.Config, name: str, default: Any = False) -> Any:
    """The default where pytest was started elsewhere and found this file late: without options."""
    return config.getoption(_dest(name), default)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """--benchmark-only would list every test in tests/ as skipped."""
    is_test = collection_path.is_relative_to(config.rootpath / "tests")
    return True if is_test and config.getoption("benchmark_only") else None


def pytest_configure(config: pytest.Config) -> None:
    from bench.measure.session import SLOW_SECONDS, Session

    share = QUICK_SHARE if _option(config, "quick") else 1.0
    cap = share * float(config.getoption("benchmark_max_time"))
    # A single call of a slow loop does not say how it repeats; an explanation wants to know.
    slow = (2 if _option(config, "explain") else 1) * SLOW_SECONDS
    config.stash[_SESSION] = Session(cap, _option(config, "peer-threads", 1), slow)
    config.pluginmanager.register(Watch())
    _refuse_unreadable(config)
    config.addinivalue_line(
        "markers", "interpreter: times the interpreter and no code of ours; the gate leaves it out"
    )
    config.addinivalue_line("markers", "operation: run the test for every operation of Python")
    config.addinivalue_line(
        "markers", "kernel(name): run the test for every variant and size of that registry row"
    )


def _compared(config: pytest.Config) -> Path | None:
    """The file that --benchmark-compare names; None where it is a pattern for the storage's."""
    name = config.getoption("benchmark_compare")
    path = Path(name) if isinstance(name, str) else Path()
    return path if path.is_file() or path.is_absolute() or len(path.parts) > 2 else None


def _refuse_unreadable(config: pytest.Config) -> None:
    """pytest-benchmark would end in a traceback, measure and compare with nothing, or wait for ever
    for whoever writes into a pipe."""
    from bench.saved import runs
    from bench.saved.writing import is_special

    compared = _compared(config)
    try:
        if compared is not None:
            runs.load(compared)
        elif config.getoption("benchmark_compare"):
            storage = Path(config.getoption("benchmark_storage").removeprefix("file://"))
            for path in filter(is_special, storage.glob("**/*.json")):
                runs.load(path)
    except runs.BadRun as reason:
        pytest.exit(f"--benchmark-compare: {reason}", returncode=reason.exit_code)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse options that would make a figure something else than it is said to be."""
    from bench.saved.checks import read_json

    benchmarks = session.config._benchmarksession  # type: ignore[attr-defined]
    options = benchmarks.options
    if float(options["max_time"]) <= 0:
        raise pytest.UsageError("--benchmark-max-time: needs more than 0 seconds")
    if options["timer"].target is not time.perf_counter:
        raise pytest.UsageError("--benchmark-timer: kernels are timed by time.perf_counter only")
    if _option(session.config, "peer-threads", 1) < 1:
        raise pytest.UsageError("--peer-threads: needs at least 1")
    if _option(session.config, "peers"):
        from bench.measure import peers

        reason = peers.why_not_installed()
        if reason is not None:
            pytest.exit(reason, returncode=2)
    compared = _compared(session.config)
    read = getattr(benchmarks.storage, "_cache", None)  # files have one
    if compared is not None and read is not None and not benchmarks.compared_mapping:
        # pytest-benchmark stops at a byte-order mark, or at a benchmark without statistics.
        read[compared] = read_json(compared, "pytest-benchmark JSON")
        benchmarks.handle_loading()
    if not (benchmarks.disabled or session.config.option.collectonly):
        try:
            _saving(session.config).begin()
        except OSError as error:
            pytest.exit(f"{error.filename}: {error.strerror}", returncode=2)


def _saving(config: pytest.Config) -> Any:
    from bench.measure.saving import Saving

    if _SAVING not in config.stash:
        config.stash[_SAVING] = Saving(config._benchmarksession, partial(_say, config))
    return config.stash[_SAVING]


def _say(config: pytest.Config, line: str) -> None:
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if not hasattr(terminal, "flush"):  # none, or another plugin's
        print(line, flush=True)
        return
    terminal.ensure_newline()
    terminal.write_line(line)
    terminal.flush()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    from bench.suite import registry

    marker = metafunc.definition.get_closest_marker("kernel")
    if marker is not None:
        wanted = {n: _option(metafunc.config, n) for n in ("quick", "peers", "explain")}
        cases = registry.cases(*marker.args, **wanted)
        metafunc.parametrize(("variant", "size"), cases)
    if metafunc.definition.get_closest_marker("operation") is not None:
        from kernels_py.operations import OPERATIONS

        metafunc.parametrize("operation", OPERATIONS)


@pytest.hookimpl(trylast=True)  # whoever shuffles tests has done so
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels, sizes and variants in the registry's order, whatever their files are called and
    other plugins do: so do matrix and charts, and a size's variants share its data."""
    from bench.suite import registry

    order = {name: number for number, name in enumerate(registry.KERNELS)}

    def place(item: pytest.Item) -> tuple[int, int]:
        marker, spec = item.get_closest_marker("kernel"), getattr(item, "callspec", None)
        return (order[marker.args[0]], spec.indices["variant"]) if marker and spec else (-1, 0)

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to start on native modules that are older than their sources, or not there at all:
    everything that was asked for would be measured on the wrong code, or skipped."""
    import kernels_c
    from bench.measure.timing.minimum import watchers
    from bench.suite import registry

    asked_for, timed = set(), False
    for item in session.items:
        marker, spec = item.get_closest_marker("kernel"), getattr(item, "callspec", None)
        variant = spec.params.get("variant", "") if spec else ""
        if marker and variant.startswith("c-"):
            asked_for.add(registry.kernel(*marker.args).native(variant).tier)
        if "cross" in getattr(item, "fixturenames", ()):
            asked_for.add("scalar")
        timed = timed or "benchmark" in getattr(item, "fixturenames", ())
    benchmarks = session.config._benchmarksession  # type: ignore[attr-defined]
    if timed and watchers() and not (benchmarks.disabled or benchmarks.skip):
        pytest.exit(
            f"{', '.join(watchers())} watches the interpreter, so times would not be those of the "
            "code; leave it out, or the benchmarks (--benchmark-skip, --benchmark-disable)",
            returncode=2,
        )
    in_order = [tier for tier in kernels_c.TIERS if tier in asked_for]
    for tier in () if session.config.option.collectonly else in_order:
        reason = kernels_c.why_unusable_build(tier)
        if reason is not None:
            pytest.exit(reason, returncode=2)


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    import kernels_c
    from bench.measure.peers.adapter import PeerUnavailable

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
    from bench.measure import overhead as crossings

    cap = request.config.stash[_SESSION].cap_seconds

    def verify_then_time(name: str, binding: str, n: int, element: str | None = None) -> None:
        try:
            crossings.measure(benchmark, cap, name, binding, n, element)
        except kernels_c.TierUnavailable as reason:
            pytest.skip(str(reason))

    return verify_then_time


def _peer_facts(config: pytest.Config) -> dict[str, Any]:
    """What machine_info says of the peers; nothing without --peers."""
    if not _option(config, "peers"):
        return {}
    from bench.measure import peers

    return {"peers": peers.metadata(), "refused_peers": config.stash[_SESSION].refused_peers}


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    from bench.measure.machine import metadata

    metadata.complete(machine_info)
    machine_info.update(_peer_facts(config))


def pytest_benchmark_compare_machine_info(
    config: Any,
    benchmarksession: Any,
    machine_info: dict[str, Any],
    compared_benchmark: dict[str, Any],
) -> None:
    """Leave out what cannot be used of the compared run, warn of what makes times incomparable, and
    of nothing else. What has no usable benchmark is refused, as nothing would be compared; and what
    is not comparable, where it would be judged.

    pytest-benchmark's own hook runs after this one and would print both machine_infos whole as soon
    as a byte of them differs; it is shown two equal ones.
    """
    from pytest_benchmark.stats import Stats

    from bench.saved import comparable
    from bench.saved.checks import NotComparable, Refusal

    read = getattr(benchmarksession.storage, "_cache", {})  # by path; the hook is not told it
    source = next((str(p) for p, run in read.items() if run is compared_benchmark), "that run")
    try:
        left_out, other = comparable.make_fit(
            compared_benchmark, machine_info, (*Stats.fields, "iterations"), source
        )
        if other is not None and config.getoption("benchmark_compare_fail"):
            raise NotComparable(other)
    except Refusal as reason:
        pytest.exit(f"--benchmark-compare: {reason}", returncode=reason.exit_code)
    for line in filter(None, [*left_out, other]):
        benchmarksession.logger.warning(line)
    compared_benchmark["machine_info"] = machine_info


def pytest_benchmark_update_json(config: Any, benchmarks: Any, output_json: dict[str, Any]) -> None:
    config.stash[_SESSION].add_figures(output_json)


class Watch:
    """Which benchmarks have come to their end. A plugin of its own: hooks of a conftest.py are not
    called for tests outside its folder, whose benchmarks are recorded all the same."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        is_benchmark = "benchmark" in getattr(item, "fixturenames", ())
        _saving(item.config).whole.begin(item.name if is_benchmark else "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """An interruption makes no report: what has not come to an end is no longer there when it
        is saved."""
        whole = _saving(item.config).whole
        if call.excinfo is not None:
            whole.take_back()
        elif call.when == "teardown":
            whole.end()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """pytest-benchmark has saved the times by now; what takes long was left for later."""
    config, saving = session.config, _saving(session.config)
    measured = any(config._benchmarksession.benchmarks)  # type: ignore[attr-defined]
    late = None
    if measured and exitstatus != pytest.ExitCode.INTERRUPTED:
        counting = _option(config, "count") or _option(config, "explain")
        complete = config.stash[_SESSION].complete
        late = partial(complete, counting=counting, say=partial(_say, config))
    if saving.add(late) or saving.failed:
        session.exitstatus = pytest.ExitCode.INTERRUPTED


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SAVING in config.stash:
        config.stash[_SAVING].finish()


@pytest.hookimpl(trylast=True)  # after pytest-benchmark's own tables
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The competency matrix of what was just measured."""
    from bench.measure.machine import metadata
    from bench.measure.saving import readable
    from bench.saved import runs
    from bench.saved.overhead import call_overheads
    from bench.views import matrix, tables
    from bench.views.explain import overhead

    measured = config._benchmarksession.benchmarks  # type: ignore[attr-defined]
    benchmarks = [b.as_dict(include_data=False) for b in measured if b]
    machine = {"tiers": metadata.tiers(), **_peer_facts(config)}
    config.stash[_SESSION].add_figures({"benchmarks": benchmarks, "machine_info": machine})
    benchmarks, _ = readable(benchmarks)
    if not benchmarks:
        return
    run = runs.from_json({"benchmarks": benchmarks, "machine_info": machine})
    if run.ours:
        terminalreporter.section("competency matrix", sep="-")
        terminalreporter.write_line(tables.text(matrix.table(run)))
    if call_overheads(run):
        terminalreporter.section("the overhead of a call into native code", sep="-")
        terminalreporter.write_line(tables.text(overhead.calls_table(run)))
