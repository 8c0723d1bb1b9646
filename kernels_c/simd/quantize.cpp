// Float to int8 and back, symmetric (no zero point), four registers at a time.
#include "kernels.h"
#include "map.h"

namespace {

/* A register of products, clipped before converting (int32 would overflow first). NaN passes, the second
   operand of min and max, and becomes the smallest integer. */
inline I32 quantized(F32 x, F32 scale) {
    return to_i32(max(splat(-127.0f), min(splat(127.0f), mul(x, scale))));
}

void quantize_range(const float *x, int8_t *out, size_t n, F32 scale) {
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        store_as_i8(out + i, quantized(load(x + i), scale), quantized(load(x + i + LANES), scale),
                    quantized(load(x + i + 2 * LANES), scale),
                    quantized(load(x + i + 3 * LANES), scale));
    for (; i < n; i += LANES) {
        const size_t count = n - i < LANES ? n - i : LANES;
        const F32 v = count < LANES ? load_partial(x + i, count) : load(x + i);
        alignas(64) int32_t lanes[LANES];
        store(lanes, quantized(v, scale));
        for (size_t j = 0; j < count; ++j)
            out[i + j] = lanes[j] == INT32_MIN ? int8_t{0} : static_cast<int8_t>(lanes[j]);
    }
}

void dequantize_range(const int32_t *x, float *out, size_t n, F32 scale) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) store(out + i, mul(to_f32(load(x + i)), scale));
    if (i < n) store_partial(out + i, n - i, mul(to_f32(load_partial(x + i, n - i)), scale));
}

/* Elements from which a second thread pays: some 3 us of work in the second-level cache. */
constexpr size_t ALONE = 65536;

}  // namespace

/* quantize_f32_i8
 *   formula    out[i] = clip(round_half_even(x[i] * scale), -127, 127), the product in float32
 *   max error  0 steps
 *   NaN, inf   a product that is NaN gives 0, +-inf gives +-127
 */
void quantize_f32_i8(const float *x, int8_t *out, size_t n, float scale) {
    parallel_ranges(n, ALONE, [=](size_t begin, size_t end) {
        quantize_range(x + begin, out + begin, end - begin, splat(scale));
    });
}

/* dequantize_i32_f32
 *   formula    out[i] = float(x[i]) * scale
 *   max error  2 ULP (one rounding to float, one of the product)
 */
void dequantize_i32_f32(const int32_t *x, float *out, size_t n, float scale) {
    parallel_ranges(n, ALONE, [=](size_t begin, size_t end) {
        dequantize_range(x + begin, out + begin, end - begin, splat(scale));
    });
}
