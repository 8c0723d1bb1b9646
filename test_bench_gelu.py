"""GELU, both forms: a tanh or an erf for each element, where plain C++ is as slow as its libm."""

import pytest


@pytest.mark.kernel("gelu_tanh_f32")
def test_gelu_tanh(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("gelu_erf_f32")
def test_gelu_erf(measure, variant, size):
    measure(variant, size)
