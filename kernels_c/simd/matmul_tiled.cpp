// Float matrix product by the tile of micro_kernel.h and nothing else: each tile of out stays in registers
// over all of k, and a and b are read where they lie, however far apart that is. What gemm.h adds to it
// (packing, blocks for the caches, ways for thin matrices, threads) is the difference to matmul_f32.
#include "ablations.h"
#include "micro_kernel.h"

namespace {

using gemm::MR;
using gemm::NR;

/* formula    out[i, j] = sum over p of a[i, p] b[p, j]
 * shapes     a: [ROWS, k], rows k apart; b: [k, cols] and out: [ROWS, cols], rows n apart;
 *            cols is VECS * LANES, or less than LANES where the tile is MASKED
 * registers  ROWS * VECS sums, VECS of b, one of a
 *
 * The tile's loops are unrolled by pragma, and k's as in micro_kernel.h: the text differs in where its
 * operands lie. */
template <size_t ROWS, size_t VECS, bool MASKED>
__attribute__((noinline)) void tile(const float *a, const float *b, float *out, size_t n, size_t k,
                                    size_t cols) {
    F32 sum[ROWS][VECS] = {};
#pragma GCC unroll 8
    for (size_t p = 0; p < k; ++p, ++a, b += n) {
        F32 b_v[VECS];
#pragma GCC unroll 2
        for (size_t v = 0; v < VECS; ++v)
            b_v[v] = MASKED ? load_partial(b, cols) : load(b + v * LANES);
#pragma GCC unroll 16
        for (size_t i = 0; i < ROWS; ++i) {
            const F32 a_i = splat(a[i * k]);
#pragma GCC unroll 2
            for (size_t v = 0; v < VECS; ++v) sum[i][v] = fmadd(a_i, b_v[v], sum[i][v]);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < ROWS; ++i) {
#pragma GCC unroll 2
        for (size_t v = 0; v < VECS; ++v) {
            if (MASKED)
                store_partial(out + i * n, cols, sum[i][v]);
            else
                store(out + i * n + v * LANES, sum[i][v]);
        }
    }
}

/* out[ROWS, n] = a[ROWS, k] b[k, n] */
template <size_t ROWS>
void strip(const float *a, const float *b, float *out, size_t n, size_t k) {
    size_t j = 0;
    for (; j + NR <= n; j += NR) tile<ROWS, 2, false>(a, b + j, out + j, n, k, NR);
    if (j + LANES <= n) {
        tile<ROWS, 1, false>(a, b + j, out + j, n, k, LANES);
        j += LANES;
    }
    if (j < n) tile<ROWS, 1, true>(a, b + j, out + j, n, k, n - j);
}

using Strip = void (*)(const float *, const float *, float *, size_t, size_t);

template <size_t... I>
Strip strip_of(size_t rows, std::index_sequence<I...>) {
    static constexpr Strip OF_ROWS[] = {strip<I + 1>...};
    return OF_ROWS[rows - 1];
}

}  // namespace

/* matmul_tiled_f32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major
 *   max error  k ULP of (|a| |b|)[m, n] (gamma_k, Higham, Accuracy and Stability, sec. 3.1)
 *   NaN, inf   propagate as the sum of products does; what out held before does not matter
 */
int matmul_tiled_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k) {
    if (n == 0) return 0;  // m and k may then be any number
    for (size_t i = 0, rows; i < m; i += rows) {
        rows = gemm::next_rows(m - i);
        const Strip run = strip_of(rows, std::make_index_sequence<MR>());
        run(a + i * k, b, out + i * n, n, k);
    }
    return 0;
}
