"""Other people's libraries: on our buffers, verified, and never a reason to fail or to wait."""

from __future__ import annotations

from typing import Any

import pytest

import kernels_c
from bench.measure import peers
from bench.measure.calls import call_of
from bench.measure.cases.case import Call
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import sizes
from bench.measure.peers.adapter import PeerUnavailable
from bench.suite import registry
from tests.peer_libraries import available

OFFERED = [(name, kernel) for name, has in registry.PEERS.items() for kernel in has]
SMALL = {"matmul_f32": "33x17x50", "matmul_i8_i32": "16x16x24", "softmax_f32": "5x67"}


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Any:
    """The library of that name; skipped with the reason where it is not installed."""
    return available(request.getfixturevalue("name"))


def small_case(kernel: str) -> Any:
    return sizes.make(kernel, SMALL.get(kernel, "1003"))


# --- The registry --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.PEERS)
def test_a_peer_has_the_kernels_that_the_registry_says(name: str, peer: Any) -> None:
    assert {k for k in registry.KERNELS if hasattr(peer, k)} == set(registry.PEERS[name])
    assert peer.name == name
    assert peer.version


def test_peers_are_variants_only_when_asked_for() -> None:
    plain = registry.cases("matmul_f32")
    assert not any(variant.startswith("peer-") for variant, _ in plain)
    both = registry.cases("matmul_f32", peers=True)
    assert [case for case in both if not case[0].startswith("peer-")] == plain
    assert {v for v, _ in both} - {v for v, _ in plain} == {
        f"peer-{name}" for name in registry.PEERS
    }
    assert ("peer-blis", "100") not in registry.cases("relu_f32", peers=True)


def test_every_size_that_is_compared_exists() -> None:
    for kernel in registry.KERNELS:
        for quick in (False, True):
            for size in sizes.sizes(kernel, quick):
                assert sizes.checked(kernel, size) == size
                assert size in sizes.sizes(kernel, False)
    assert sizes.sizes("quantized_matmul_f32", False) == []


@pytest.mark.parametrize("kernel", [k for k in registry.KERNELS if sizes.sizes(k, False)])
def test_no_size_is_compared_under_two_names(kernel: str) -> None:
    row, names = registry.kernel(kernel), sizes.sizes(kernel, False)
    assert len(set(names)) == len(names)
    assert all(row.size_name(row.shape_named(name)) == name for name in names if " " not in name)


@pytest.mark.parametrize(
    ("kernel", "size", "operands", "result"),
    [
        ("relu_f32", "1003 +16", [16], 16),
        ("relu_f32", "1003 in place +20", [20], 20),
        ("softmax_f32", "5x67 +0", [0], 0),
        ("matmul_f32", "5x6x7 +60", [60, 60], 60),
        ("quantize_f32_i8", "1003 +4", [4], 4),
        ("matmul_i8_i32", "16x16x24 +19", [19, 19], 16),  # whole elements of its result
    ],
)
def test_every_buffer_lies_as_far_off_a_cache_line_as_the_size_says(
    kernel: str, size: str, operands: list[int], result: int
) -> None:
    assert sizes.checked(kernel, size) == size
    case = sizes.make(kernel, size)
    assert [buffer.address % 64 for buffer in case.buffers] == operands
    assert case.out.address % 64 == result
    assert case.shape == sizes.shape_of(kernel, size)
    case.run_and_verify(size, call_of(case, "c-scalar"))
    for name in registry.PEERS:
        if kernel in registry.PEERS[name] and peers.why_unavailable(name) is None:
            case.prepare(call := call_of(case, f"peer-{name}"))
            call.function(*call.args)
            case.require_memory_intact(name)


# --- Adapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kernel"), OFFERED)
def test_the_result_is_in_the_buffer_of_the_case_and_right(
    name: str, kernel: str, peer: Any
) -> None:
    if (name, kernel) == ("onnxruntime", "matmul_i8_i32") and kernels_c.why_unavailable("avx512"):
        pytest.skip("without VNNI ONNX Runtime adds pairs of products in 16 bits, which saturates")
    case = small_case(kernel)
    with peers.limited_threads(1, name):
        call = call_of(case, f"peer-{name}")
        assert call.implementation == "peer"
        metadata = case.run_and_verify(f"{kernel} {name}", call)
        written = bytes(case.out.view)
        case.out.poison()
        returned = call.function(*call.args)
    if call.collect is not None:
        call.collect(returned)
    assert bytes(case.out.view) == written
    assert metadata["max_error_ulp"] >= 0


