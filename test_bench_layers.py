"""The parts of the engine's models, at their sizes: what a token and what a prompt of 128 take."""

import pytest


@pytest.mark.kernel("layernorm_f32")
def test_layernorm(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("linear_f32")
def test_linear(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("linear_i8_f32")
def test_linear_i8(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("quantize_rows_f32_i8")
def test_quantize_rows(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("attention_f32")
def test_attention(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("embedding_f32")
def test_embedding(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("argmax_f32")
def test_argmax(measure, variant, size):
    measure(variant, size)


@pytest.mark.kernel("gelu_max_f32")
def test_gelu_max(measure, variant, size):
    measure(variant, size)
