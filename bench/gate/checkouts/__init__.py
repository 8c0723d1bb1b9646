"""Base and head on disk, and processes in each."""
