// Packing: operands copied into the order in which the tile reads them.
#pragma once

#include <type_traits>

#include "micro_kernel.h"

namespace gemm {

/* a[rows, k], rows `stride` apart, into panel[step][row]. Four rows by four steps at a time are
   transposed in registers. Where rows are not a multiple of four the last group repeats a row, and
   its extra lanes are overwritten by the next step: the panel needs room for 3 more. */
template <class Lane>
void pack_a(const typename Lane::In *a, size_t stride, size_t rows, size_t k,
            typename Lane::Packed *panel) {
    constexpr size_t GROUPS = (TILE_ROWS + 3) / 4;
    const size_t groups = (rows + 3) / 4;
    size_t p = 0;
    for (; p + 4 * Lane::K_STEP <= k; p += 4 * Lane::K_STEP, panel += 4 * rows) {
        __m128i step[GROUPS][4];
        for (size_t g = 0; g < groups; ++g) {
            __m128i r[4];
            for (size_t i = 0; i < 4; ++i) {
                const size_t row = 4 * g + i < rows ? 4 * g + i : rows - 1;
                r[i] = Lane::four_steps(a + row * stride + p);
            }
            const __m128i r01 = _mm_unpacklo_epi32(r[0], r[1]),
                          r01h = _mm_unpackhi_epi32(r[0], r[1]);
            const __m128i r23 = _mm_unpacklo_epi32(r[2], r[3]),
                          r23h = _mm_unpackhi_epi32(r[2], r[3]);
            step[g][0] = _mm_unpacklo_epi64(r01, r23);
            step[g][1] = _mm_unpackhi_epi64(r01, r23);
            step[g][2] = _mm_unpacklo_epi64(r01h, r23h);
            step[g][3] = _mm_unpackhi_epi64(r01h, r23h);
        }
        for (size_t s = 0; s < 4; ++s)
            for (size_t g = 0; g < groups; ++g)
                _mm_storeu_si128(reinterpret_cast<__m128i *>(panel + s * rows + 4 * g), step[g][s]);
    }
    for (; p < k; p += Lane::K_STEP, panel += rows)
        for (size_t i = 0; i < rows; ++i) panel[i] = Lane::one_step_of_a(a + i * stride + p, k - p);
}

/* a[rows, k] as a block: panels as tall as the tiles that will read them, next_rows says how tall. The
   panel of row i starts at block + i * steps. */
template <class Lane>
void pack_rows_of_a(const typename Lane::In *a, size_t stride, size_t rows, size_t k, size_t steps,
                    typename Lane::Packed *block) {
    for (size_t i = 0, height; i < rows; i += height) {
        height = next_rows(rows - i);
        pack_a<Lane>(a + i * stride, stride, height, k, block + i * steps);
    }
}

/* a where it lies, for lanes that need not pack it. */
template <class Lane>
const typename Lane::Packed *in_place(const typename Lane::In *a) {
    if constexpr (std::is_same_v<typename Lane::In, typename Lane::Packed>)
        return a;
    else
        return nullptr;
}

/* b[k, cols], rows `stride` apart, into panel[step][width], zeros beyond cols. */
template <class Lane>
void pack_b(const typename Lane::In *b, size_t stride, size_t cols, size_t width, size_t k,
            typename Lane::Packed *panel) {
    auto *const start = panel;
    for (size_t p = 0; p < k; p += Lane::K_STEP, b += stride * Lane::K_STEP, panel += width) {
        if (cols == width && k - p >= Lane::K_STEP) {
            for (size_t j = 0; j < width; j += LANES) Lane::pack_lanes(b + j, stride, panel + j);
            continue;
        }
        if constexpr (std::is_same_v<typename Lane::In, typename Lane::Packed>) {
            for (size_t j = 0; j < width; j += LANES)
                store(panel + j, j + LANES <= cols ? load(b + j) : load_partial(b + j, cols - j));
        } else {
            for (size_t j = 0; j < cols; ++j) panel[j] = Lane::one_step(b + j, stride, k - p);
            for (size_t j = cols; j < width; ++j) panel[j] = 0;
        }
    }
    if (Lane::HEADER)
        Lane::write_header(start, width, (k + Lane::K_STEP - 1) / Lane::K_STEP, start - width);
}

}  // namespace gemm
