"""Data goes one way: suite -> measure -> saved -> analysis -> views. Read from the imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = {"bench", "engine", "kernels_c", "kernels_py", "build_ffi", "conftest"}

# The rooms of bench/, floor by floor from the top down, and the floors within each; "." is what
# lies in the folder itself. A module imports from its own room and from floors below, never from
# another room of its floor.
FLOORS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"cli": (".",)},
    {
        "gate": ("selfcheck.py", ". counts", "prepare", "rounds", "checkouts", "verdicts"),
        "interpreters": (".",),
    },
    {
        "views": ("documents", "explain report", "."),
        "measure": (
            ". comparison",
            "doctor",
            "evidence",
            "calls.py",
            "peers machine",
            "cases timing",
        ),
    },
    {"analysis": (".",)},
    {"saved": (".",)},
    {"suite": (".",), "stats": (".",)},
)
FLOOR = {room: number for number, rooms in enumerate(reversed(FLOORS)) for room in rooms}
INSIDE = {
    room: {inner: n for n, inners in enumerate(reversed(floors)) for inner in inners.split()}
    for rooms in FLOORS
    for room, floors in rooms.items()
}


def imports(path: Path) -> set[str]:
    """Every module that the file imports, at the top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return found


def files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.partition(".")[0] in PROJECT}


def place(*parts: str) -> tuple[str, str]:
    """The room of a module of bench/, and the room within that."""
    room, *inner = parts if len(parts) > 1 else ("cli", ".")  # bench/__main__.py
    known = (name for name in (inner[0], f"{inner[0]}.py") if name in INSIDE[room])
    return room, next(known, ".")


def test_every_folder_has_a_floor() -> None:
    assert {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")} == set(FLOOR)
    for room, inside in INSIDE.items():
        folders = {path.parent.name for path in (ROOT / "bench" / room).glob("*/__init__.py")}
        assert folders == {name for name in inside if "." not in name}


@pytest.mark.parametrize("path", files("bench"), ids=str)
def test_imports_run_downward(path: Path) -> None:
    room, inner = place(*path.relative_to(ROOT / "bench").with_suffix("").parts)
    found = ours(path)
    for module in found:
        package = any(other.startswith(f"{module}.") for other in found)  # from PACKAGE import it
        if package or not module.startswith("bench.") or module == "bench.__file__":
            continue
        other_room, other_inner = place(*module.split(".")[1:], "")
        if other_room != room:
            assert FLOOR[other_room] < FLOOR[room], module
        elif other_inner != inner:
            assert INSIDE[room][other_inner] < INSIDE[room][inner], module


@pytest.mark.parametrize("path", files("bench"), ids=str)
def test_bench_knows_nothing_of_pytest(path: Path) -> None:
    if path.name == "pytest_plugin.py":  # a script that runs inside a side's pytest
        assert not ours(path)
        return
    assert not any(name.partition(".")[0].startswith("pytest") for name in imports(path))


@pytest.mark.parametrize("path", files("kernels_py", "kernels_c"), ids=str)
def test_kernels_know_nothing_of_bench(path: Path) -> None:
    assert not any(
        name.startswith(("bench", "engine", "build_ffi", "conftest")) for name in ours(path)
    )


@pytest.mark.parametrize("path", files("engine"), ids=str)
def test_the_engine_needs_the_standard_library_and_the_kernels(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "engine", "kernels_c", "kernels_py"}
    if path.name == "train.py":  # with an extra of its own
        allowed |= {"torch"}
    assert {name.partition(".")[0] for name in imports(path)} <= allowed


@pytest.mark.parametrize("path", files("kernels_py"), ids=str)
def test_the_python_side_is_standard_library_only(path: Path) -> None:
    tops = {name.partition(".")[0] for name in imports(path)}
    assert tops <= {*sys.stdlib_module_names, "kernels_py"}


def test_conftest_imports_nothing_compiled_at_the_top() -> None:
    """pytest-benchmark compare imports it on machines that have built nothing."""
    tree = ast.parse((ROOT / "conftest.py").read_text(encoding="utf-8"))
    top = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    names = {ast.unparse(node) for node in top}
    assert not any("bench" in name or "kernels" in name for name in names)


@pytest.mark.parametrize("path", sorted(ROOT.glob("test_bench_*.py")), ids=lambda p: p.name)
def test_bodies_of_benchmarks_are_under_ten_lines(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 10, node.name
