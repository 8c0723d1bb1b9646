"""Matrix products: float32, and int8 as the product alone, as quantisation alone, and end to end
(quantise both matrices, multiply, dequantise)."""

import pytest


@pytest.mark.kernel("matmul_f32")
def test_matmul(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("matmul_i8_i32")
def test_matmul_i8(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("quantize_f32_i8")
def test_quantize(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("quantized_matmul_f32")
def test_quantized_matmul(measure, variant, size):
    measure(variant, size)
