"""What is written about the kernels is what is enforced: contract blocks, tier lists, the header,
the coefficients, and what the two sides may import."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import build_ffi
import kernels_c
from bench.suite.registry import KERNELS, Bound, Signature, Unit
from tests.native import BESIDE_THE_REGISTRY, steps_of

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = sorted({tier.folder for tier in build_ffi.TIERS.values()})
# By function: those of kernels.h, and those that stand in the steps of the ladder.
KERNEL_OF = {
    step.function: kernel for kernel in KERNELS.values() for step in steps_of(kernel)
} | KERNELS
NOT_KERNELS = {"cpu_has_avx2_fma", "cpu_has_avx512_vnni", "build_info", "empty_call"}
# What puts weights into the order that a tier reads them in, which nobody else knows: tested with
# the layer that reads them. gpt_step is the chain of kernels of a whole model, the same text for
# every tier, in kernels_c/ itself: the engine's tests compare it with these kernels.
NOT_KERNELS |= {"packed_linear_f32", "pack_linear_f32", "packed_linear_i8", "pack_linear_i8"}
NOT_KERNELS |= {"gpt_step"}

_DECLARATION = re.compile(r"^[\w ]+[ *](\w+)\(([^)]*)\);$", re.MULTILINE)
# A block comment in column 0 that is followed, with nothing between, by the line of a function.
_DOCUMENTED = re.compile(
    r"^/\* (\w+)\n((?: \*(?: .*)?\n)*?) \*/\n(?:void|int|size_t) (\w+)\(", re.MULTILINE
)
_MAX_ERROR = re.compile(
    r"max error +(?P<limit>(?:\d+ )?k(?: / \d+)?(?: \+ \d+)?|\d+)"
    r"(?P<unit>: exact| steps| ULP of the true value| ULP of the input| ULP of the terms"
    r"| ULP of \([^)]*\)| ULP)"
)
_UNITS = {
    "": Unit.RESULT,
    " of the true value": Unit.RESULT,
    " of the input": Unit.INPUT,
    " of (|a| |b|)": Unit.PRODUCTS,
    " of the terms": Unit.TERMS,
    " of (|x| |w| + |bias| + |out|)": Unit.TERMS,
    " of (|x w| x_scales scales + |bias| + |out|)": Unit.TERMS,
}


def declared(folder: str | None = None) -> dict[str, str]:
    """Every kernel in kernels.h, or of a folder in its ablations.h, with its parameters."""
    header = f"{folder}/ablations.h" if folder else build_ffi.HEADER
    found = dict(_DECLARATION.findall(build_ffi.declared_in(build_ffi.NATIVE / header)))
    return {name: parameters for name, parameters in found.items() if name not in NOT_KERNELS}


def blocks(folder: str) -> dict[str, str]:
    """The contract block above each function of an implementation, as one line of text."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "kernels_c" / folder).glob("*.cpp")):
        for title, text, function in _DOCUMENTED.findall(path.read_text()):
            assert title == function, f"{path}: the block of {title} stands above {function}"
            assert function not in found, f"{function} is implemented twice"
            found[function] = " ".join(line.removeprefix(" *").strip() for line in text.split("\n"))
    return found


def documented_bound(text: str) -> tuple[str, Unit]:
    match = _MAX_ERROR.search(text)
    assert match, f"no max error that this test can read in: {text}"
    unit = match["unit"]
    if unit in (": exact", " steps"):
        return match["limit"], Unit.STEP
    return match["limit"], _UNITS[unit.removeprefix(" ULP")]


def limit_at(limit: str, k: int) -> float:
    """The value of "3", "k", "k / 2" or "2 k + 8"."""
    numerator, _, denominator = limit.partition(" / ")
    terms, _, rest = numerator.partition(" + ")
    factor, of_k, _ = terms.partition("k")
    value = float(factor or 1) * (k if of_k else 1)
    return value / float(denominator or 1) + float(rest or 0)


def enforced_bound(function: str, folder: str) -> Bound:
    if function in KERNEL_OF:
        return KERNEL_OF[function].bounds[folder]
    assert function in BESIDE_THE_REGISTRY, f"{function} is not in the registry"
    return BESIDE_THE_REGISTRY[function][folder]


each_folder = pytest.mark.parametrize("folder", FOLDERS)
each_implementation = pytest.mark.parametrize(
    ("folder", "function"), [(f, name) for f in FOLDERS for name in (*declared(), *declared(f))]
)