@pytest.mark.parametrize("size", ["1x64x50", "50x1x64", "1x1x1", "7x5x1"])
@pytest.mark.parametrize("name", [n for n, has in registry.PEERS.items() if "matmul_f32" in has])
def test_products_with_a_vector_are_right(name: str, size: str, peer: Any) -> None:
    case = sizes.make("matmul_f32", size)
    case.run_and_verify(size, call_of(case, f"peer-{name}"))


@pytest.mark.parametrize("name", ["numpy", "torch", "onnxruntime"])
def test_relu_in_place_replaces_its_input(name: str, peer: Any) -> None:
    case = sizes.make("relu_f32", "1003" + sizes.IN_PLACE)
    call = call_of(case, f"peer-{name}")
    case.run_and_verify(name, call)
    assert bytes(case.buffers[0].view) == bytes(case.out.view)
    assert min(case.buffers[0].view) == 0.0


def test_a_kernel_that_a_library_lacks_is_a_reason() -> None:
    available("numpy")
    case = small_case("gelu_erf_f32")
    with pytest.raises(PeerUnavailable, match="numpy has no gelu_erf_f32"):
        call_of(case, "peer-numpy")
    with pytest.raises(PeerUnavailable, match="there is no peer"):
        peers.load_peer("mlpack")


def test_threads_are_what_they_were_afterwards() -> None:
    available("torch")
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def pools() -> dict[str, int]:
        return {p["filepath"]: p["num_threads"] for p in threadpoolctl.threadpool_info()}

    before = pools()
    with peers.limited_threads(1, "torch", "numpy"):
        assert set(pools().values()) == {1}
    assert pools() == before


# --- Double precision in NumPy against the plain Python of the suite -----------------------------


@pytest.mark.parametrize("kernel", [k for k in registry.KERNELS if sizes.sizes(k, False)])
def test_both_references_agree(kernel: str) -> None:
    available("numpy")
    from bench.measure.comparison.reference import Reference

    case = small_case(kernel)
    call = call_of(case, "c-scalar")
    metadata = case.run_and_verify(kernel, call)
    grade = Reference(case).grade(kernel, call)
    assert grade.inexact is None
    assert grade.max_error == pytest.approx(metadata["max_error_ulp"], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "right"), (1e-3, "inexact"), (9.0, "wrong")])
def test_results_are_right_inexact_or_wrong(shift: float, verdict: str) -> None:
    available("numpy")
    from bench.measure.comparison.reference import Reference

    case = small_case("relu_f32")
    right = call_of(case, "c-scalar")

    def function(*args: Any) -> None:
        right.function(*args)
        case.out.view[3] += shift * 100 if verdict == "wrong" else shift

    call = Call("peer", function, right.args)
    if verdict == "wrong":
        with pytest.raises(WrongResult, match="is not the result"):
            Reference(case).grade("relu", call)
    else:
        assert (Reference(case).grade("relu", call).inexact is None) == (verdict == "right")


def test_what_is_tolerated_is_timed_but_marked() -> None:
    available("numpy")
    from bench.measure.comparison.reference import Reference

    case = small_case("softmax_f32")
    right = call_of(case, "c-scalar")

    def function(*args: Any) -> None:
        right.function(*args)
        case.out.view[3] *= 1 + 1e-4  # some 1000 ULP

    call = Call("peer", function, right.args)
    assert 500 < case.run_and_verify("softmax", call)["max_error_ulp"] < 2000
    assert "at most 70 allowed" in str(Reference(case).grade("softmax", call).inexact)
    with pytest.raises(WrongResult):
        case.run_and_verify("softmax", Call("portable", function, right.args))


def test_a_call_knows_its_threads_and_what_collects_its_result(monkeypatch: Any) -> None:
    numpy = available("numpy")
    monkeypatch.setattr(type(numpy), "relu_f32", lambda self, case, threads, *_: (print, (), repr))
    call = call_of(small_case("relu_f32"), "peer-numpy", 3)
    assert (call.threads, call.collect) == (3, repr)
