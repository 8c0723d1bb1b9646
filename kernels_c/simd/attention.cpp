// Causal attention with a cache (Vaswani and others, arXiv:1706.03762). Keys and values lie one position after the
// other, as they come. A block of queries is turned, so that their scores of one position are the lanes of a
// register: softmax then goes down the columns and never across lanes.

#include "blocking.h"
#include "exp.h"
#include "float_lane.h"
#include "kernels.h"
#include "parallel.h"

namespace {

using gemm::Float32Lane, gemm::next_rows, gemm::run, gemm::smaller, gemm::Strip;

constexpr size_t QUERIES = ATTENTION_ROWS, VECS = QUERIES / LANES;  // of a block

/* e^y, y <= 0, at least e^-87: what is less adds nothing to a sum that holds e^0. NaN passes. */
template <class V>
inline V power(V y) {
    y = max(V(splat(-87.0f)), y);
    const V rounding = V(splat(ROUND + 127));
    const V rounded = fmadd(y, V(splat(LOG2E_HI)), rounding);
    const V n = sub(rounded, rounding);
    const V f = fmadd(y, V(splat(LOG2E_LO)), fmsub(y, V(splat(LOG2E_HI)), n));
    return mul(exp2_fraction(f), exp2_whole(rounded));
}

/* v, but `other` in the first `count` lanes; all of them where count is larger. */
inline F32 behind(size_t count, F32 other, F32 v) {
    return count >= LANES ? other : select_first(count, other, v);
}

/* One head: what it reads and writes. */
struct Head {
    const float *qkv;  // [count, 3 width], from this head's first query on
    float *keys, *values, *scores, *out;
    size_t count, start, width, d;

    const float *query(size_t i) const { return qkv + i * 3 * width; }
    float scale() const { return 1.0f / __builtin_sqrtf(static_cast<float>(d)); }

    void remember() const {
        for (size_t i = 0; i < count; ++i) {
            const float *const key = query(i) + width, *const value = key + width;
            float *const to = keys + (start + i) * d, *const value_to = values + (start + i) * d;
            for (size_t c = 0; c < d; ++c) to[c] = key[c], value_to[c] = value[c];
        }
    }

    /* Queries [first, first + rows), at most QUERIES, d a multiple of LANES. `turned`: [d, QUERIES]. */
    void attend_block(size_t first, size_t rows, float *turned) const {
        const float factor = scale();
        for (size_t i = 0; i < QUERIES; ++i) {
            const float *const from = query(first + (i < rows ? i : 0));
            for (size_t c = 0; c < d; ++c) turned[c * QUERIES + i] = factor * from[c];
        }
        const size_t length =
            start + first + rows;  // of the longest; query i has start + first + i + 1
        for (size_t j = 0, some; j < length; j += some) {
            some = next_rows(length - j);
            run<Float32Lane, VECS>(some, {d, keys + j * d, d, 1, turned, QUERIES, 0,
                                          scores + j * QUERIES, QUERIES, 1, false, nullptr});
        }
        alignas(64) float inverse[QUERIES];
        powers(start + first, length, inverse);
        for (size_t i = 0, some; i < rows; i += some) {
            some = next_rows(rows - i);
            float *const to = out + (first + i) * width;
            Strip<Float32Lane> s{start + first + i + some,
                                 scores + i,
                                 1,
                                 QUERIES,
                                 values,
                                 d,
                                 gemm::NR,
                                 to,
                                 width,
                                 d / gemm::NR,
                                 false,
                                 nullptr};
            run<Float32Lane, 2>(some, s);
            s.b += s.tiles * gemm::NR, s.out += s.tiles * gemm::NR, s.tiles = 1;
            if (d % gemm::NR != 0) run<Float32Lane, 1>(some, s);
        }
        for (size_t i = 0; i < rows; ++i)
            for (size_t c = 0; c < d; ++c) out[(first + i) * width + c] *= inverse[i];
    }

    /* The scores of a block as powers e^(x - max), zeros where a query sees no such position: query 0 sees those
       up to `seen`, the others each one more. inverse: 1 over the sum, for each query. */
    void powers(size_t seen, size_t length, float *inverse) const {
        const F32 lowest = splat(-__builtin_inff());
        F32 high[VECS], sum[VECS];
        for (size_t v = 0; v < VECS; ++v) high[v] = lowest, sum[v] = zero();
        each_score(seen, length, lowest, [&](float *, size_t v, auto masked, F32 x) {
            high[v] = max(masked(x), high[v]);
        });
        each_score(seen, length, zero(), [&](float *at, size_t v, auto masked, F32 x) {
            const F32 e = masked(power(sub(x, high[v])));
            store(at, e);
            sum[v] = add(sum[v], e);
        });
        for (size_t v = 0; v < VECS; ++v) store(inverse + v * LANES, div(splat(1.0f), sum[v]));
    }

    /* body(at, v, masked, score) for register v of every position: masked(x) is x, but `other` in lanes of queries
       that do not see the position. */
    template <class Body>
    void each_score(size_t seen, size_t length, F32 other, const Body &body) const {
        size_t j = 0;
        for (float *at = scores; j <= seen; ++j)
#pragma GCC unroll 2
            for (size_t v = 0; v < VECS; ++v, at += LANES)
                body(at, v, [](F32 x) { return x; }, load(at));
        for (float *at = scores + j * QUERIES; j < length; ++j)
            for (size_t v = 0; v < VECS; ++v, at += LANES) {
                const size_t all = j - seen, hidden = all > v * LANES ? all - v * LANES : 0;
                body(at, v, [=](F32 x) { return behind(hidden, other, x); }, load(at));
            }
    }

