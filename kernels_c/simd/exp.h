// The exponential that softmax and both GELUs share, in two steps: 2^f for the fraction of the exponent,
// and the power of two.
#pragma once

#include "coefficients.h"
#include "group.h"

/* Adding this leaves a float's nearest whole number n in the low bits of the sum, and n + 127 + shift,
   an exponent field, where 127 + shift is added to it first. Exact for |n + 127 + shift| < 2^22. */
constexpr float ROUND = 0x1.8p23f;

/* q with 2^f = 1 + f q, to within 0.6 ULP of 2^f
 *   valid      |f| <= 1/2 and a little more
 *   NaN        passes
 *   source     interpolation in Chebyshev nodes, Horner's rule; fit_coefficients.py */
template <class V>
inline V exp2_tail(V f) {
    V q = fmadd(V(splat(EXP2_Q[5])), f, V(splat(EXP2_Q[4])));
    q = fmadd(q, f, V(splat(EXP2_Q[3])));
    q = fmadd(q, f, V(splat(EXP2_Q[2])));
    q = fmadd(q, f, V(splat(EXP2_Q[1])));
    return fmadd(q, f, V(splat(EXP2_Q[0])));
}

/* 2^f, to within 1 ULP. */
template <class V>
inline V exp2_fraction(V f) {
    return fmadd(exp2_tail(f), f, V(splat(1.0f)));
}

/* 2^n from a float to which ROUND + 127 was added; -127 < n < 128. */
template <class V>
inline V exp2_whole(V rounded) {
    return shift_left_23(rounded);
}
