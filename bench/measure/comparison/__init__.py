"""python -m bench peers: the kernels and other libraries, in alternating rounds."""
