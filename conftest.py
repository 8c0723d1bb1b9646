"""Joins pytest, pytest-benchmark and bench. Thin: everything that decides anything is in bench/.

`pytest-benchmark compare` imports this file too and calls hooks as plain functions: so nothing
compiled is imported at the top, and no hook is a wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.measure.saving import Saving
    from bench.measure.session import Session

QUICK_SHARE = 0.15  # of --benchmark-max-time
_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_SAVING: pytest.StashKey[Saving] = pytest.StashKey()


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
    add(
        "report",
        metavar="DIR",
        help="benchmarks: at the end draw the run, beside those saved before, as a page in DIR",
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
    from bench.measure import compared
    from bench.measure.session import SLOW_SECONDS, Session

    share = QUICK_SHARE if _option(config, "quick") else 1.0
    cap = share * float(config.getoption("benchmark_max_time"))
    # A single call of a slow loop does not say how it repeats; an explanation wants to know.
    slow = (2 if _option(config, "explain") else 1) * SLOW_SECONDS
    config.stash[_SESSION] = Session(cap, _option(config, "peer-threads", 1), slow)
    config.pluginmanager.register(Watch())
    with _refusals("--benchmark-compare: "):
        compared.require_readable(
            config.getoption("benchmark_compare"), config.getoption("benchmark_storage")
        )
    config.addinivalue_line(
        "markers", "interpreter: times the interpreter and no code of ours; the gate leaves it out"
    )
    config.addinivalue_line("markers", "operation: run the test for every operation of Python")
    config.addinivalue_line(
        "markers", "kernel(name): run the test for every variant and size of that registry row"
    )
    config.addinivalue_line(
        "markers", "program(name): run the test for every variant, precision and size of that model"
    )


@contextmanager
def _refusals(where: str = "") -> Iterator[None]:
    """What is refused inside ends pytest with one line, and with the refusal's exit code."""
    from bench.saved.checks import Refusal

    try:
        yield
    except Refusal as reason:
        pytest.exit(f"{where}{reason}", returncode=reason.exit_code)
    except OSError as error:
        pytest.exit(f"{where}{error.filename}: {error.strerror}", returncode=Refusal.exit_code)


def _benchmarks(config: pytest.Config) -> Any:
    """pytest-benchmark's session, whose methods have no types."""
    return config._benchmarksession  # type: ignore[attr-defined]


def pytest_sessionstart(session: pytest.Session) -> None:
    from bench.measure import compared, preflight

    config, benchmarks = session.config, _benchmarks(session.config)
    try:
        preflight.require_true_options(benchmarks.options, _option(config, "peer-threads", 1))
    except ValueError as reason:
        raise pytest.UsageError(str(reason)) from None
    if _option(config, "peers"):
        with _refusals():
            preflight.require_peers()
    compared.load(benchmarks, config.getoption("benchmark_compare"))
    if not (benchmarks.disabled or config.option.collectonly):
        with _refusals():
            if _option(config, "report"):
                _saving(config).keep_for_report(Path(_option(config, "report")))
            _saving(config).begin()


def _saving(config: pytest.Config) -> Saving:
    from bench.measure.saving import Saving

    if _SAVING not in config.stash:
        config.stash[_SAVING] = Saving(_benchmarks(config), partial(_say, config))
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

    kernel, program = _kernel(metafunc.definition), _program(metafunc.definition)
    wanted = {n: _option(metafunc.config, n) for n in ("quick", "peers", "explain")}
    if kernel is not None and "variant" in metafunc.fixturenames:
        metafunc.parametrize(("variant", "size"), registry.cases(kernel, **wanted))
    if program is not None and "variant" in metafunc.fixturenames:
        cases = registry.program_cases(program, **wanted)
        metafunc.parametrize(("variant", "precision", "size"), cases)
    if metafunc.definition.get_closest_marker("operation") is not None:
        from kernels_py.operations import OPERATIONS

        metafunc.parametrize("operation", OPERATIONS)


def _kernel(item: pytest.Item) -> str | None:
    """The name that the test's marker gives; of a program with the test's precision."""
    marker, program = item.get_closest_marker("kernel"), _program(item)
    spec = getattr(item, "callspec", None)
    if program and spec:
        return f"{program}_{spec.params['precision']}"
    return marker.args[0] if marker else None


