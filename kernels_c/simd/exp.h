// The exponential that softmax and both GELUs share: 2^n for the nearest step n of the exponent, and 2^f for the
// rest. In whole steps the power of two needs no table, and rounds nothing. In steps of 1/8 or 1/16, one for each
// lane of a register in which they are looked up, the rest takes three multiply-adds less (Tang, Table-Driven
// Implementation of the Exponential Function, ACM TOMS 15(2), 1989).
#pragma once

#include "group.h"

/* Adding this leaves a float's nearest step n in the low bits of the sum, and n + 127 + shift, an exponent field
   and what follows it, where 127 + shift is added to it first. Exact for |n + 127 + shift| < 2^18. */
constexpr float WHOLE = 0x1.8p23f, STEP = WHOLE / LANES;

/* q with 2^f = 1 + f q
 *   valid      |f| <= 1/2 and a little more, to within 0.6 ULP of 2^f; narrow_tail |f| <= 1/16, 0.1 ULP
 *   NaN        passes
 *   source     the polynomial of least relative error, Horner's rule; fit_coefficients.py */
template <class V>
inline V wide_tail(V f) {
    V q = V(splat(EXP2_WIDE[5]));
#pragma GCC unroll 5
    for (int i = 4; i >= 0; --i) q = fmadd(q, f, V(splat(EXP2_WIDE[i])));
    return q;
}
template <class V>
inline V narrow_tail(V f) {
    const V q = fmadd(V(splat(EXP2_NARROW[2])), f, V(splat(EXP2_NARROW[1])));
    return fmadd(q, f, V(splat(EXP2_NARROW[0])));
}

/* 2^n from a float to which WHOLE + 127 was added; -127 < n < 128. Of STEP + 127: exp2_of_step in vec.h. */
template <class V>
inline V exp2_of_whole(V rounded) {
    return shift_left_23(rounded);
}

/* 2^(n + f), to within 1.1 ULP, from a float to which STEP + 127 was added, and f. */
template <class V>
inline V exp2(V rounded, V f) {
    const V power = exp2_of_step(rounded);
    return fmadd(power, mul(f, narrow_tail(f)), power);
}
