"""What there is to compare: the benchmarks of both sides."""
