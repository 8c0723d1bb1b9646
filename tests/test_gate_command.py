# ruff: noqa: E501 - tables of one case a line
"""python -m bench gate as a user runs it, in a project of his own. No test looks at a time, nor at
a verdict that times decide."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.cli import gate as gate_command
from bench.measure.evidence import callgrind
from bench.saved import gates
from tests.gate_project import Project
from tests.test_gate_saved import OTHER, SLOW, benchmark, run, usual, written

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

VERDICT = (0, 1, 3)  # which of them it is, times decide
SOON = ("--threshold", "900")  # so that the first stage settles everything
ONE = ("-k", "relu and c-scalar-100 and not 1000")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def project(shared: Project) -> Iterator[Project]:
    yield shared
    shared.restore()


# --- Bad arguments: named before anything is copied ----------------------------------------------

# arguments; {tmp} is a folder with a file "file", a folder "folder" and saved runs 0.json, 1.json
BAD_ARGUMENTS: list[tuple[list[str], str]] = [
    ([], "gate: needs one of run --base REF, compare BASE.json... HEAD.json, selfcheck, or show FILE"),
    (["run"], "the following arguments are required: --base"),
    (["run", "--base"], "argument --base: expected one argument"),
    (["run", "--base", "--all"], "argument --base: expected one argument"),
    (["compare"], "the following arguments are required: RUN"),
    (["show"], "the following arguments are required: FILE"),
    (["selfcheck", "{tmp}/file"], "unrecognized arguments: "),
    (["selfcheck", "--instructions"], "unrecognized arguments: --instructions"),
    (["compare", "{tmp}/0.json", "{tmp}/1.json", "--instructions"], "unrecognized arguments: --instr"),
    (["run", "--base", "HEAD", "--threshold", "0.5"], "--threshold: got 0.5 %, needs at least 1 %"),
    (["run", "--base", "HEAD", "--threshold", "0"], "argument --threshold: got '0', needs percent above"),
    (["run", "--base", "HEAD", "--threshold=-3"], "argument --threshold: got '-3', needs percent above 0"),
    (["run", "--base", "HEAD", "--threshold", "nan"], "argument --threshold: got 'nan', needs percent"),
    (["run", "--base", "HEAD", "--threshold", "inf"], "argument --threshold: got 'inf', needs percent"),
    (["run", "--base", "HEAD", "--threshold", "2x"], "argument --threshold: got '2x', needs percent"),
    (["run", "--base", "HEAD", "--core", "9999"], "argument --core: got 9999, needs one of "),
    (["run", "--base", "HEAD", "--core", "-1"], "argument --core: "),
    (["run", "--base", "HEAD", "--core", "all"], "argument --core: got 'all', needs a whole number"),
    (["run", "--base", "HEAD", "--seed", "1.5"], "argument --seed: got '1.5', needs a whole number"),
    (["run", "--base", "HEAD", "--longest-call", "0"], "argument --longest-call: got '0', needs more than"),
    (["run", "--base", "HEAD", "--longest-call", "x"], "argument --longest-call: got 'x', needs more than"),
    (["selfcheck", "--threshold", "0.5"], "--threshold: got 0.5 %, needs at least 1 %"),
    (["run", "--base", "HEAD", "--floor", "20"], "unrecognized arguments: --floor 20"),
    (["run", "--base", "HEAD", "--allow-removed"], "unrecognized arguments: --allow-removed"),
    (["run", "--base", "HEAD", "--instructions", "--record", "{tmp}/r"], "gate run: --record is for times, and"),
    (["run", "--base", "HEAD", "--instructions", "--core", "0"], "gate run: --core is for times, and"),
    (["compare", "a.json", "b.json", "-k", "relu"], "unrecognized arguments: -k"),
    (["compare", "a.json", "b.json", "--quick"], "unrecognized arguments: --quick"),
    (["run", "--base", "HEAD", "--seed", "9" * 5000], "argument --seed: got '9999999999999999999', needs"),
    (["selfcheck", "--gates", "0"], "argument --gates: got '0', needs a whole number from 1"),
    (["selfcheck", "--gates", "many"], "argument --gates: got 'many', needs a whole number"),
    (["selfcheck", "-o", "{tmp}/new"], "unrecognized arguments: -o"),
    (["run", "--base", "HEAD", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
    (["run", "--base", "HEAD", "-o", "{tmp}/folder"], "{tmp}/folder: is a folder, needs the name of a file"),
    (["run", "--base", "HEAD", "--record", "{tmp}/folder"], "{tmp}/folder: is a folder"),
    (["run", "--base", "HEAD", "--summary", "{tmp}/folder"], "{tmp}/folder: is a folder"),
    (["run", "--base", "HEAD", "-o", "{tmp}/file/x.json"], "{tmp}/file: is no folder, needs one"),
    (["run", "--base", "HEAD", "-o", "{tmp}/file/y/x.json"], "{tmp}/file: is no folder, needs one"),
    (["run", "--base", "HEAD", "-o", "/proc/x/y.json"], "/proc/x: No such file or directory"),
    (["run", "--base", "HEAD", "-o", "/dev/null"], "/dev/null: is no regular file"),
    (["run", "--base", "HEAD", "--record", "/dev/full"], "/dev/full: is no regular file"),
    (["selfcheck", "--ledger", "{tmp}/file"], "{tmp}/file, line 1: is not JSON"),
    (["selfcheck", "--ledger", "{tmp}/folder"], "{tmp}/folder: cannot be read (Is a directory)"),
    (["selfcheck", "--ledger", "{tmp}/0.json"], "{tmp}/0.json, line 1: format is nothing"),
    (["show", "{tmp}/none"], "{tmp}/none: cannot be read (No such file or directory)"),
    (["show", "{tmp}/folder"], "{tmp}/folder: cannot be read (Is a directory)"),
    (["show", "{tmp}/file"], "{tmp}/file: is not JSON"),
    (["show", "{tmp}/0.json"], "{tmp}/0.json: format is nothing"),
    (["compare", "{tmp}/0.json"], "{tmp}/0.json: is all that was given"),
    (["compare", "{tmp}/0.json", "{tmp}/none"], "{tmp}/none: cannot be read"),
    (["compare", "{tmp}/file", "{tmp}/1.json"], "{tmp}/file: is not JSON"),
    (["--unknown"], "unrecognized arguments: --unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "text"), BAD_ARGUMENTS, ids=lambda v: " ".join(v)[:60])
def test_bad_arguments_are_named_in_one_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def forbidden(*_: object) -> None:
        raise AssertionError("something was begun")

    monkeypatch.setattr("bench.gate.prepare.workspace.workspace", forbidden)
    (tmp_path / "file").write_text("x\n")
    (tmp_path / "folder").mkdir()
    written(tmp_path, usual(1), usual(2))
    try:
        code = main(["gate", *(a.format(tmp=tmp_path) for a in arguments)])
    except SystemExit as ended:  # argparse
        code = ended.code
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    line = said.err.splitlines()[-1]
    assert text.format(tmp=tmp_path) in line
    assert re.match(r"bench: |python -m bench( gate \w+)?: error: ", line)
    assert "Traceback" not in said.err
    assert not list(tmp_path.glob("*.new"))


# --- The forms before there were commands -------------------------------------------------------

# old form, new form, hint
OLD_FORMS = [
    ("{0} {1}", "compare {0} {1}", "gate BASE.json... HEAD.json is now gate compare BASE.json... HEAD.json"),
    ("--floor 20 {0} {1}", "compare --floor 20 {0} {1}", "gate BASE.json... HEAD.json is now gate compare"),
    ("--from {saved}", "show {saved}", "gate --from FILE is now gate show FILE"),
    ("--all --from={saved}", "show --all {saved}", "gate --from FILE is now gate show FILE"),
    ("--base nonsense", "run --base nonsense", "gate --base REF is now gate run --base REF"),
    ("-k relu --base=nonsense", "run -k relu --base=nonsense", "gate --base REF is now gate run --base REF"),
    ("--selfcheck --ledger {0}", "selfcheck --ledger {0}", "gate --selfcheck is now gate selfcheck"),
    ("--base HEAD --selfcheck", "run --base HEAD --selfcheck", "gate --base REF is now gate run --base"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "hint"), OLD_FORMS, ids=[old for old, *_ in OLD_FORMS])
def test_an_old_form_does_the_same_and_says_what_it_is_now(
    old: str, new: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, saved = written(tmp_path, usual(1), usual(2, 3.0)), tmp_path / "gate.json"
    assert main(["gate", "compare", *map(str, runs), "-o", str(saved)]) == 1
    capsys.readouterr()
    ends = []
    for form in (old, new):
        try:
            code: object = main(["gate", *form.format(*runs, saved=saved).split()])
        except SystemExit as ended:  # argparse
            code = ended.code
        ends.append((code, *capsys.readouterr()))
    first, _, rest = ends[0][2].partition("\n")
    assert first.startswith(f"bench: {hint}")
    assert (*ends[0][:2], rest) == ends[1]


# --- Saved runs and saved gates ------------------------------------------------------------------


def test_exit_codes_of_saved_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def code(*arguments: Any) -> int:
        return main(["gate", *map(str, arguments)])

    same, slow = written(tmp_path, usual(1), usual(2, 3.0))
    (tmp_path / "more").mkdir()
    other, fewer = written(
        tmp_path / "more",
        {**usual(3), "machine_info": {**usual(3)["machine_info"], "python_version": "3.12.1"}},
        run(4, benchmark(SLOW, 1e-6), benchmark(OTHER, 1e-5)),
    )
    assert code("compare", same, slow) == 1
    assert code("compare", slow, same) in (0, 2, 3)  # older than its baseline; never slower
    assert code("compare", same, other) == 3
    assert "not comparable" in capsys.readouterr().err
    assert code("compare", same, fewer) == 2
    assert code("compare", same, fewer, "--allow-removed", "-o", tmp_path / "gate.json") == 0
    assert code("show", tmp_path / "gate.json", "--format", "json") == 0
    saved = json.loads((tmp_path / "gate.json").read_text())
    capsys.readouterr()
    for change, expected in (
        ({"judged": []}, 3),
        ({"version": 2}, 2),
        ({"kind": "x"}, 2),
        ({"threshold": -1}, 2),
        ({"judged": [{**saved["judged"][0], "verdict": "fine"}]}, 2),
        ({"judged": [{**saved["judged"][0], "change": "0"}]}, 2),
        ({"judged": [{**saved["judged"][0], "name": ""}]}, 2),
        ({"unjudged": [{"name": "a", "why": "whim"}]}, 2),
        ({"judged": [{**saved["judged"][0], "verdict": "regressed"}]}, 1),
    ):
        (tmp_path / "x.json").write_text(json.dumps({**saved, **change}))
        assert code("show", tmp_path / "x.json") == expected, change
        said = capsys.readouterr()
        assert expected != 2 or said.err.startswith(f"bench: {tmp_path}/x.json: ")
    (tmp_path / "x.json").write_text(json.dumps(saved)[:-5])
    assert code("show", tmp_path / "x.json") == 2


def test_a_fault_of_the_gate_itself_is_no_regression(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(gate_command, "_measuring", fault)
    assert main(["gate", "run", "--base", "HEAD"]) == 2
    assert "RuntimeError: a fault" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_does_not_change_the_exit_code(tmp_path: Path) -> None:
    slow = written(tmp_path, usual(1), usual(2, 3.0))
    command = [sys.executable, "-m", "bench", "gate", "compare", *map(str, slow)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (1, b"")
    with open("/dev/full", "w") as full:
        answer = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert answer.returncode == 2
    assert answer.stderr == b"bench: No space left on device\n"


def test_what_was_measured_is_shown_where_it_cannot_be_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "gate.json")

    monkeypatch.setattr(gates, "save", full)
    runs = written(tmp_path, usual(1), usual(2, 3.0))
    assert main(["gate", "compare", *map(str, runs), "-o", str(tmp_path / "gate.json")]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("REGRESSED")
    assert said.err == "bench: gate.json: No space left on device\n"


def test_what_is_beside_the_judged_does_not_change_the_verdict() -> None:
    judged = (gates.Judged("a", gates.PASS, 0.0, 1.0, 1),)
    for why in gates.WHYS:
        found = gates.Gate("timing", "b", "h", 0.01, judged, (gates.Unjudged("x", why),))
        assert found.exit_code == (3 if why == gates.UNCOMPARABLE else 0)


# --- Bad repositories, sides and benchmarks ------------------------------------------------------

RELU = "kernels_c/portable/relu.cpp"
LOOP = "    for (size_t i = 0; i < n; ++i) out"
THEIRS = "def test_it(benchmark):\n    "
Change = Callable[[Project], Any]


def replaced(file: str, old: str, new: str) -> Change:
    return lambda p: p.checkout.replace(file, old, new)


def added(name: str, text: str) -> Change:
    return lambda p: p.write(name, text)


def relu_that(does: str) -> Change:
    return replaced(RELU, LOOP, f"    {does}\n{LOOP}")


# change, where it is made, arguments, what the line says; {side} is "base main (...)" or the head
BAD_PROJECTS: dict[str, tuple[Change, str, tuple[str, ...], str]] = {
    "no such commit": (lambda p: None, "head", ("--base", "nonsense"), "--base nonsense: there is no"),
    "an empty name": (lambda p: None, "head", ("--base", ""), "--base : there is no such commit"),
    "an option as name": (lambda p: None, "head", ("--base=--all",), "--base --all: there is no such"),
    "no repository": (
        lambda p: (p.folder / ".git").rename(p.folder.parent / "git"), "head", (),
        "{root}: not in a git repository",
    ),
    "-k without a match": (
        lambda p: None, "head", ("-k", "nonsense"), "no benchmark in working tree ("
    ),
    "-k that is no expression": (
        lambda p: None, "head", ("-k", "relu and ("), "Wrong expression passed to '-k'"
    ),
    "does not build": (relu_that("x = = y;"), "both", ONE, "{side}: does not build: "),
    "has no build": (
        lambda p: (p.folder / "build_ffi.py").unlink(), "base", ONE, "{side}: has no build_ffi.py"
    ),
    "wrong kernel": (
        relu_that("if (n == 100) { out[3] = 7.0f; return; }"), "both", ONE,
        "{side}: test_bench_relu.py::test_relu[c-scalar-100]: element ",
    ),
    "python that does not import": (
        replaced("kernels_py/relu.py", "reference = idiomatic", "reference = nothing"), "head", ONE,
        "{side}: test_bench_relu.py::test_relu[c-scalar-100]: NameError: name 'nothing' is not",
    ),
    "late import": (
        replaced(
            "kernels_py/relu.py", "    # max(v", "    from kernels_py import softmax\n    # max(v"
        ), "head", ("-k", "relu and py-idiomatic-100 and not 1000"),
        "imports kernels_py while it is called: both sides are in one process",
    ),
    "kernel that crashes at one size": (
        relu_that("if (n == 10000) __builtin_trap();"), "head",
        ("-k", "relu and c-scalar and not 1000000"),
        "test_bench_relu.py::test_relu[c-scalar-10000]: the process that measures ended with signal",
    ),
    "test that fails": (
        added("test_bench_x.py", THEIRS + "benchmark(int, 'x')\n"), "base", ("-k", "test_it"),
        "{side}: test_bench_x.py::test_it fails: ValueError: invalid literal for int()",
    ),
    "test file that does not import": (
        added("test_bench_x.py", "import nonsense_module\n"), "head", ONE,
        "{side}: test_bench_x.py fails: ModuleNotFoundError: No module named 'nonsense_module'",
    ),
    "conftest that does not import": (
        lambda p: p.write("conftest.py", "import nonsense_module\n"), "head", ONE,
        "{side}: pytest says: ",
    ),
    "fixture used twice": (
        added("test_bench_x.py", THEIRS + "benchmark(int)\n    benchmark(int)\n"), "head",
        ("-k", "test_it"), "{side}: test_bench_x.py::test_it fails: RuntimeError: the benchmark fix",
    ),
    "test that ends the process": (
        added("test_bench_x.py", "import os\n" + THEIRS + "benchmark(os._exit, 0)\n"), "head",
        ("-k", "test_it"), "{side}: pytest ended with exit code 0 in test_bench_x.py::test_it",
    ),
    "test that ends pytest": (
        added(
            "test_bench_x.py",
            "import pytest\ndef test_a(benchmark):\n    benchmark(int)\n"
            "def test_it(benchmark):\n    pytest.exit('enough')\n",
        ), "head", ("-k", "test_a or test_it"), "{side}: pytest says: ",
    ),
    "test that ends the process later": (
        added(
            "test_bench_x.py",
            "import os\ncalls = []\ndef f():\n    calls.append(1)\n"
            "    if len(calls) > 9:\n        os._exit(5)\n" + THEIRS + "benchmark(f)\n",
        ), "base and head", ("-k", "test_it"),
        "test_bench_x.py::test_it: pytest ended with exit code 5, saying ",
    ),
    "test that fails later": (
        added(
            "test_bench_x.py",
            "calls = []\ndef f():\n    calls.append(1)\n    assert len(calls) < 9, 'too many'\n"
            + THEIRS + "benchmark(f)\n",
        ), "base and head", ("-k", "test_it"), "test_bench_x.py::test_it fails: AssertionError: too many",
    ),
    "module that writes over the base": (
        replaced(
            "kernels_py/relu.py", "reference = idiomatic",
            "reference = idiomatic\nimport pathlib\n\n"
            "_base = pathlib.Path(__file__).parents[2] / 'base/kernels_py/relu.py'\n"
            "_base.write_text(_base.read_text() + '# and so slower')\n",
        ), "head", ("-k", "relu and py-loop-100 and not 1000"),
        "base main (: kernels_py/relu.py was changed while the gate ran",
    ),
    "build that writes over the base": (
        replaced(
            "build_ffi.py", "\nfrom cffi import FFI\n",
            "\nfrom cffi import FFI\n\nfor path in Path('../base/kernels_c').glob('_scalar.*.so'):\n"
            "    path.write_bytes(path.read_bytes() + b'x')\n",
        ), "head", ONE, "base main (: kernels_c/_scalar.",
    ),
}  # fmt: skip
CASES = [
    (kind, side)
    for kind, (_, where, *_) in BAD_PROJECTS.items()
    for side in (("base", "head") if where == "both" else (where,))
]


@pytest.mark.parametrize(("kind", "side"), CASES, ids=[f"{k} ({s})" for k, s in CASES])
def test_a_bad_project_is_named_in_one_line(kind: str, side: str, project: Project) -> None:
    change, _, arguments, text = BAD_PROJECTS[kind]
    change(project)
    if side != "head":
        project.commit()
    if side == "base":
        project.git("checkout", "--quiet", "clean", "--", ".")
        for name in ("test_bench_x.py",):
            (project.folder / name).unlink(missing_ok=True)
    try:
        if not any(a.startswith("--base") for a in arguments):
            arguments = ("--base", "main", *arguments)
        finished = project.gate(*arguments, "-o", "gate.json", "--seed", "1")
    finally:
        if (project.folder.parent / "git").exists():
            (project.folder.parent / "git").rename(project.folder / ".git")
    assert finished.code == 2, finished.output + finished.errors
    who = {"base": "base main (", "head": "head working tree ("}.get(side, "")
    line = re.sub(r"\(([0-9a-f]{7})\+?\)", "(", finished.line)
    assert text.format(side=who, root=project.folder) in line
    assert line.startswith("bench: ")
    assert not (project.folder / "gate.json").exists()


# --- Whole gates ---------------------------------------------------------------------------------

ODD = """
import time
import pytest

