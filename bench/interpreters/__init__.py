"""The suite's Python variants on every CPython of the machine: discovery, and a run on each."""
