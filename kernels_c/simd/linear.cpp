// Float linear layers: w is packed once, by whoever loads a model, into the panels that the product of
// matmul.cpp makes anew in each call. A panel starts with its bias, at which its sums begin. Where float16 holds every
// weight exactly, as those of a file in float16, the weights follow once more in float16: half the bytes for one row.
#include "linear.h"

#include "float_lane.h"

namespace {

using namespace linear;
using gemm::Float32Lane, gemm::Strip;

/* The first steps of k: sums start at the row that stands before the panel. */
struct BiasedLane : Float32Lane {
    static constexpr bool HEADER = true;
};

constexpr size_t panel_size(size_t k) { return (k + 1) * NR; }
/* What is packed: a flag, whether float16 holds the weights, in as many floats as keep panels on cache lines; panels;
   panels of float16. */
constexpr size_t FLAG = NR;

/* Steps of k whose weights stay in the first level while rows pass: blocking() has the reason. */
constexpr size_t MOST_STEPS = 320;

/* Columns of one panel of out, whole tiles of rows: k in blocks of equal length. */
void tiles(const float *x, size_t x_row, const float *panel, float *out, size_t n, size_t m,
           size_t cols, size_t k, int epilogue) {
    const size_t blocks = larger(1, ceil_div(k, MOST_STEPS));
    for (size_t block = 0; block < blocks; ++block) {
        const size_t begin = k * block / blocks, steps = k * (block + 1) / blocks - begin;
        const bool accumulate = block > 0 || epilogue == EPILOGUE_ADD;
        for (size_t i = 0, rows; i < m; i += rows) {
            rows = next_rows(m - i);
            float *const to = out + i * n;
            const auto run = [&](auto lane) {
                using Lane = decltype(lane);
                const Strip<Lane> s{steps,
                                    x + i * x_row + begin,
                                    x_row,
                                    1,
                                    panel + NR + begin * NR,
                                    NR,
                                    0,
                                    to,
                                    n,
                                    1,
                                    accumulate,
                                    nullptr};
                cols == NR ? gemm::run<Lane, 2>(rows, s) : gemm::run_edge<Lane>(rows, cols, s);
            };
            block == 0 ? run(BiasedLane()) : run(Float32Lane());
            if (epilogue == EPILOGUE_GELU && block + 1 == blocks) gelu_rows(to, n, rows, cols);
        }
    }
}

/* One row: weights (float or float16) are used once, so they pass as one stream, and what bounds it is the level of
   memory that holds them. Four steps of k have sums of their own, or each would wait for the one before. */
template <class Weight>
void one_row(const float *x, const float *bias, const Weight *w, float *out, size_t cols, size_t k,
             bool add_to_out) {
    constexpr size_t STEPS = 4;
    // Cleared one by one: where this is not inlined, {} is a string instruction, slow for so few.
    F32 sum[STEPS][2];
    for (size_t v = 0; v < 2; ++v) sum[0][v] = load(bias + v * LANES);
#pragma GCC unroll 4
    for (size_t s = 1; s < STEPS; ++s) sum[s][0] = sum[s][1] = zero();
    size_t p = 0;
    for (; p + STEPS <= k; p += STEPS, w += STEPS * NR) {
        // Across the ends of pages, where the CPU's own prefetchers stop: 4 % of a token (Zen 3).
        for (size_t byte = 0; byte < STEPS * NR * sizeof(Weight); byte += 64)
            _mm_prefetch(reinterpret_cast<const char *>(w) + 2048 + byte, _MM_HINT_T0);
#pragma GCC unroll 4
        for (size_t s = 0; s < STEPS; ++s) {
            const F32 x_p = splat(x[p + s]);
            sum[s][0] = fmadd(x_p, load(w + s * NR), sum[s][0]);
            sum[s][1] = fmadd(x_p, load(w + s * NR + LANES), sum[s][1]);
        }
    }
    for (; p < k; ++p, w += NR) {
        const F32 x_p = splat(x[p]);
        sum[0][0] = fmadd(x_p, load(w), sum[0][0]);
        sum[0][1] = fmadd(x_p, load(w + LANES), sum[0][1]);
    }
    for (size_t v = 0; v < 2; ++v) {
        const size_t first = v * LANES, count = cols < first ? 0 : cols - first;
        float *const to = out + first;
        const F32 all = add(add(sum[0][v], sum[1][v]), add(sum[2][v], sum[3][v]));
        if (count >= LANES)
            store(to, add_to_out ? add(load(to), all) : all);
        else if (count > 0)
            store_partial(to, count, add_to_out ? add(load_partial(to, count), all) : all);
    }
}

/* Panels once more in float16; false, and any contents, where it does not hold some weight. */
bool pack_halves(const float *panels, uint16_t *halves, size_t count, size_t k) {
    for (size_t panel = 0; panel < count; ++panel, panels += panel_size(k))
        for (size_t v = NR; v < panel_size(k); v += LANES, halves += LANES) {
            float back[LANES];
            store(halves, load(panels + v)), store(back, load(halves));
            if (memcmp(back, panels + v, sizeof back) != 0) return false;
        }
    return true;
}

}  // namespace

size_t packed_linear_f32(size_t n, size_t k) {
    return FLAG + ceil_div(n, NR) * (panel_size(k) + k * NR / 2);
}

void pack_linear_f32(const float *w, const float *bias, float *packed, size_t n, size_t k) {
    float *to = packed + FLAG;
    for (size_t j = 0; j < n; j += NR)
        for (size_t p = 0; p <= k; ++p, to += NR) {
            const float *const row = p > 0 ? w + (p - 1) * n : bias;
            for (size_t v = 0; v < NR; ++v) to[v] = row != nullptr && j + v < n ? row[j + v] : 0.0f;
        }
    auto *const halves = reinterpret_cast<uint16_t *>(to);
    packed[0] = pack_halves(packed + FLAG, halves, ceil_div(n, NR), k) ? 1.0f : 0.0f;
}

/* linear_f32
 *   formula    out[m, n] = epilogue(x[m, k] w[k, n] + bias[n]): the sum, GELU(sum), or out[m, n] + sum
 *   shapes     x: m rows of k, x_row apart; out: [m, n]
 *   max error  2 k + 8 ULP of (|x| |w| + |bias| + |out|)
 *   NaN, inf   propagate as the sum of products does
 */
void linear_f32(const float *x, const float *packed, float *out, size_t m, size_t n, size_t k,
                size_t x_row, int epilogue) {
    if (m == 0 || n == 0) return;
    const auto *const halves =
        reinterpret_cast<const uint16_t *>(packed + FLAG + ceil_div(n, NR) * panel_size(k));
    each_strip(m, n, k, ALONE, [=](size_t begin, size_t end) {
        for (size_t panel = begin; panel < end; ++panel) {
            const size_t j = panel * NR, cols = smaller(NR, n - j);
            const float *const w = packed + FLAG + panel * panel_size(k);
            const bool add_to_out = epilogue == EPILOGUE_ADD;
            if (m > 1)
                tiles(x, x_row, w, out + j, n, m, cols, k, epilogue);
            else if (packed[0] == 0.0f)
                one_row(x, w, w + NR, out + j, cols, k, add_to_out);
            else
                one_row(x, w, halves + panel * k * NR, out + j, cols, k, add_to_out);
        }
        if (m == 1 && epilogue == EPILOGUE_GELU)
            gelu_row(out + begin * NR, smaller(n, end * NR) - begin * NR);
    });
}
