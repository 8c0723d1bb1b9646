// What linear.cpp (float) and linear_i8.cpp (int8) share: where panels of packed weights lie, and how rows and
// panels are handed out.
#pragma once

#include "blocking.h"
#include "gelu.h"
#include "kernels.h"
#include "map.h"

namespace linear {

using gemm::ceil_div, gemm::larger, gemm::MR, gemm::next_rows, gemm::NR, gemm::smaller;

/* out = GELU(out) */
inline void gelu_row(float *out, size_t n) {
    map_f32<false>(out, out, n, [](auto v) { return gelu_tanh_of_sum(v); });
}

/* The same for `cols` columns of `rows` rows; of a whole panel, two rows in one group. */
inline void gelu_rows(float *out, size_t out_row, size_t rows, size_t cols) {
    size_t i = 0;
    for (; cols == NR && i + 2 <= rows; i += 2) {
        float *const a = out + i * out_row, *const b = a + out_row;
        const Quad v = gelu_tanh_of_sum(Quad(load_group<Pair<F32>>(a), load_group<Pair<F32>>(b)));
        store_group(a, v.a), store_group(b, v.b);
    }
    for (; i < rows; ++i) gelu_row(out + i * out_row, cols);
}

/* Fewer multiply-adds than this and one core is done before a second could help: as gemm.h has it. */
constexpr size_t ALONE = size_t{52} * 52 * 52 * (LANES / 8);
constexpr size_t STRIPS_PER_THREAD = 4;

/* body(first panel, end) over all panels, spread over threads where there is enough to do. A panel's sums are the
   same in any strip. */
template <class Body>
void each_strip(size_t m, size_t n, size_t k, size_t alone, const Body &body) {
    const size_t panels = ceil_div(n, NR);
    const auto work = static_cast<size_t>(static_cast<unsigned __int128>(m * n) * k / alone);
    const auto threads = static_cast<size_t>(threads_for(work));
    const size_t strips = threads < 2 ? 1 : smaller(panels, STRIPS_PER_THREAD * threads);
    parallel_for(strips, static_cast<int>(threads),
                 [&](size_t s) { body(panels * s / strips, panels * (s + 1) / strips); });
}

}  // namespace linear
