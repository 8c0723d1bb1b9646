// GELU in the tanh form, on registers: what gelu.cpp maps over a vector, and a linear layer's epilogue.
#pragma once

#include "exp.h"

/* x / (1 + E), E = e^(-2u) = 2^(x (C0 + C1 x^2)): the same function as x/2 (1 + tanh u) without its
   cancellation. An error of the exponent (up to 155) is a relative error of the result, so it is
   carried in two floats, each rounding error recovered by an fma. */
template <class V>
inline V gelu_tanh(V x) {
    // Below -10.8 the result is 0; above 6, 1 + E is 1. min and max pass NaN, their second operand.
    const V v = min(V(splat(6.0f)), max(V(splat(-10.8f)), x));
    const V v2 = mul(v, v), v2_lo = fmsub(v, v, v2);
    const V c0 = V(splat(GELU_C0_HI)), c1 = V(splat(GELU_C1_HI));
    const V h = fmadd(c1, v2, c0);
    V h_lo = fmadd(c1, v2, sub(c0, h));  // the difference is exact
    h_lo = add(h_lo, fmadd(V(splat(GELU_C1_LO)), v2, V(splat(GELU_C0_LO))));
    h_lo = fmadd(c1, v2_lo, h_lo);

    // E 2^-30, so that neither a large E overflows nor the quotient is subnormal before the end.
    constexpr float SCALE = 0x1p-30f;
    const V offset = V(splat(ROUND + 127 - 30));
    const V rounded = fmadd(v, h, offset);
    const V n = sub(rounded, offset);
    const V f = fmadd(v, h_lo, fmsub(v, h, n));
    const V e = mul(exp2_fraction(f), exp2_whole(rounded));
    const V quotient = div(v, add(V(splat(SCALE)), e));
    return select_greater(x, V(splat(6.0f)), x, mul(quotient, V(splat(SCALE))));
}

/* The same to within 3 ULP of x, not of the result: where the result is tiny beside x the exponent's rounding
   errors are relative errors of it, and stay. A layer's sum is not known any better. */
template <class V>
inline V gelu_tanh_of_sum(V x) {
    // Beyond +-9.5, where e^(-2u) is 2^+-110, it is the same as there. min and max pass NaN, their second operand.
    const V low = max(V(splat(-9.5f)), x), v = min(V(splat(9.5f)), low);
    const V exponent = mul(v, fmadd(V(splat(GELU_C1_HI)), mul(v, v), V(splat(GELU_C0_HI))));
    const V offset = V(splat(ROUND + 127));
    const V rounded = add(exponent, offset);
    const V f = sub(exponent, sub(rounded, offset));
    return div(low, fmadd(exp2_fraction(f), exp2_whole(rounded), V(splat(1.0f))));
}