class TestOdd:
    def test_method(self, benchmark):
        assert benchmark(sum, [1, 2]) == 3

@pytest.fixture
def data(tmp_path):
    (tmp_path / "x").write_text("a b a")
    yield tmp_path / "x"
    (tmp_path / "x").unlink()

def test_odd_files(benchmark, data):
    assert benchmark(data.read_text) == "a b a"

@pytest.mark.parametrize("p", [1, "a b", "x::y", "[z]", "\\u00e9", "", "a/b", "100%", "-k"])
def test_odd_ids(benchmark, p):
    benchmark(str, p)

def test_odd_pedantic(benchmark):
    made, ended = [], []
    def setup():
        made.append(1)
        return ([3, 1, 2],), {"reverse": True}
    def call(values, reverse):
        assert len(values) == 3
        values.sort(reverse=reverse)
        values.pop()
    benchmark.pedantic(call, setup=setup, teardown=lambda v, reverse: ended.append(v), rounds=3)
    assert len(made) == len(ended) > 1

def test_odd_pedantic_without_setup(benchmark):
    assert benchmark.pedantic(sorted, args=([2, 1],), kwargs={"reverse": True}, rounds=2) == [2, 1]

def test_odd_pedantic_whose_setup_gives_nothing(benchmark):
    assert benchmark.pedantic(sorted, args=([2, 1],), setup=tuple, rounds=2) == [1, 2]

