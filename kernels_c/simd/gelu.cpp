// GELU, both forms, rewritten so that nothing cancels: relative accuracy also where the result is
// tiny. Over portable/gelu.cpp this adds vector exponentials in place of libm's tanh and erf.
#include "gelu.h"
#include "kernels.h"
#include "map.h"

namespace {

/* max(x, 0) - |x| Q(|x|), Q(t) = erfc(t / sqrt 2) / 2 = e^(-t^2/2) R(t), and
   t R(t) = s p(w) with s = t / (t + A), w = s - S0 and p from coefficients.h.
   For x < 0 this is one product, for x > 0 the product is the smaller term: nothing cancels. */
template <class V>
inline V gelu_erf(V x) {
    const V t = min(V(splat(14.5f)), abs(x));  // NaN passes as the second operand
    const V t2 = mul(t, t), t2_lo = fmsub(t, t, t2);
    // s e^(-t^2/2) 2^64: no factor of the result becomes subnormal on the way; p is kept times 2^-64.
    const V offset = V(splat(ROUND + 127 + 64));
    const V c = V(splat(-LOG2E_HI / 2));  // what it lacks of log2 e / 2 is in p
    const V rounded = fmadd(c, t2, offset);
    const V n = sub(rounded, offset);
    const V f = fmadd(c, t2_lo, fmsub(c, t2, n));
    const V s = div(t, add(t, V(splat(ERFC_A))));
    // s (1 + f q) rounds once less than s times the sum would.
    const V e = mul(fmadd(mul(s, f), exp2_tail(f), s), exp2_whole(rounded));
    const V w = sub(s, V(splat(ERFC_S0)));
    V p = V(splat(ERFC_P[9]));
#pragma GCC unroll 9
    for (int i = 8; i >= 0; --i) p = fmadd(p, w, V(splat(ERFC_P[i])));
    return fnmadd(e, p, max(V(zero()), x));
}

/* Elements from which a second thread pays: about 4 us of work. */
constexpr size_t ALONE = 8192;

}  // namespace

/* gelu_tanh_f32
 *   formula    out[i] = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *   max error  4 ULP of the true value
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_tanh_f32(const float *x, float *out, size_t n) {
    parallel_map_f32(x, out, n, ALONE, [](auto v) { return gelu_tanh(v); });
}

/* gelu_erf_f32
 *   formula    out[i] = x/2 * (1 + erf(x / sqrt(2)))
 *   max error  4 ULP of the true value
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_erf_f32(const float *x, float *out, size_t n) {
    parallel_map_f32(x, out, n, ALONE, [](auto v) { return gelu_erf(v); });
}
