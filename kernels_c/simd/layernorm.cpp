// Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) in two passes: the mean, then the squares of
// what differs from it.
#include "kernels.h"
#include "map.h"
#include "parallel.h"
#include "sum.h"

namespace {

/* The sum of f(x[i]) for i in [0, n): registers four at a time, compensated. f(0) is not added. */
template <class F>
double sum_of(const float *x, size_t n, F f) {
    CompensatedSum sum;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const Quad v = f(load_group<Quad>(x + i));
        sum.include(add(add(v.a.a, v.a.b), add(v.b.a, v.b.b)));
    }
    for (; i + LANES <= n; i += LANES) sum.include(f(load(x + i)));
    if (i < n) sum.include(select_first(n - i, f(load_partial(x + i, n - i)), zero()));
    return sum.of_lanes();
}

void layernorm_row(const float *x, const float *gain, const float *bias, float *out, size_t n,
                   float epsilon) {
    const auto count = static_cast<double>(n);
    const auto mean = static_cast<float>(sum_of(x, n, [](auto v) { return v; }) / count);
    const double squares = sum_of(x, n, [=](auto v) {
        const auto off = sub(v, decltype(v)(splat(mean)));
        return mul(off, off);
    });
    const auto factor = static_cast<float>(1.0 / __builtin_sqrt(squares / count + epsilon));
    const F32 mean_v = splat(mean), factor_v = splat(factor);
    const auto normal = [=](F32 v, F32 g, F32 b) {
        return fmadd(mul(sub(v, mean_v), factor_v), g, b);
    };
    size_t i = 0;
#pragma GCC unroll 4
    for (; i + LANES <= n; i += LANES)
        store(out + i, normal(load(x + i), load(gain + i), load(bias + i)));
    if (i < n) {
        const size_t rest = n - i;
        store_partial(out + i, rest,
                      normal(load_partial(x + i, rest), load_partial(gain + i, rest),
                             load_partial(bias + i, rest)));
    }
}

/* `count` columns, at most a register: their sums in double, as there may be many rows. */
void layernorm_some_columns(const float *x, const float *gain, const float *bias, float *out,
                            size_t rows, size_t cols, size_t count, float epsilon) {
    const auto at = [=](size_t r) {
        return count == LANES ? load(x + r * cols) : load_partial(x + r * cols, count);
    };
    CompensatedSum sum, squares;
    for (size_t r = 0; r < rows; ++r) sum.include(at(r));
    const F32 inverse = splat(1.0f / static_cast<float>(rows));
    const F32 mean = mul(add(sum.sum, sum.lost), inverse);
    for (size_t r = 0; r < rows; ++r) {
        const F32 off = sub(at(r), mean);
        squares.include(mul(off, off));
    }
    const F32 variance = mul(add(squares.sum, squares.lost), inverse);
    const F32 factor = div(splat(1.0f), square_root(add(variance, splat(epsilon))));
    for (size_t r = 0; r < rows; ++r) {
        const F32 v = fmadd(mul(sub(at(r), mean), factor), splat(gain[r]), splat(bias[r]));
        count == LANES ? store(out + r * cols, v) : store_partial(out + r * cols, count, v);
    }
}

/* Elements from which a second thread pays: about 4 us of work. */
constexpr size_t ALONE = 16384;

}  // namespace

/* layernorm_f32
 *   formula    out[r, c] = (x[r, c] - mean_r) / sqrt(variance_r + epsilon) * gain[c] + bias[c]
 *   shapes     x, out: [rows, cols]; gain, bias: [cols]; out may be x
 *   max error  4 ULP of the terms
 *   NaN, inf   a row that holds one becomes NaN
 */
void layernorm_f32(const float *x, const float *gain, const float *bias, float *out, size_t rows,
                   size_t cols, float epsilon) {
    if (cols == 0) return;  // rows may then be any number
    const int threads = threads_for(rows * cols / ALONE);
    const size_t most = 8 * static_cast<size_t>(threads), groups = rows < most ? rows : most;
    parallel_for(groups, threads, [=](size_t group) {
        for (size_t r = rows * group / groups; r < rows * (group + 1) / groups; ++r)
            layernorm_row(x + r * cols, gain, bias, out + r * cols, cols, epsilon);
    });
}

/* layernorm_columns_f32
 *   formula    out[r, c] = (x[r, c] - mean_c) / sqrt(variance_c + epsilon) * gain[r] + bias[r]
 *   shapes     x, out: [rows, cols]; gain, bias: [rows]; out may be x
 *   max error  4 ULP of the terms
 *   NaN, inf   a column that holds one becomes NaN
 */
void layernorm_columns_f32(const float *x, const float *gain, const float *bias, float *out,
                           size_t rows, size_t cols, float epsilon) {
    if (rows == 0) return;
    parallel_for(
        (cols + LANES - 1) / LANES, threads_for(rows * cols / ALONE), [=](size_t register_of) {
            const size_t c = register_of * LANES, count = cols - c < LANES ? cols - c : LANES;
            layernorm_some_columns(x + c, gain, bias, out + c, rows, cols, count, epsilon);
        });
}
