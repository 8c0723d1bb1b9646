"""ReLU: nothing to compute, so natively the memory bus is the limit and in Python the interpreter."""

import pytest


@pytest.mark.kernel("relu_f32")
def test_relu(measure, variant, size):
    measure("relu_f32", variant, size)
