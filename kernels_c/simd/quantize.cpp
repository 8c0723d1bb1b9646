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

/* The largest magnitude of a row, NaN where an element is NaN or infinite. */
float largest_magnitude(const float *x, size_t n) {
    Quad high = zero(), poison = zero();
    const auto include = [&](auto v, auto &to, auto &bad) {
        to = max(abs(v), to), bad = add(bad, sub(v, v));
    };
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) include(load_group<Quad>(x + i), high, poison);
    for (; i + LANES <= n; i += LANES) include(load(x + i), high.a.a, poison.a.a);
    if (i < n) include(load_partial(x + i, n - i), high.a.b, poison.a.b);
    const F32 all = max(max(high.a.a, high.a.b), max(high.b.a, high.b.b));
    const F32 bad = add(add(poison.a.a, poison.a.b), add(poison.b.a, poison.b.b));
    return max_of_lanes(all) + sum_of_lanes(bad);
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

/* quantize_rows_f32_i8
 *   formula    scales[r] = max |x[r, c]| / 127, out[r, c] = round_half_even(x[r, c] * (127 / max |x[r, c]|))
 *   shapes     x, out: [rows, cols]; scales: [rows]
 *   max error  0 steps
 *   NaN, inf   a row that holds one has the scale NaN and zeros; a row of zeros has the scale 0
 */
void quantize_rows_f32_i8(const float *x, int8_t *out, float *scales, size_t rows, size_t cols) {
    const int threads = threads_for(rows * cols / ALONE);
    const size_t most = 8 * static_cast<size_t>(threads), groups = rows < most ? rows : most;
    parallel_for(groups, threads, [=](size_t group) {
        for (size_t r = rows * group / groups; r < rows * (group + 1) / groups; ++r) {
            const float largest = largest_magnitude(x + r * cols, cols);
            scales[r] = largest / 127.0f;
            if (largest > 0.0f)
                // Of subnormals the factor would be infinite.
                quantize_range(x + r * cols, out + r * cols, cols,
                               min(splat(127.0f / largest), splat(3.4028235e38f)));
            else if (cols > 0)
                memset(out + r * cols, 0, cols);
        }
    });
}
