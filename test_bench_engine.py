"""Whole models: verse reads a prompt and makes a token, magika tells a file's type, in float32 and
in int8. A size is the prompt's tokens, the tokens before the one that is made, the file's bytes."""

import pytest


@pytest.mark.program("prefill")
def test_prefill(measure, variant, precision, size):
    measure(variant, size)


@pytest.mark.program("decode")
def test_decode(measure, variant, precision, size):
    measure(variant, size)


@pytest.mark.program("identify")
def test_identify(measure, variant, precision, size):
    measure(variant, size)


@pytest.mark.program("decode_random")
def test_decode_random(measure, variant, precision, size):
    measure(variant, size)
