"""WHAT exists: kernels, variants, sizes, error bounds, and the order they build on each other."""
