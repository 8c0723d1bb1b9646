"""Planted trees build, are right, and do the extra work that they were told to: counted, not timed.
The scalar tier stands for all."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from bench.gate.checkouts.loading import load_python_copy, load_tier_copy
from bench.gate.selfcheck import plant
from bench.gate.verdicts.errors import GateError
from bench.measure.cases.case import Call
from bench.measure.cases.make import make_case
from bench.suite import registry
from tests.checkout import Checkout

# A shape of each layout that is large enough for the smallest part, and one that is hardly.
SHAPES = {
    "unary": ((640,), (3,)), "rows": ((20, 32), (1, 200)), "product": ((12, 20, 16), (2, 3, 5)),
}  # fmt: skip
# Units of work as a kernel's innermost loop sees them, counted in C++ by what is added to it.
COUNTER = 'extern "C" { double counted = 0.0; }\n'


@pytest.fixture(scope="module")
def planted_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planted, built, and each kernel counts the work that it is asked for."""
    checkout = Checkout(tmp_path_factory.mktemp("planted"), with_modules=False)
    root = checkout.folder
    plant.plant(root)
    for file in (root / "kernels_c/portable").glob("*.cpp"):
        text = file.read_text(encoding="utf-8")
        counted = re.sub(
            r"^((?:void|int) unplanted_\w+\(([^)]*)\) \{)$", _counting, text, flags=re.MULTILINE
        )
        file.write_text(counted, encoding="utf-8")
    header = root / "kernels_c/kernels.h"
    declared = "\nextern double counted;\n\n// [end of declarations]"
    text = header.read_text(encoding="utf-8").replace("\n// [end of declarations]", declared, 1)
    header.write_text(text, encoding="utf-8")
    cpu = root / "kernels_c/cpu.cpp"
    cpu.write_text(cpu.read_text(encoding="utf-8") + COUNTER, encoding="utf-8")
    answer = checkout.build("--tier", "scalar")
    assert answer.returncode == 0, answer.stderr
    return root


def _counting(found: re.Match[str]) -> str:
    names = re.findall(r"(\w+)(?:,|$)", found.group(2))
    work = " * ".join(n for n in ("rows", "cols", "m", "n") if n in names)
    return f"{found.group(1)}\n    counted += static_cast<double>({work});"


@pytest.fixture(scope="module")
def tier(planted_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> kernels_c.Tier:
    module = next((planted_tree / "kernels_c").glob("_scalar.*so"))
    return load_tier_copy(module, "scalar", tmp_path_factory.mktemp("copy"), random.Random(0))


@pytest.fixture(autouse=True)
def nothing_planted(tier: kernels_c.Tier) -> Iterator[None]:
    yield
    tier.lib.planted_share = 0.0


def functions() -> list[tuple[str, str, tuple[int, ...]]]:
    """cases(), of the kernel itself and of those of its steps that the scalar tier has."""
    found = []
    for name, shape in cases():
        steps = [s.function for _, _, s in registry.kernel(name).ablations if s.tier == "scalar"]
        found += [(name, function, shape) for function in (name, *steps)]
    return found


def cases() -> list[tuple[str, tuple[int, ...]]]:
    kinds = {"ROWS": "rows", "PRODUCT": "product", "PRODUCT_I8": "product"}
    kinds |= {"QUANTIZED_PRODUCT": "product"}
    return [
        (name, shape)
        for name, kernel in registry.KERNELS.items()
        for shape in SHAPES[kinds.get(kernel.layout.name, "unary")]
    ]


@pytest.mark.parametrize(("name", "function", "shape"), functions(), ids=str)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.7])
def test_a_planted_kernel_is_right_and_does_as_much_more(
    name: str, function: str, shape: tuple[int, ...], share: float, tier: kernels_c.Tier
) -> None:
    case = make_case(registry.kernel(name), shape)
    call = Call("portable", *case.native_call(tier, function))
    tier.lib.planted_share = share
    case.run_and_verify(name, call)
    tier.lib.counted = 0.0
    calls = 400
    for _ in range(calls):
        call.function(*call.args)
    once = work(call, tier)
    extra = tier.lib.counted / (calls * once) - 1
    assert extra == pytest.approx(share, rel=0.03, abs=0.002)
    case.run_and_verify(name, call)


