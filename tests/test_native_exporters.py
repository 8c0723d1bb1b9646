"""Buffers that somebody else wants to change while a call runs, or that lie: nothing may be freed
under a kernel, and what was checked is what it gets."""

from __future__ import annotations

import io
import mmap
import sys
import threading
from array import array
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import kernels_c
from tests.native import METHODS, Method, named

FROM_3_12 = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="classes export buffers from Python 3.12 on"
)


class Meanwhile:
    """A tier's library, in which `act` gets the arguments of a kernel just before it runs."""

    def __init__(self, lib: Any, act: Callable[..., None]) -> None:
        self._lib, self._act, self.calls = lib, act, 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._lib, name)
        if not name.endswith(("_f32", "_i8", "_i32")) or name.startswith("packed_"):
            return function

        def call(*arguments: Any) -> Any:
            self.calls += 1
            self._act(*arguments)
            return function(*arguments)

        return call


def interrupted(tier: kernels_c.Tier, act: Callable[..., None]) -> tuple[kernels_c.Tier, Meanwhile]:
    lib = Meanwhile(tier.lib, act)
    return kernels_c.Tier(tier.name, SimpleNamespace(lib=lib, ffi=tier.ffi)), lib


class Resizable(NamedTuple):
    """What is passed, and ways in which its memory would go."""

    exporter: Any
    losses: tuple[Callable[[], object], ...]


def of_array(view: memoryview) -> Resizable:
    x = array(view.format, view)
    return Resizable(x, (lambda: x.append(0), x.pop, lambda: x.extend([0] * 9999)))


def of_bytearray(view: memoryview) -> Resizable:
    """The caller's own view is released first: then the call's alone holds the memory."""
    x = bytearray(view.tobytes())
    passed = memoryview(x).cast(view.format)
    return Resizable(passed, (lambda: (passed.release(), x.clear()), lambda: x.extend(x)))


def of_mmap(view: memoryview) -> Resizable:
    x = mmap.mmap(-1, view.nbytes)
    x[:] = view.tobytes()
    passed = memoryview(x).cast(view.format)
    return Resizable(passed, (lambda: (passed.release(), x.close()), lambda: x.resize(1 << 20)))


def of_bytesio(view: memoryview) -> Resizable:
    x = io.BytesIO(view.tobytes())
    passed = x.getbuffer().cast(view.format)
    return Resizable(passed, (lambda: (passed.release(), x.truncate(0)), x.close))


class Exports:
    """Memory of its own, which it would swap for less."""

    def __init__(self, view: memoryview) -> None:
        self.memory, self.format = bytearray(view.tobytes()), view.format
        self.held: list[memoryview] = []

    def __buffer__(self, flags: int) -> memoryview:
        self.held.append(memoryview(self.memory).cast(self.format))
        return self.held[-1]


def of_class(view: memoryview) -> Resizable:
    x = Exports(view)
    return Resizable(x, (lambda: x.held.pop().release(), x.memory.clear))


