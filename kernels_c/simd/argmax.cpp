// The largest element: which token is the likeliest, and the strongest activation of a feature.
#include "gelu.h"
#include "kernels.h"
#include "parallel.h"

/* argmax_f32
 *   formula    the index of the largest element, the first of equals; 0 where n is 0
 *   max error  0 steps
 *   NaN, inf   the first NaN counts as the largest
 */
size_t argmax_f32(const float *x, size_t n) {
    F32 high = splat(-__builtin_inff()), seen = zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const F32 v = load(x + i);
        high = max(v, high), seen = or_if_nan(seen, v);
    }
    float largest = max_of_lanes(high);
    bool has_nan = is_any_nan(seen);
    for (; i < n; ++i) {
        has_nan |= x[i] != x[i];
        largest = x[i] > largest ? x[i] : largest;
    }
    for (i = 0; i < n; ++i)
        if (has_nan ? x[i] != x[i] : x[i] == largest) return i;
    return 0;
}

namespace {

/* `count` columns, at most V's. GELU falls, then rises, so its largest value is that of the largest or of the
   least element: two of it a column instead of one a row. */
template <class V>
void gelu_max_columns(const float *x, float *out, size_t rows, size_t cols) {
    V low = load_group<V>(x), high = low, seen = V(zero());
    for (size_t r = 0; r < rows; ++r, x += cols) {
        const V v = load_group<V>(x);
        low = min(v, low), high = max(v, high), seen = or_if_nan(seen, v);
    }
    store_group(out, or_if_nan(max(gelu_tanh(low), gelu_tanh(high)), seen));
}

constexpr size_t ALONE = 65536;  // elements from which a second thread pays: about 4 us of work

}  // namespace

/* gelu_max_f32
 *   formula    out[c] = max over r of GELU(x[r, c]), the tanh form
 *   shapes     x: [rows, cols]; out: [cols]; rows > 0
 *   max error  4 ULP of the true value
 *   NaN, inf   a column that holds NaN becomes NaN
 */
void gelu_max_f32(const float *x, float *out, size_t rows, size_t cols) {
    constexpr size_t QUAD = 4 * LANES;
    const auto part = [=](size_t begin, size_t end) {
        size_t c = begin;
        for (; c + QUAD <= end; c += QUAD) gelu_max_columns<Quad>(x + c, out + c, rows, cols);
        for (; c + LANES <= end; c += LANES) gelu_max_columns<F32>(x + c, out + c, rows, cols);
        for (; c < end; ++c) {
            alignas(64) float same[LANES];
            F32 low = splat(x[c]), high = low, seen = zero();
            for (size_t r = 0; r < rows; ++r) {
                const F32 v = splat(x[r * cols + c]);
                low = min(v, low), high = max(v, high), seen = or_if_nan(seen, v);
            }
            store(same, or_if_nan(max(gelu_tanh(low), gelu_tanh(high)), seen));
            out[c] = same[0];
        }
    };
    if (rows == 0) return;
    parallel_ranges(cols, ALONE / rows + 1, part);
}
