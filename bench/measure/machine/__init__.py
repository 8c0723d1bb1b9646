"""The machine and the build: caches, measured ceilings, roofline, metadata."""
