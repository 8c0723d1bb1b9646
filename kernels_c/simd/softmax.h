// The passes of softmax over a row: what softmax.cpp and attention.cpp share.
#pragma once

#include "exp.h"
#include "map.h"

namespace softmax {

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
inline Range range_of(const float *x, size_t n) {
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
inline Scale scale_for(Range range) {
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

/* A sum in each lane whose rounding errors are kept and added in the end (Kahan, Further Remarks on Reducing
   Truncation Errors, CACM 8(1), 1965). For terms that are not negative. */
struct CompensatedSum {
    F32 sum = zero(), lost = zero();

    void include(F32 v) {
        const F32 next = add(sum, v);
        lost = add(lost, sub(v, sub(next, sum)));
        sum = next;
    }
    double of_lanes() const { return double_sum_of_lanes(sum) + double_sum_of_lanes(lost); }
};

/* out = unit_exp(x); returns its sum. Eight registers are added up as they are (three roundings), then
   compensated, so the sum stays within 2 ULP of float32 however long the row is. */
template <bool NEAR>
inline double exp_and_sum(const float *x, float *out, size_t n, Scale scale) {
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

inline double exp_and_sum(const float *x, float *out, size_t n, Scale scale) {
    return scale.near ? exp_and_sum<true>(x, out, n, scale) : exp_and_sum<false>(x, out, n, scale);
}

/* By the inverse in two floats: a single one would bring its own rounding error, up to an ULP of the result, and
   two exponentials' are in there already. */
inline void divide(float *out, size_t n, double sum) {
    const double inverse = 1.0 / sum;
    const float high = static_cast<float>(inverse),
                low = static_cast<float>(inverse - double{high});
    map_f32<false>(out, out, n, [=](auto v) {
        using V = decltype(v);
        return fmadd(v, V(splat(high)), mul(v, V(splat(low))));
    });
}

}  // namespace softmax
