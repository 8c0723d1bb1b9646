"""Softmax, one long row and many short ones (512x1024): an exponential for each element, which a
compiler vectorises only when it may relax IEEE rules."""

import pytest


@pytest.mark.kernel("softmax_f32")
def test_softmax(measure, variant, size):
    measure(variant, size)
