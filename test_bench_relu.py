"""ReLU: nothing to compute, so the limit is memory natively, and the interpreter in Python."""

import pytest


@pytest.mark.kernel("relu_f32")
def test_relu(measure, variant, size):
    measure(variant, size)