    /* One query, d a multiple of LANES: scores of LANES positions at a time, each a sum over lanes. */
    void attend_alone(float *q) const {
        const float factor = scale();
        for (size_t c = 0; c < d; ++c) q[c] = factor * query(0)[c];
        const size_t length = start + 1;
        F32 high = splat(-__builtin_inff());
        for (size_t j = 0; j < length; j += LANES) {
            F32 sums[LANES];
#pragma GCC unroll 16
            for (size_t i = 0; i < LANES; ++i) {
                const float *const key = keys + smaller(j + i, start) * d;
                sums[i] = mul(load(q), load(key));
                for (size_t c = LANES; c < d; c += LANES)
                    sums[i] = fmadd(load(q + c), load(key + c), sums[i]);
            }
            const F32 v = sums_of_lanes(sums);
            store(scores + j, v);
            high = max(v, high);
        }
        const F32 largest = splat(max_of_lanes(high));
        F32 sum = zero();
        for (size_t j = 0; j < length; j += LANES) {
            F32 e = power(sub(load(scores + j), largest));
            if (length - j < LANES) e = select_first(length - j, e, zero());
            store(scores + j, e);
            sum = add(sum, e);
        }
        const F32 inverse = splat(1.0f / sum_of_lanes(sum));
        for (size_t c = 0; c < d; c += 4 * LANES) {
            const size_t registers = smaller(4, (d - c) / LANES);
            registers == 4 ? add_values<4, 2>(c, inverse) : add_values<1, 4>(c, inverse);
            for (size_t v = 1; registers < 4 && v < registers; ++v)
                add_values<1, 4>(c + v * LANES, inverse);
        }
    }

    /* REGS registers of out from column c on. Terms go to several sums, or each would wait for the one before. */
    template <size_t REGS, size_t SUMS>
    void add_values(size_t c, F32 inverse) const {
        F32 sum[SUMS][REGS] = {};
        const float *value = values + c;
        size_t j = 0;
        for (; j + SUMS <= start + 1; j += SUMS)
#pragma GCC unroll 4
            for (size_t s = 0; s < SUMS; ++s, value += d)
#pragma GCC unroll 4
                for (size_t v = 0; v < REGS; ++v)
                    sum[s][v] = fmadd(splat(scores[j + s]), load(value + v * LANES), sum[s][v]);
        for (; j <= start; ++j, value += d)
#pragma GCC unroll 4
            for (size_t v = 0; v < REGS; ++v)
                sum[0][v] = fmadd(splat(scores[j]), load(value + v * LANES), sum[0][v]);
        for (size_t v = 0; v < REGS; ++v) {
            for (size_t s = 1; s < SUMS; ++s) sum[0][v] = add(sum[0][v], sum[s][v]);
            store(out + c + v * LANES, mul(sum[0][v], inverse));
        }
    }

    /* Any d: query by query, as the portable loop. */
    void attend_plainly() const {
        for (size_t i = 0; i < count; ++i) {
            const size_t length = start + i + 1;
            for (size_t j = 0; j < length; ++j) {
                scores[j] = 0.0f;
                for (size_t c = 0; c < d; ++c) scores[j] += query(i)[c] * scale() * keys[j * d + c];
            }
            softmax_f32(scores, scores, 1, length);
            float *const row = out + i * width;
            for (size_t c = 0; c < d; ++c) row[c] = 0.0f;
            for (size_t j = 0; j < length; ++j)
                for (size_t c = 0; c < d; ++c) row[c] += scores[j] * values[j * d + c];
        }
    }

    void attend() const {
        constexpr size_t WIDEST = 256;
        alignas(64) float turned[WIDEST * QUERIES];
        if (d % LANES != 0 || d > WIDEST) return attend_plainly();
        if (count == 1) return attend_alone(turned);
        for (size_t i = 0; i < count; i += QUERIES)
            attend_block(i, smaller(QUERIES, count - i), turned);
    }
};

/* Multiply-adds from which a second thread pays: as gemm.h has it. */
constexpr size_t ALONE = size_t{52} * 52 * 52 * (LANES / 8);

}  // namespace

/* attention_f32
 *   formula    out[i] = sum over j <= start + i of softmax_j(q_i . k_j / sqrt(d)) v_j, d = width / heads
 *   shapes     qkv: [count, 3 width]; keys, values: [heads, context, d];
 *              scores: [heads, context, ATTENTION_ROWS]; out: [count, width]; start + count <= context
 *   max error  16 ULP of the terms, for |q|, |k| <= 1 and d <= 32
 *   NaN, inf   a query or key that holds NaN makes what attends to it NaN, an infinite one may; a value that holds one
 *              may make the queries before it in its block of 16 NaN, too
 */
void attention_f32(const float *qkv, float *keys, float *values, float *scores, float *out,
                   size_t count, size_t start, size_t context, size_t width, size_t heads) {
    if (count == 0 || width == 0) return;
    const size_t d = width / heads;
    const int threads = threads_for(2 * count * (start + (count + 1) / 2) * width / ALONE);
    parallel_for(heads, threads, [=](size_t h) {
        const Head head{qkv + h * d,
                        keys + h * context * d,
                        values + h * context * d,
                        scores + h * context * ATTENTION_ROWS,
                        out + h * d,
                        count,
                        start,
                        width,
                        d};
        head.remember();
        head.attend();
    });
}
