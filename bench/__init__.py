"""HOW kernels are measured, judged and shown: a folder for each step. See docs/architecture.md."""