KINDS = [of_array, of_bytearray, of_mmap, of_bytesio, pytest.param(of_class, marks=FROM_3_12)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(**named())
def test_no_memory_goes_during_a_call(
    method: Method, kind: Callable[[memoryview], Resizable]
) -> None:
    alone, expected = kernels_c.load_tier("scalar"), method.arguments()
    method.call(alone, expected)
    arguments = method.arguments()
    made = {name: kind(arguments[name]) for name in method.buffers}
    refused: list[str] = []

    def lose_everything(*_: Any) -> None:
        for name, resizable in made.items():
            for lose in resizable.losses:
                with pytest.raises(BufferError):
                    lose()
                refused.append(name)

    tier, lib = interrupted(alone, lose_everything)
    passed = {name: resizable.exporter for name, resizable in made.items()}
    out = memoryview(passed["out"])  # what was written, once the call is over
    method.call(tier, {**arguments, **passed})
    assert lib.calls == 1
    assert set(refused) == set(made)
    assert out.tobytes() == expected["out"].tobytes()


def test_tokens_are_addresses_and_so_a_copy_of_them_is_checked_and_used() -> None:
    """Checked where they lay, who wrote to them meanwhile made the kernel read anywhere."""
    tokens, table, out = array("i", [0, 2, 1]), array("f", range(6)), array("f", bytes(24))
    seen: list[list[int]] = []

    def write(given: Any, *_: Any) -> None:
        tokens[:] = array("i", [2**30, -1, 2**31 - 1])
        seen.append([given[i] for i in range(3)])

    tier, _ = interrupted(kernels_c.load_tier("scalar"), write)
    tier.embedding(tokens, table, None, out, 2)
    assert seen == [[0, 2, 1]]
    assert out.tolist() == [0, 1, 4, 5, 2, 3]


# --- Classes that export buffers -----------------------------------------------------------------


@FROM_3_12
@pytest.mark.parametrize(**named())
def test_who_is_asked_for_a_buffer_cannot_free_another(method: Method) -> None:
    """x is borrowed when out is asked for its buffer; what out then does to x must fail."""
    tier, arguments = kernels_c.load_tier("scalar"), method.arguments()
    first = method.inputs[0]
    memory = bytearray(arguments[first].tobytes())
    refused: list[str] = []

    class Thief(Exports):
        def __buffer__(self, flags: int) -> memoryview:
            try:
                memory.clear()
            except BufferError as error:  # whose traceback, if kept, would keep the call's buffers
                refused.append(str(error))
            return super().__buffer__(flags)

    class Source:
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(memory).cast(arguments[first].format)

    thief = Thief(arguments["out"])
    method.call(tier, {**arguments, first: Source(), "out": thief})
    assert len(refused) == 1
    memory.clear()  # nothing is held when it is over


LIES: dict[str, tuple[Callable[[memoryview], Any], type[Exception]]] = {
    "read-only": (lambda view: view.toreadonly(), ValueError),
    "shorter": (lambda view: view[:-1], ValueError),
    "other elements": (lambda view: view.cast("B"), TypeError),
    "spread": (lambda view: view[::-1], ValueError),
    "released": (lambda view: view[:].release(), TypeError),
    "no buffer": (lambda view: 3, TypeError),
}


@FROM_3_12
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize(**named())
def test_a_class_that_lies_is_refused(method: Method, lie: str) -> None:
    tier, arguments = kernels_c.load_tier("scalar"), method.arguments()
    told, error = LIES[lie]

    class Liar:
        def __buffer__(self, flags: int) -> Any:
            return told(arguments["out"])

    before = arguments["out"].tobytes()
    with pytest.raises(error, match=r"^(out|x): "):
        method.call(tier, {**arguments, "out": Liar()})
    assert arguments["out"].tobytes() == before


@FROM_3_12
def test_a_class_that_fails_fails_with_its_own_error() -> None:
    class Fails:
        def __buffer__(self, flags: int) -> memoryview:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        kernels_c.load_tier("scalar").relu(Fails(), array("f"))


# --- Threads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(**named("relu", "matmul", "quantize_rows"))
def test_calls_while_another_thread_resizes_either_work_or_are_refused(
    tier: kernels_c.Tier, method: Method
) -> None:
    """Whenever it gets to run: a call sees the right size and holds it, or refuses a wrong one."""
    buffers = {a: array(code, [1] * count) for a, (code, count) in method.buffers.items()}
    stop = threading.Event()

    def resize() -> None:
        while not stop.is_set():
            for name, buffer in buffers.items():
                with suppress(BufferError):  # a call has it
                    buffer.append(1)
                with suppress(BufferError):
                    del buffer[method.buffers[name][1] :]

    other = threading.Thread(target=resize)
    other.start()
    try:
        for _ in range(300):
            with suppress(ValueError):
                method.call(tier, {**buffers, **method.options})
    finally:
        stop.set()
        other.join()


def test_the_library_that_is_interrupted_is_called() -> None:
    """Else none of these tests could fail."""
    seen: list[int] = []
    tier, lib = interrupted(kernels_c.load_tier("scalar"), lambda *given: seen.append(given[-1]))
    METHODS["relu"].call(tier, METHODS["relu"].arguments())
    assert (seen, lib.calls) == ([24], 1)