def test_odd_skips(benchmark):
    pytest.skip("not today")

def test_odd_prints(benchmark):
    benchmark(print, "x" * 100_000)

def test_odd_that_is_no_benchmark():
    raise AssertionError("must not run")
"""


def test_odd_benchmarks_and_noisy_kernels(project: Project) -> None:
    """Through two processes and through one; in the order of the gate, not of a conftest.py."""
    project.write("test_bench_odd.py", ODD)
    replace = project.checkout.replace
    replace("conftest.py", "items.sort(key=place)", "items.sort(key=place)\n    items.reverse()")
    old = "def pytest_collection_modifyitems"
    replace("conftest.py", old, f"@pytest.hookimpl(trylast=True)\n{old}")
    noise = (
        'import sys\nfor file in (sys.stdout, sys.stderr):\n    print("{" * 200_000, file=file)\n'
    )
    replace("kernels_py/relu.py", "reference = idiomatic", f"reference = idiomatic\n{noise}")
    project.commit()
    chosen = ("-k", "odd or (relu and (py-idiomatic-100 or c-scalar-100) and not 1000)")
    out = project.temporary.parent
    results = ("-o", f"{out}/gate.json", "--summary", f"{out}/summary.md", "--record", f"{out}/r")
    (out / "summary.md").write_text("before\n")
    finished = project.gate(
        "--base", "main", *chosen, *results, "--seed", "5", "--format", "json", *SOON
    )
    assert finished.code in VERDICT, finished.errors
    content = json.loads(finished.output)
    assert content == json.loads((out / "gate.json").read_text())
    assert gates.load(out / "gate.json").exit_code == finished.code
    assert content["exit_code"] == finished.code
    assert content["seed"] == 5
    judged = {j["name"] for j in content["judged"]}
    ids = ("1", "a b", "x::y", "[z]", "\\xe9", "", "a/b", "100%", "-k")
    odd = ["TestOdd::test_method", "test_odd_files", "test_odd_pedantic", "test_odd_prints"]
    odd += [f"test_odd_pedantic_{how}" for how in ("without_setup", "whose_setup_gives_nothing")]
    odd += [f"test_odd_ids[{i}]" for i in ids]
    relu = {f"test_bench_relu.py::test_relu[{v}-100]" for v in ("py-idiomatic", "c-scalar")}
    assert judged == {f"test_bench_odd.py::{name}" for name in odd} | relu
    unjudged = {u["name"]: (u["why"], u["note"]) for u in content["unjudged"]}
    assert unjudged == {"test_bench_odd.py::test_odd_skips": ("skipped", "base: not today")}
    assert {j["samples"] for j in content["judged"]} == {5}
    kernels = [j for j in content["judged"] if j["name"] in relu]
    assert {j["note"] for j in kernels} == {gates.SAME_CODE}
    assert (out / "summary.md").read_text().startswith("before\n### ")
    rounds = [json.loads(line) for line in (out / "r").read_text().splitlines()]
    assert {line["name"].removeprefix("control: ") for line in rounds} == judged
    assert all(len(r["base_rounds"]) == len(r["head_rounds"]) > 0 for r in rounds)
    assert not list(out.glob(".*.new"))


CHANGING = """
def test_kept(benchmark):
    benchmark(int)

