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
    constexpr size_t WIDTH = 4 * LANES;
    const auto quantize_at = [=](size_t i) {
        store_as_i8(out + i, quantized(load(x + i), scale), quantized(load(x + i + LANES), scale),
                    quantized(load(x + i + 2 * LANES), scale),
                    quantized(load(x + i + 3 * LANES), scale));
    };
    if (n >= WIDTH) {
        // As map_f32, but along the boundaries of x, which is four times as long as out.
        size_t i = to_boundary(x);
        if (i > 0) quantize_at(0);
        for (; i + WIDTH <= n; i += WIDTH) quantize_at(i);
        if (i < n) quantize_at(n - WIDTH);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t count = n - i < LANES ? n - i : LANES;
        const F32 v = count < LANES ? load_partial(x + i, count) : load(x + i);
        alignas(64) int32_t lanes[LANES];
        store(lanes, quantized(v, scale));
        for (size_t j = 0; j < count; ++j)
            out[i + j] = lanes[j] == INT32_MIN ? int8_t{0} : static_cast<int8_t>(lanes[j]);
    }
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
        // Loaded as floats, whose bits are the integers.
        map_f32<false>(reinterpret_cast<const float *>(x) + begin, out + begin, end - begin,
                       [=](auto v) { return mul(from_i32_bits(v), decltype(v)(splat(scale))); });
    });
}