def work(call: Call, tier: kernels_c.Tier) -> float:
    """What one call counts with nothing planted; what is owed from before is worked off first."""
    share, counted = tier.lib.planted_share, tier.lib.counted
    tier.lib.planted_share = 0.0
    for _ in range(3):
        tier.lib.counted = 0.0
        call.function(*call.args)
    once = float(tier.lib.counted)
    tier.lib.planted_share, tier.lib.counted = share, counted
    assert once > 0
    return once


class Counted(list):  # type: ignore[type-arg]
    """A list that counts what is sliced off or iterated over."""

    total = 0

    def __iter__(self) -> Any:
        Counted.total += len(self)
        return super().__iter__()

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Counted(found) if isinstance(index, slice) else found


@pytest.mark.parametrize("share", [0.0, 0.5, 1.7])
@pytest.mark.parametrize("name", ["relu_f32", "gelu_tanh_f32", "quantize_f32_i8"])
def test_a_planted_python_variant_does_as_much_more(
    name: str, share: float, planted_tree: Path
) -> None:
    case = make_case(registry.kernel(name), (200,))
    module = load_python_copy(planted_tree, case.kernel.module, random.Random(0))
    module.planted_share = share
    x, *others = case.python_args()
    Counted.total = 0
    calls = 50
    for _ in range(calls):
        result = module.idiomatic(Counted(x), *others)
    assert Counted.total / (calls * 200) - 1 == pytest.approx(share, abs=0.02)
    assert list(result) == list(module._idiomatic(x, *others))


@pytest.mark.parametrize("name", registry.KERNELS)
@pytest.mark.parametrize("variant", ["loop", "idiomatic"])
def test_planted_python_variants_are_right(name: str, variant: str, planted_tree: Path) -> None:
    for shape in {shape for known, shape in cases() if known == name}:
        case = make_case(registry.kernel(name), shape)
        module = load_python_copy(planted_tree, case.kernel.module, random.Random(0))
        module.planted_share = 0.7
        call = Call("python", getattr(module, variant), case.python_args())
        for _ in range(3):
            case.run_and_verify(name, call)


def test_every_native_kernel_is_planted(planted_tree: Path) -> None:
    text = "".join(p.read_text() for p in (planted_tree / "kernels_c/portable").glob("*.cpp"))
    planted = set(re.findall(r"unplanted_(\w+)\(", text))
    for kernel in registry.KERNELS.values():
        assert kernel.name in planted or kernel.layout.name == "QUANTIZED_PRODUCT", kernel.name


def test_a_tree_without_kernels_is_refused(tmp_path: Path) -> None:
    for folder in ("kernels_c/portable", "kernels_c/simd", "kernels_py"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("kernels_c/kernels.h", "kernels_c/cpu.cpp"):
        (tmp_path / file).touch()
    with pytest.raises(GateError, match="found no kernel"):
        plant.plant(tmp_path)


def test_shifted_code_does_the_same_and_lies_elsewhere(tmp_path: Path, planted_tree: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    before = {p: p.read_text() for p in (checkout.folder / "kernels_c").rglob("*.cpp")}
    plant.shift(checkout.folder)
    changed = {p.name for p, text in before.items() if p.read_text() != text}
    assert changed == {p.name for p in before} - {"cpu.cpp"}
    for path, text in before.items():  # nothing is taken away
        assert set(text.splitlines()) <= set(path.read_text().splitlines())
    answer = checkout.build("--tier", "scalar")
    assert answer.returncode == 0, answer.stderr
    module = next((checkout.folder / "kernels_c").glob("_scalar.*so"))
    shifted = load_tier_copy(module, "scalar", tmp_path, random.Random(0))
    plain = kernels_c.load_tier("scalar")
    for name, shape in cases():
        case = make_case(registry.kernel(name), shape)
        results = []
        for side in (plain, shifted):
            call = Call("portable", *case.native_call(side))
            case.run_and_verify(name, call)
            results.append(case.output(call))
        assert results[0] == results[1]
    assert sys.getsizeof(results[0]) > 0