def _program(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("program")
    return marker.args[0] if marker else None


@pytest.hookimpl(trylast=True)  # whoever shuffles tests has done so
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kernels, sizes and variants in the registry's order, whatever their files are called and
    other plugins do: so do matrix and charts, and a size's variants share its data."""
    from bench.suite import registry

    order = {name: number for number, name in enumerate(registry.rows())}

    def place(item: pytest.Item) -> tuple[int, int]:
        kernel, spec = _kernel(item), getattr(item, "callspec", None)
        if kernel and spec and "variant" in spec.indices:
            return order[kernel], spec.indices["variant"]
        return -1, 0

    # What pytest makes of no cases: a program that only --explain measures.
    items[:] = [item for item in items if not (_program(item) and "NOTSET" in item.name)]
    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    from bench.measure import preflight
    from bench.suite import registry

    tiers, timed = set(), False
    for item in session.items:
        kernel, fixtures = _kernel(item), getattr(item, "fixturenames", ())
        spec = getattr(item, "callspec", None)
        variant = spec.params.get("variant", "") if kernel and spec else ""
        if kernel and isinstance(variant, str) and variant.startswith("c-"):  # of no cases: NOTSET
            tiers.add(registry.kernel(kernel).native(variant).tier)
        if "call_overhead" in fixtures:
            tiers.add("scalar")
        timed = timed or "benchmark" in fixtures
    benchmarks = _benchmarks(session.config)
    with _refusals():
        if timed and not (benchmarks.disabled or benchmarks.skip):
            preflight.require_unwatched()
        if not session.config.option.collectonly:
            preflight.require_built(tiers)
    if timed and _is_saved(session.config):
        session.config.stash[_SESSION].look_at_machine(partial(_say, session.config))


def _is_saved(config: pytest.Config) -> bool:
    """Whether a run will be written. The gate's sides, which come by here as well, write none."""
    benchmarks = _benchmarks(config)
    wanted = benchmarks.json or benchmarks.save or benchmarks.autosave
    return bool(wanted) and not (
        benchmarks.disabled or benchmarks.skip or config.option.collectonly
    )


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """measure(variant, size): verify, then time, one case of the kernel that the marker names."""
    kernel = _kernel(request.node)
    assert kernel is not None, "a test that measures a kernel is marked with its name"
    return _or_skip(partial(request.config.stash[_SESSION].measure, benchmark, kernel))


@pytest.fixture
def measure_operation(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """measure_operation(operation): time one operation of kernels_py/operations.py."""
    from bench.measure import operations

    cap = request.config.stash[_SESSION].cap_seconds
    return lambda operation: operations.measure(benchmark, operation, cap / 2)


@pytest.fixture
def call_overhead(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """call_overhead(name, binding, n, element=None): verify, then time, one of those in
    bench/measure/overhead.py, with n elements."""
    from bench.measure import overhead

    cap = request.config.stash[_SESSION].cap_seconds
    return _or_skip(partial(overhead.measure, benchmark, cap))


def _or_skip(measure: Callable[..., None]) -> Callable[..., None]:
    """The same, but for a test that is skipped where a tier or a library is not here."""
    import kernels_c
    from bench.measure.cases.engine import ModelUnavailable
    from bench.measure.peers.adapter import PeerUnavailable

    missing = kernels_c.TierUnavailable, PeerUnavailable, ModelUnavailable

    def verify_then_time(*case: Any) -> None:
        try:
            measure(*case)
        except missing as reason:
            pytest.skip(str(reason))

    return verify_then_time


def _peer_metadata(config: pytest.Config) -> dict[str, Any]:
    """What machine_info says of the peers; nothing without --peers."""
    if not _option(config, "peers"):
        return {}
    from bench.measure import peers

    return {"peers": peers.metadata(), "refused_peers": config.stash[_SESSION].refused_peers}


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    from bench.measure.machine import metadata

    metadata.complete(machine_info)
    machine_info.update(_peer_metadata(config))
    machine_info.update(config.stash[_SESSION].machine_info())


def pytest_benchmark_compare_machine_info(
    config: pytest.Config,
    benchmarksession: Any,
    machine_info: dict[str, Any],
    compared_benchmark: dict[str, Any],
) -> None:
    """pytest-benchmark's own hook runs after this one and would print both machine_infos whole as
    soon as a byte of them differs; it is shown two equal ones."""
    from pytest_benchmark.stats import Stats

    from bench.measure import compared

    fields, judged = (*Stats.fields, "iterations"), bool(config.getoption("benchmark_compare_fail"))
    with _refusals("--benchmark-compare: "):
        compared.make_fit(benchmarksession, machine_info, compared_benchmark, fields, judged)
    compared_benchmark["machine_info"] = machine_info


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
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
    measured = any(_benchmarks(config).benchmarks)
    late = None
    if measured and exitstatus != pytest.ExitCode.INTERRUPTED:
        counting = _option(config, "count") or _option(config, "explain")
        complete = config.stash[_SESSION].complete
        late = partial(complete, counting=counting, say=partial(_say, config))
    if saving.add(late) or saving.failed:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    elif late and saving.written and _option(config, "report"):
        _draw(session, saving.written)
        return
    if _option(config, "report") and saving.written:
        _say(config, f"no page was drawn; to draw it: python -m bench report {saving.written}")


def _draw(session: pytest.Session, run: Path) -> None:
    from bench.saved.checks import Refusal
    from bench.views.report import write_report_of

    config = session.config
    storage = getattr(_benchmarks(config).storage, "path", None)
    try:
        page, *_ = write_report_of(run, storage, Path(_option(config, "report")))
        _say(config, f"{page}: the report, open it in a browser")
    except (Refusal, OSError) as error:
        _say(config, f"--report: not written: {error}")
        session.exitstatus = Refusal.exit_code


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SAVING in config.stash:
        config.stash[_SAVING].finish()


@pytest.hookimpl(trylast=True)  # after pytest-benchmark's own tables
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The competency matrix of what was just measured."""
    from bench.measure.machine import metadata
    from bench.saved.overhead import call_overheads
    from bench.views import matrix
    from bench.views.explain import overhead
    from bench.views.tables import render

    benchmarks = [b.as_dict(include_data=False) for b in _benchmarks(config).benchmarks if b]
    machine = {"tiers": metadata.tiers(), **_peer_metadata(config)}
    run = config.stash[_SESSION].run_of(benchmarks, machine)
    if run is None:
        return
    if run.ours:
        terminalreporter.section("competency matrix", sep="-")
        terminalreporter.write_line(render(matrix.view(run), "text"))
    if call_overheads(run):
        terminalreporter.section("the overhead of a call into native code", sep="-")
        terminalreporter.write_line(render(overhead.calls(run), "text"))
