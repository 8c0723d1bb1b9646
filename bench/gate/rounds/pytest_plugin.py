"""Runs inside one side's own pytest, as a script, and stands in for the benchmark fixture.

    pytest_plugin.py PARENT list  RESULT_FILE PYTEST_ARGUMENTS...
    pytest_plugin.py PARENT serve PIPE
    pytest_plugin.py PARENT count TESTS_FILE COUNTING_FILE

pytest_process.py starts it, in the side's folder.

`list` says what benchmarks the side has. Tests that go through this suite's `measure` are kernels,
which the gate then measures in one process for both sides; every other test is run, its benchmarked
call once, so that a test that fails is known before anything is timed. `serve` is sent a list of
tests, runs them in that order and stops inside each benchmarked call, to take rounds as it is told.
`count` runs those of a file under callgrind and has their calls counted.

The one file of bench that knows pytest. It imports nothing of the project: `bench`, `conftest` and
the rest are the side's own.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import inspect
import json
import os
import random
import runpy
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

# Marks benchmarks of the interpreter alone: no change of the checkout can slow them down. And whole
# models: their kernels are judged one by one.
LEFT_OUT = "interpreter", "program"
_PLAIN = (str, int, float, bool, type(None))
_LONGEST_REASON = 300
# Of a round: calls before it that are not timed, as the other process has just used the caches.
_REWARM = 8

Round = Callable[[int], float]  # calls -> seconds of all of them together


# --- The benchmarked call ------------------------------------------------------------------------


def rounds_of(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Round:
    def take(calls: int) -> float:
        for _ in repeat(None, calls // _REWARM):
            function(*args, **kwargs)
        start = perf_counter()
        for _ in repeat(None, calls):
            function(*args, **kwargs)
        return perf_counter() - start

    return take


def prepared_rounds_of(
    function: Callable[..., Any], setup: Callable[[], Any], teardown: Callable[..., Any] | None
) -> Round:
    """Calls whose arguments are made anew each time, outside of what is timed."""

    def take(calls: int) -> float:
        seconds = 0.0
        for _ in repeat(None, calls):
            args, kwargs = setup()
            start = perf_counter()
            function(*args, **kwargs)
            seconds += perf_counter() - start
            if teardown is not None:
                teardown(*args, **kwargs)
        return seconds

    return take


def stand_in(measured: Callable[[Round, Callable[[], Any]], None]) -> None:
    """Take the place of pytest-benchmark's two ways to benchmark a call. `measured` is given the
    way to take rounds, and a call without arguments; before the call whose result the test gets."""

    def pedantic(
        fixture: Any,
        target: Any,
        args: Any = (),
        kwargs: Any = None,
        setup: Any = None,
        teardown: Any = None,
        **_: Any,  # how many rounds and iterations is decided by the gate
    ) -> Any:
        if fixture._mode:
            raise RuntimeError("the benchmark fixture can be used once in a test")
        fixture._mode = "gate"
        kwargs = kwargs or {}

        def prepare() -> Any:
            made = setup() if setup is not None else None
            return made or (args, kwargs)

        def once() -> Any:
            final_args, final_kwargs = prepare()
            result = target(*final_args, **final_kwargs)
            if teardown is not None:
                teardown(*final_args, **final_kwargs)
            return result

        if setup is None and teardown is None:
            call: Callable[[], Any] = partial(target, *args, **kwargs)
            take = rounds_of(target, args, kwargs)
        else:
            call, take = once, prepared_rounds_of(target, prepare, teardown)
        measured(take, call)
        return call()

    def plain(fixture: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return pedantic(fixture, function, args, kwargs)

    fixture_class: Any = BenchmarkFixture
    fixture_class.__call__ = plain
    fixture_class.pedantic = pedantic


# --- list ----------------------------------------------------------------------------------------


class Plugin:
    """Knows which test it is in.

    Nobody reads what plugins print at the end. Hypothesis's imports itself for that, which under
    callgrind takes half a minute.
    """

    item: pytest.Item

    def pytest_configure(self, config: pytest.Config) -> None:
        name, pm = "pytest_terminal_summary", config.pluginmanager
        others = [p for p in pm.get_plugins() if pm.get_name(p) != "terminalreporter"]
        setattr(config.hook, name, pm.subset_hook_caller(name, others))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.item = item


class Lister(Plugin):
    """Every benchmark of the side: a kernel's kernel, variant and size, or what makes it itself."""

    def __init__(self, running: Path) -> None:
        self._running = running  # says which test ended the process, if one does
        self.found: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    def pytest_sessionstart(self) -> None:
        """The side's own harness, if it has one, is told to say what it would measure."""
        session = sys.modules.get("bench.measure.session")
        if session is None:
            return

        def record(_: Any, benchmark: Any, kernel: str, variant: str, size: str) -> None:
            self.found[self.item.nodeid] = {"kernel": kernel, "variant": variant, "size": size}
            pytest.skip("recorded")  # nothing more is wanted of it

        session.Session.measure = record

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(map(item.get_closest_marker, LEFT_OUT))]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running.write_text(nodeid, encoding="utf-8")

    def pytest_runtest_logfinish(self) -> None:
        self._running.write_text("", encoding="utf-8")

    def measured(self, take: Round, call: Callable[[], Any]) -> None:
        self.found[self.item.nodeid] = {"code": _code(self.item), "seconds": take(1)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.found.get(report.nodeid, {}).get("kernel"):
            return
        if report.failed:
            self.failed[report.nodeid] = _reason(report)
        elif report.skipped:
            self.skipped[report.nodeid] = _reason(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = _reason(report)


def _reason(report: Any) -> str:
    """Why a test failed or was skipped, in one line."""
    detail = report.longrepr
    if isinstance(detail, tuple):  # a skip: file, line, reason
        return str(detail[2]).removeprefix("Skipped: ")[:_LONGEST_REASON]
    crash = getattr(detail, "reprcrash", None)
    text = str(crash.message if crash is not None else detail).strip()
    if crash is None:  # a module that does not import: the error stands last
        text = text.rpartition("\n")[2].removeprefix("E").strip()
    return text.partition("\n")[0][:_LONGEST_REASON]


def _code(item: Any) -> str:
    """A hash of what the test does and with what: equal when only its name or file has changed."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(item.function))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        text = ast.dump(tree.args) + "".join(map(ast.dump, tree.body))
    except (OSError, SyntaxError, AssertionError, AttributeError, IndexError):
        text = item.nodeid
    params = getattr(getattr(item, "callspec", None), "params", {})
    plain = {name: value for name, value in params.items() if isinstance(value, _PLAIN)}
    return hashlib.sha256(f"{text} {sorted(plain.items())!r}".encode()).hexdigest()


# --- count ---------------------------------------------------------------------------------------


class InOrder(Plugin):
    """Runs the wanted tests in the wanted order."""

    def __init__(self, wanted: list[str]) -> None:
        self.wanted = wanted

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """After whatever the side's conftest.py and plugins do to the order."""
        by_id = {item.nodeid: item for item in session.items}
        session.items[:] = [by_id[nodeid] for nodeid in self.wanted if nodeid in by_id]


class Counter(InOrder):
    """Has each benchmarked call counted, by the functions of COUNTING_FILE."""

    def __init__(self, wanted: list[str], counting_file: str) -> None:
        super().__init__(wanted)
        self._counted = runpy.run_path(counting_file)["counted"]

    def measured(self, take: Round, call: Callable[[], Any]) -> None:
        self._counted(call, (), label=self.item.nodeid)


# --- serve ---------------------------------------------------------------------------------------


class Server(InOrder):
    """Inside each benchmarked call it says that it is ready. Then it answers each number of calls
    with their seconds, until that is 0."""

    def __init__(self, wanted: list[str], pipe: Connection) -> None:
        super().__init__(wanted)
        self._pipe = pipe

    def measured(self, take: Round, call: Callable[[], Any]) -> None:
        was_on = gc.isenabled()
        gc.collect()
        gc.disable()
        self._pipe.send({"ready": self.item.nodeid})
        while calls := self._pipe.recv():
            self._pipe.send({"seconds": take(calls)})
        if was_on:
            gc.enable()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            self._pipe.send({"failed": report.nodeid, "reason": _reason(report)})


# --- The process ---------------------------------------------------------------------------------


def die_with_parent(parent: int) -> None:
    """Ask Linux to end this process when its parent ends, however that happens; now, if it has."""
    if sys.platform.startswith("linux"):
        import ctypes

        pr_set_pdeathsig, sigkill = 1, 9
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)
        if os.getppid() != parent:
            os._exit(1)


def move_heap(placement: int) -> list[Any]:
    """Memory of many sizes, to be held: whatever is allocated later lies elsewhere."""
    draw = random.Random(placement)
    small = [bytes(draw.randrange(500)) for _ in range(draw.randrange(3000))]
    return [small, *(bytearray(draw.randrange(200_000)) for _ in range(draw.randrange(8)))]


def run_pytest(plugin: Any, arguments: list[str]) -> int:
    """In the current folder, which is the side's."""
    root = os.getcwd()
    sys.path[0] = root
    # tmp_path beside the sides' folders: gone with them, and none of the user's goes instead.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = os.path.dirname(root)
    # An editable install of the checkout would answer for modules that this side does not have.
    sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "")]
    stand_in(plugin.measured)
    options = ["-q", "-p", "no:cacheprovider", "--benchmark-only", "--rootdir", root]
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def run_tests(plugin: InOrder) -> int:
    """Those that it wants. They passed when they were listed: nobody needs the messages for which
    pytest rewrites tests and plugins, which under valgrind is half of its start."""
    files = {name.partition("::")[0]: None for name in plugin.wanted}
    return run_pytest(plugin, ["--assert=plain", *files])


def main(parent: str, command: str, *rest: str) -> int:
    die_with_parent(int(parent))
    if command == "list":
        result, *arguments = rest
        lister = Lister(Path(f"{result}.running"))
        code = run_pytest(lister, arguments)
        listed = {"found": lister.found, "failed": lister.failed, "skipped": lister.skipped}
        Path(result).write_text(json.dumps({**listed, "exit": code}), encoding="utf-8")
        return 0
    if command == "count":
        tests_file, counting_file = rest
        tests = json.loads(Path(tests_file).read_text(encoding="utf-8"))
        return run_tests(Counter(tests, counting_file))
    pipe = Connection(int(rest[0]))
    held = move_heap(int(os.environ["PYTHONHASHSEED"]))
    code = run_tests(Server(pipe.recv(), pipe))
    del held
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