def test_{removed}(benchmark):
    benchmark(sorted, "{removed}")

def test_{old}(benchmark):
    benchmark(str.upper, "x")

def test_changed(benchmark):
    benchmark(sum, {values})
"""


def test_new_removed_renamed_and_changed_benchmarks_are_listed(project: Project) -> None:
    file = "test_bench_moving.py"
    project.write(file, CHANGING.format(removed="removed", old="old", values=[1]))
    project.commit()
    project.write(file, CHANGING.format(removed="young", old="renamed", values=[1, 2]))
    finished = project.gate("--base", "main", "-k", "moving", "--format", "json", *SOON)
    assert finished.code == 3, finished.errors
    content = json.loads(finished.output)
    unjudged = {u["name"].removeprefix(f"{file}::test_"): u["why"] for u in content["unjudged"]}
    assert unjudged == {
        "young": "new", "removed": "removed", "renamed": "renamed", "changed": "not comparable",
    }  # fmt: skip
    assert {j["name"].removeprefix(f"{file}::test_") for j in content["judged"]} == {
        "kept", "renamed",
    }  # fmt: skip
    assert content["verdict"] == "inconclusive"
    assert re.match(r"main \([0-9a-f]{7}\)$", content["base"])
    assert re.match(r"working tree \([0-9a-f]{7}\+\)$", content["head"])


COUNTED = """
def work(n):
    return sum(i * i for i in range(n))