@each_implementation
def test_a_contract_block_stands_above_every_implementation(folder: str, function: str) -> None:
    text = blocks(folder).get(function)
    assert text, f"kernels_c/{folder} has no contract block right above {function}"
    assert "formula " in text
    assert "max error " in text
    if "const float *" in {**declared(), **declared(folder)}[function]:
        assert "NaN, inf " in text


@each_folder
def test_every_contract_block_belongs_to_a_declared_kernel(folder: str) -> None:
    assert blocks(folder).keys() == {*declared(), *declared(folder)}


@each_implementation
def test_the_documented_bound_is_the_one_that_is_enforced(folder: str, function: str) -> None:
    bound = enforced_bound(function, folder)
    limit, unit = documented_bound(blocks(folder)[function])
    # Of an error that must be 0 the unit says nothing.
    assert unit is bound.unit or limit_at(limit, 1) == bound.at((1, 1, 1)) == 0
    for k in (1, 2, 7, 500):
        assert limit_at(limit, k) == bound.at((3, 5, k))


def test_every_kernel_of_the_registry_is_declared() -> None:
    functions = {k.name for k in KERNELS.values() if k.signature is not Signature.QUANTIZED_PRODUCT}
    assert functions <= declared().keys()


def test_every_step_of_the_registry_is_declared_and_the_other_way_round() -> None:
    steps = {
        (build_ffi.TIERS[s.tier].folder, s.function) for k in KERNELS.values() for s in steps_of(k)
    }
    assert steps == {(folder, name) for folder in FOLDERS for name in declared(folder)}


@pytest.mark.parametrize("tier", kernels_c.TIERS)
def test_every_tier_has_a_bound_for_every_kernel(tier: str) -> None:
    folder = build_ffi.TIERS[tier].folder
    for kernel in KERNELS.values():
        assert {"python", folder} <= kernel.bounds.keys()


def test_the_two_lists_of_tiers_are_one() -> None:
    assert list(kernels_c.TIERS) == list(build_ffi.TIERS)


def test_a_tier_says_which_folder_it_was_built_from(tier: kernels_c.Tier) -> None:
    assert tier.build_info()["folder"] == build_ffi.TIERS[tier.name].folder
    assert tier.build_info()["tier"] == tier.name


def test_the_coefficients_are_what_the_fit_gives() -> None:
    folder = ROOT / "kernels_c" / "simd"
    spec = importlib.util.spec_from_file_location("fit", folder / "fit_coefficients.py")
    assert spec is not None
    assert spec.loader is not None
    fit: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fit)
    assert fit.header() == (folder / "coefficients.h").read_text()


# --- What the two sides may use ------------------------------------------------------------------

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import kernels_c, kernels_py
for module in pkgutil.iter_modules(kernels_py.__path__):
    importlib.import_module(f"kernels_py.{module.name}")
loaded = [name for name in kernels_c.TIERS if kernels_c.why_unavailable(name) is None]
assert "scalar" in loaded, kernels_c.why_unavailable("scalar")
print(" ".join({"numpy", "torch"} & sys.modules.keys()))
"""


def test_importing_both_sides_brings_neither_numpy_nor_torch() -> None:
    command = [sys.executable, "-I", "-c", IMPORT_EVERYTHING, str(ROOT)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "", "")


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


PYTHON_FILES = sorted((ROOT / "kernels_py").rglob("*.py")) + sorted(
    (ROOT / "kernels_c").rglob("*.py")
)


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_sources_import_the_standard_library_and_each_other(path: Path) -> None:
    own = {"kernels_py"} if path.parent.name == "kernels_py" else {"kernels_c"}
    if path.name == "fit_coefficients.py":  # a tool that nothing imports
        own |= {"mpmath"}
    assert imported_packages(path) <= own | set(sys.stdlib_module_names)


CPP_FILES = sorted((ROOT / "kernels_c").rglob("*.cpp")) + sorted((ROOT / "kernels_c").rglob("*.h"))
# The C library, the compiler's own headers, and of C++ what threads and templates need, but no
# containers.
CPP_HEADERS = {"cmath", "cpuid.h", "immintrin.h", "omp.h", "pthread.h", "sys/mman.h"}
CPP_HEADERS |= {
    "sched.h",
    "signal.h",
    "stddef.h",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string.h",
    "time.h",
}
CPP_HEADERS |= {"linux/futex.h", "sys/syscall.h", "unistd.h"}
CPP_HEADERS |= {"atomic", "new", "thread", "type_traits", "utility"}


@pytest.mark.parametrize("path", CPP_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_kernels_use_no_standard_containers(path: Path) -> None:
    included = re.findall(r"^#\s*include <([^>]+)>", path.read_text(), re.MULTILINE)
    assert set(included) <= CPP_HEADERS
