"""The Python side: one module per kernel, one function per variant, standard library only.

Every module has
    loop        indices and one statement per step, the way a C programmer would write it
    idiomatic   the fastest pure Python we know; beating it needs another language
    reference   the true values in double precision, by a formula that does not cancel: the oracle
                that every other implementation is checked against

Vectors and matrices are flat lists, row-major. Arithmetic is Python's, so double precision.
"""
