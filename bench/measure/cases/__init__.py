"""A benchmark case: its input, its reference, its error, and the calls to measure."""
