// Softmax. Over portable/softmax.cpp this adds the vector exponential, and never forms x - max: the
// exponent of the row's largest element is taken off as a power of two instead, which is exact.
//
// Three passes: least and largest element; exponentials and their sum; division. Tried for rows that no cache holds,
// and no faster up to 20 million elements: two passes that read x twice and write out once, past the
// caches (sums block by block with a running maximum, then the exponentials again).
#include "softmax.h"
#include "kernels.h"

namespace {

using namespace softmax;

/* Elements from which a second thread pays: 4 us of work for whole rows, more for a shared one, at which
   the threads meet three times. */
constexpr size_t ALONE = 16384, ALONE_IN_ROW = 65536 * (LANES / 8);

/* A long row is cut into parts that do not depend on the number of threads, and their sums are added in
   order: the same bits whoever ran what. body(part, first, count). */
constexpr size_t PARTS = 64;

template <class Body>
void each_part(size_t n, int threads, const Body &body) {
    const size_t parts = n / 8192 < PARTS ? n / 8192 : PARTS;  // smaller ones cost more to hand out
    const size_t part = (n / parts + 63) / 64 * 64;
    const auto begin = [=](size_t p) { return p == parts || p * part > n ? n : p * part; };
    parallel_for(parts, threads, [&](size_t p) { body(p, begin(p), begin(p + 1) - begin(p)); });
}

void softmax_long_row(const float *x, float *out, size_t n, int threads) {
    Range ranges[PARTS], range;
    double sums[PARTS] = {};
    each_part(n, threads, [&](size_t p, size_t first, size_t count) {
        ranges[p] = range_of(x + first, count);
    });
    for (const Range r : ranges) range.include(r);
    const Scale scale = scale_for(range);
    each_part(n, threads, [&](size_t p, size_t first, size_t count) {
        sums[p] = exp_and_sum(x + first, out + first, count, scale);
    });
    double sum = 0.0;
    for (const double s : sums) sum += s;
    each_part(n, threads,
              [&](size_t, size_t first, size_t count) { divide(out + first, count, sum); });
}

void softmax_row(const float *x, float *out, size_t n) {
    if (n >= ALONE_IN_ROW) return softmax_long_row(x, out, n, 1);
    divide(out, n, exp_and_sum(x, out, n, scale_for(range_of(x, n))));
}

}  // namespace

/* softmax_f32
 *   formula    out[r, c] = exp(x[r, c]) / sum over c of exp(x[r, c])
 *   shapes     x, out: [rows, cols]
 *   max error  3 ULP of the true value
 *   NaN, inf   a row that holds NaN or +inf, or only -inf, becomes NaN; a single -inf gives 0
 */
void softmax_f32(const float *x, float *out, size_t rows, size_t cols) {
    if (cols == 0) return;  // rows may then be any number
    const int threads = threads_for(rows * cols / ALONE);
    if (rows < static_cast<size_t>(threads) && cols >= ALONE_IN_ROW) {
        for (size_t r = 0; r < rows; ++r)
            softmax_long_row(x + r * cols, out + r * cols, cols, threads);
        return;
    }
    const size_t most = 8 * static_cast<size_t>(threads), groups = rows < most ? rows : most;
    parallel_for(groups, threads, [=](size_t group) {
        for (size_t r = rows * group / groups; r < rows * (group + 1) / groups; ++r)
            softmax_row(x + r * cols, out + r * cols, cols);
    });
}
