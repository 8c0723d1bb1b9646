"""The suite's Python variants on every CPython of the machine: which there are, and a run on each."""
