// Softmax. Over portable/softmax.cpp this adds the vector exponential, and never forms x - max: the
// exponent of the row's largest element is taken off as a power of two instead, which is exact.
//
// Three passes: least and largest element; exponentials and their sum; division. Tried for rows that no cache holds,
// and no faster up to 20 million elements: two passes that read x twice and write out once, past the
// caches (sums block by block with a running maximum, then the exponentials again).
#include "exp.h"
#include "kernels.h"
#include "map.h"
#include "sum.h"

namespace {

constexpr size_t QUAD = 4 * LANES;

/* The least and the largest element. NaN may be lost here: it returns in the sum. */
struct Range {
    float least = __builtin_inff(), largest = -__builtin_inff();

    void include(Range other) {
        least = other.least < least ? other.least : least;
        largest = other.largest > largest ? other.largest : largest;
    }
};

/* Of one row. Along the boundaries of x, as map_f32. */
Range range_of(const float *x, size_t n) {
    F32 low = splat(__builtin_inff()), high = splat(-__builtin_inff());
    if (n < LANES) {
        const F32 v = load_partial(x, n);
        low = select_first(n, v, low), high = select_first(n, v, high);
    } else {
        const F32 first = load(x), last = load(x + n - LANES);
        Quad lows(min(first, last)), highs(max(first, last));
        size_t i = to_boundary(x);
        for (; i + QUAD <= n; i += QUAD) {
            const Quad v = load_group<Quad>(x + i);
            lows = min(lows, v), highs = max(highs, v);
        }
        low = min(min(lows.a.a, lows.a.b), min(lows.b.a, lows.b.b));
        high = max(max(highs.a.a, highs.a.b), max(highs.b.a, highs.b.b));
        for (; i + LANES < n; i += LANES)
            low = min(low, load(x + i)), high = max(high, load(x + i));
    }
    return {min_of_lanes(low), max_of_lanes(high)};
}

/* How to make exponentials fit: unit_exp(x) = e^(x - offset) 2^(64 - shift), at most 2^65. Below `floor`, which is
   2^-125, it is cut off: divided by the sum that is 0. */
struct Scale {
    float offset, shift, floor;
    bool near;  // nothing to take off and nothing to cut off
};

/* Below 512 no offset is needed. From there on x - max is exact where it matters: elements within a
   factor of two of max by Sterbenz' lemma, all others are at least 256 away and give 0. (Any bound
   from 210, twice the range of float32 exponentials, to 580, where the constants of unit_exp are still
   exact, would do.) */
Scale scale_for(Range range) {
    const float largest = range.largest;
    const bool far = !(largest > -512.0f && largest < 512.0f);
    const float shift = far ? 0.0f : __builtin_rintf(largest * LOG2E_HI);
    const float floor = (shift - 189.0f) * LN2;
    return {far ? largest : 0.0f, shift, floor, !far && range.least > floor};
}

/* The constants of unit_exp, spread over registers once for each row. */
template <class V, bool NEAR>
struct UnitExp {
    V floor, offset, rounding;

    explicit UnitExp(Scale s)
        : floor(splat(s.floor)),
          offset(splat(s.offset)),
          rounding(splat(ROUND + 127 + 64 - s.shift)) {}

    /* The result is 2^64 times too large, so that it is no subnormal where the quotient by the sum may
       be one. NaN passes. */
    V operator()(V x) const {
        // max returns its second operand when either is NaN.
        const V y = NEAR ? x : max(floor, sub(x, offset));
        const V rounded = fmadd(y, V(splat(LOG2E_HI)), rounding);
        const V n = sub(rounded, rounding);
        const V f = fmadd(y, V(splat(LOG2E_LO)), fmsub(y, V(splat(LOG2E_HI)), n));
        return mul(exp2_fraction(f), exp2_whole(rounded));
    }
};

/* out = unit_exp(x); returns its sum. Eight registers are added up as they are (three roundings), then
   compensated, so the sum stays within 2 ULP of float32 however long the row is. */
template <bool NEAR>
double exp_and_sum(const float *x, float *out, size_t n, Scale scale) {
    const UnitExp<Quad, NEAR> exp_of_quad(scale);
    const UnitExp<F32, NEAR> exp_of_one(scale);
    CompensatedSum sum;
    size_t i = 0;
    for (; i + 2 * QUAD <= n; i += 2 * QUAD) {
        const Quad e0 = exp_of_quad(load_group<Quad>(x + i));
        store_group(out + i, e0);
        const Quad e1 = exp_of_quad(load_group<Quad>(x + i + QUAD));
        store_group(out + i + QUAD, e1);
        const Quad e = add(e0, e1);
        sum.include(add(add(e.a.a, e.a.b), add(e.b.a, e.b.b)));
    }
    for (; i + LANES <= n; i += LANES) {
        const F32 e = exp_of_one(load(x + i));
        store(out + i, e);
        sum.include(e);
    }
    if (i < n) {
        const F32 e = exp_of_one(load_partial(x + i, n - i));
        store_partial(out + i, n - i, e);
        sum.include(select_first(n - i, e, zero()));
    }
    return sum.of_lanes();
}

double exp_and_sum(const float *x, float *out, size_t n, Scale scale) {
    return scale.near ? exp_and_sum<true>(x, out, n, scale) : exp_and_sum<false>(x, out, n, scale);
}

/* By the inverse in two floats: a single one would bring its own rounding error, up to an ULP of the result, and
   two exponentials' are in there already. */
void divide(float *out, size_t n, double sum) {
    const double inverse = 1.0 / sum;
    const float high = static_cast<float>(inverse),
                low = static_cast<float>(inverse - double{high});
    map_f32<false>(out, out, n, [=](auto v) {
        using V = decltype(v);
        return fmadd(v, V(splat(high)), mul(v, V(splat(low))));
    });
}

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
