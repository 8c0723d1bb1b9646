// The exponential that softmax and both GELUs share.
#pragma once

#include "coefficients.h"
#include "vec.h"

/* e^(y + y_lo) 2^-shift
 *   valid      y <= 89 + shift * ln2, any y below (the result underflows to 0 through the
 *              subnormals), |y| < 700, |y_lo| <= 2^-12, shift a whole number
 *   max error  2 ULP
 *   NaN        passes
 *   source     Cody and Waite's two-constant reduction (Software Manual for the Elementary
 *              Functions, 1980, ch. 6): e^y = 2^n e^r, n = round(y / ln2), |r| <= ln2/2. Scaling by
 *              2^(n - shift) instead of subtracting the shift from y keeps y exact.
 */
inline __m256 exp_scaled(__m256 y, __m256 y_lo, __m256 shift) {
    // 1.5 * 2^23: adding it leaves a whole number, rounded to nearest, in the low bits.
    const __m256 to_int = splat(0x1.8p23f);
    // Far enough down for the product with 2^(n - shift) to be 0. max_ps returns its second operand
    // when either is NaN.
    const __m256 floor = _mm256_mul_ps(_mm256_sub_ps(shift, splat(160.0f)), splat(0.6931472f));
    y = _mm256_max_ps(floor, y);

    const __m256 n = _mm256_sub_ps(_mm256_fmadd_ps(y, splat(LOG2E), to_int), to_int);
    __m256 r = _mm256_fnmadd_ps(n, splat(LN2_HI), y);  // exact: LN2_HI has 15 bits
    r = _mm256_add_ps(_mm256_fnmadd_ps(n, splat(LN2_LO), r), y_lo);

    __m256 q = splat(EXP_Q[4]);
    q = _mm256_fmadd_ps(q, r, splat(EXP_Q[3]));
    q = _mm256_fmadd_ps(q, r, splat(EXP_Q[2]));
    q = _mm256_fmadd_ps(q, r, splat(EXP_Q[1]));
    q = _mm256_fmadd_ps(q, r, splat(EXP_Q[0]));
    const __m256 tail = _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r);
    const __m256 e_r = _mm256_add_ps(splat(1.0f), tail);

    // 2^(n - shift) in two factors: one alone could not reach the subnormals.
    const __m256i power = _mm256_cvtps_epi32(_mm256_sub_ps(n, shift));
    const __m256i half = _mm256_srai_epi32(power, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    const auto power_of_two = [bias](__m256i e) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, bias), 23));
    };
    return _mm256_mul_ps(_mm256_mul_ps(e_r, power_of_two(half)),
                         power_of_two(_mm256_sub_epi32(power, half)));
}
