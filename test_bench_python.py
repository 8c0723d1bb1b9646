"""What Python's loops are made of, operation by operation: python -m bench cost adds them up."""

import pytest


@pytest.mark.interpreter
@pytest.mark.operation
def test_operation(measure_operation, operation):
    measure_operation(operation)
