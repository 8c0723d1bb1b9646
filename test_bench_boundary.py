"""What a call from Python into native code costs, whatever the kernel: calls, arguments, and
lists, which have to be copied element by element."""

import pytest

NATIVE = ("cffi API", "cffi ABI", "ctypes")
HOLDERS = ("Python", "cffi API", "ctypes")


@pytest.mark.interpreter
@pytest.mark.parametrize("binding", ("Python", *NATIVE))
def test_empty_call(call_overhead, binding):
    call_overhead("empty call", binding, 0)


@pytest.mark.parametrize("binding", NATIVE)
def test_ready_pointers(call_overhead, binding):
    call_overhead("ReLU, ready pointers", binding, 1)


def test_checked_method(call_overhead):
    call_overhead("ReLU, checked method", "cffi API", 1)


@pytest.mark.interpreter
@pytest.mark.parametrize("binding", HOLDERS)
def test_buffer(call_overhead, binding):
    call_overhead("array as buffer", binding, 1)


@pytest.mark.interpreter
@pytest.mark.parametrize("element", ("float32", "int8"))
@pytest.mark.parametrize("binding", HOLDERS)
def test_list_to_buffer(call_overhead, binding, element):
    call_overhead("list to buffer", binding, 10_000, element)


@pytest.mark.interpreter
@pytest.mark.parametrize("element", ("float32", "int8"))
@pytest.mark.parametrize("binding", HOLDERS)
def test_buffer_to_list(call_overhead, binding, element):
    call_overhead("buffer to list", binding, 10_000, element)