def test_counted(benchmark):
    benchmark(work, {n})

def test_counted_too(benchmark):
    benchmark.pedantic(sorted, setup=lambda: (([3, 1, 2] * 50,), {{}}))
"""


@pytest.mark.skipif(callgrind.why_unavailable() is not None, reason="needs valgrind")
def test_instructions_of_any_benchmark_are_judged(project: Project) -> None:
    project.write("test_bench_counted.py", COUNTED.format(n="1000 + 0"))
    project.commit()
    text = COUNTED.format(n="1000 + 0").replace("range(n)", "range(n + n // 100)")
    project.write("test_bench_counted.py", text)
    chosen = ("-k", "counted", "--format", "json")
    finished = project.gate("--base", "main", "--instructions", *chosen)
    assert finished.code == 1, finished.errors
    content = json.loads(finished.output)
    found = {j["name"].rpartition("::test_")[2]: j for j in content["judged"]}
    assert {name: (j["verdict"], j["note"]) for name, j in found.items()} == {
        "counted": ("regressed", ""), "counted_too": ("pass", ""),
    }  # fmt: skip
    assert found["counted"]["change"] == pytest.approx(0.01, abs=0.002)


def test_a_base_without_any_of_the_benchmarks_is_inconclusive(project: Project) -> None:
    project.write("test_bench_new.py", THEIRS.replace("it", "brand_new", 1) + "benchmark(int)\n")
    finished = project.gate("--base", "HEAD", "-k", "brand_new")
    assert finished.code == 3, finished.errors
    assert finished.output.startswith("INCONCLUSIVE: no benchmark was compared with HEAD (")
    assert "new: test_brand_new" in finished.output.replace("test_bench_new.py::", "")


# --- Ended from outside --------------------------------------------------------------------------

SLEEPS = "import time\ndef test_sleeps(benchmark):\n    benchmark(time.sleep, {seconds})\n"
INTERRUPTED = "bench: interrupted; nothing was saved"


def building(project: Project) -> tuple[str, str, tuple[str, ...]]:
    project.checkout.replace(RELU, "plain loop.", "plain loop, again.")
    project.slow.touch()
    return "building base", str(project.compiler), ONE


def listing(project: Project) -> tuple[str, str, tuple[str, ...]]:
    project.write("test_bench_sleeps.py", SLEEPS.format(seconds=100))
    project.commit()
    return "listing", "pytest_plugin.py", ("-k", "sleeps")


def verifying(project: Project) -> tuple[str, str, tuple[str, ...]]:
    replace = project.checkout.replace
    replace("kernels_py/relu.py", "reference = ", "import time\n\ntime.sleep(100)\nreference = ")
    return "verifying", "bench.gate.rounds.worker", ONE


def measuring(project: Project) -> tuple[str, str, tuple[str, ...]]:
    project.write("test_bench_sleeps.py", SLEEPS.format(seconds=0.4))
    project.commit()
    return "measuring", "pytest_plugin.py", ("-k", "sleeps")


STAGES = {f.__name__: f for f in (building, listing, verifying, measuring)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_gate_leaves_nothing(
    stage: str, how: signal.Signals, project: Project
) -> None:
    out = project.temporary.parent / f"out-{stage}-{how}"
    says, runs, arguments = STAGES[stage](project)
    before = project.state()
    files = ("-o", f"{out}/gate.json", "--record", f"{out}/rounds", "--summary", f"{out}/summary")
    gate = project.start("--base", "HEAD", *arguments, *files)
    gate.reach(says)
    gate.await_children(runs)
    if stage == "listing":  # meanwhile no other gate
        second = project.gate_beside("--base", "HEAD", *arguments)
        assert second.code == 2
        assert second.line.startswith(
            f"bench: another gate is measuring on this machine (process {gate.process.pid}); wait"
        )
    began = time.monotonic()
    gate.interrupt(how)
    finished = gate.end()
    assert time.monotonic() - began < 20  # not as long as what it was doing
    assert (finished.code, finished.line) == (2, INTERRUPTED)
    gate.await_end_of_all()
    assert project.abandoned() == []
    assert project.state() == before
    assert list(out.glob("*")) == []


@pytest.mark.parametrize("stage", ["listing", "verifying", "measuring"])
def test_a_killed_gate_leaves_no_process_and_a_folder_for_the_next(
    stage: str, project: Project
) -> None:
    says, runs, arguments = STAGES[stage](project)
    before = project.state()
    gate = project.start("--base", "HEAD", *arguments)
    gate.reach(says)
    gate.await_children(runs)
    gate.interrupt(signal.SIGKILL)
    gate.end()
    gate.await_end_of_all()
    assert project.state() == before
    assert len(project.abandoned()) == 1
    assert project.gate("--base", "nonsense").code == 2  # and finds its folder gone


# --- Full disks ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 600 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("cannot mount a small file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_temporary_folder_is_named(project: Project, small_disk: Path) -> None:
    finished = project.gate("--base", "HEAD", *ONE, TMPDIR=str(small_disk))
    assert finished.code == 2
    assert finished.line.startswith(f"bench: {small_disk}: No space left on device: ")
    assert finished.line.endswith("name another temporary folder in TMPDIR")
    assert list(small_disk.iterdir()) == []


def test_a_temporary_folder_that_is_not_there_is_not_used(project: Project) -> None:
    finished = project.gate("--base", "nonsense", TMPDIR="/nonsense", TMP=str(project.temporary))
    assert finished.code == 2
    assert "no such commit" in finished.line


def test_a_result_that_does_not_fit_is_named_and_not_half_written(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_disk / "filler").write_bytes(b"x" * (590 * 1024))
    (small_disk / "gate.json").write_text("earlier")
    many = [benchmark(f"t.py::a{n}", 1.0) for n in range(200)]
    runs = written(tmp_path, run(1, *many), run(2, *many))
    assert main(["gate", "compare", *map(str, runs), "-o", str(small_disk / "gate.json")]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("No space left on device\n")
    assert said.out.startswith("PASS")
    assert (small_disk / "gate.json").read_text() == "earlier"
    assert not list(small_disk.glob(".*"))
