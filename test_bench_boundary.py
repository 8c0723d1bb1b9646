"""What crossing between Python and native code costs, whatever the kernel: calls, arguments, and
lists, which have to be copied element by element."""

import pytest

NATIVE = ("cffi API", "cffi ABI", "ctypes")
HOLDERS = ("Python", "cffi API", "ctypes")


@pytest.mark.interpreter
@pytest.mark.parametrize("binding", ("Python", *NATIVE))
def test_empty_call(cross, binding):
    cross("empty call", binding, 0)


@pytest.mark.parametrize("binding", NATIVE)
def test_ready_pointers(cross, binding):
    cross("ReLU, ready pointers", binding, 1)


def test_checked_method(cross):
    cross("ReLU, checked method", "cffi API", 1)


@pytest.mark.interpreter
@pytest.mark.parametrize("binding", HOLDERS)
def test_buffer(cross, binding):
    cross("array as buffer", binding, 1)


@pytest.mark.interpreter
@pytest.mark.parametrize("element", ("float32", "int8"))
@pytest.mark.parametrize("binding", HOLDERS)
def test_list_to_buffer(cross, binding, element):
    cross("list to buffer", binding, 10_000, element)


@pytest.mark.interpreter
@pytest.mark.parametrize("element", ("float32", "int8"))
@pytest.mark.parametrize("binding", HOLDERS)
def test_buffer_to_list(cross, binding, element):
    cross("buffer to list", binding, 10_000, element)
