// The micro-kernel: tiles of a product, their sums held in registers from the first step of k to the
// last. Everything else in the product exists to bring it its operands.
#pragma once

#include <utility>

#include "vec.h"

namespace gemm {

constexpr size_t MR = TILE_ROWS;  // rows of the largest tile; vec256.h says why
constexpr size_t NR = 2 * LANES;  // columns of a tile: two registers

/* A row of tiles, side by side: out[rows, tiles * width] (= or +=) a[rows, steps] b[steps, ...].
   Distances are in elements of what they step over. */
template <class Lane>
struct Strip {
    size_t steps;  // of k
    const typename Lane::Packed *a;
    size_t a_row, a_step;  // to the next row, to the next step of k
    const typename Lane::Stored *b;
    size_t b_step, b_tile;  // to the next step of k, to the next tile
    typename Lane::Out *out;
    size_t out_row;
    size_t tiles;
    bool accumulate;               // add to what out holds
    typename Lane::Packed *panel;  // where KEEP_B leaves b[steps, width] packed
};

/* formula    out[i, j] (= or +=) sum over p of a[i, p] b[p, j], for all tiles of a strip
 * shapes     a: [ROWS, steps], b: [steps, tiles * VECS * LANES], out: [ROWS, tiles * VECS * LANES]
 * max error  of the sum of `steps` products, each step rounded once, in order of k
 * registers  ROWS * VECS sums, VECS of b, one of a
 *
 * Every loop over the tile is unrolled by pragma: where one is not, g++ 12 keeps the sums in memory
 * and the product runs at half its speed. The loop over k is one step and a pragma: steps written out
 * by hand made g++ 12 spill the sums. Tried without gain: prefetching out before the last steps.
 *
 * The loop over tiles is in here because with few steps (k = 4: 24 cycles of FMA a tile) a call for
 * each costs more than the tile. */
template <class Lane, size_t ROWS, size_t VECS, bool KEEP_B>
__attribute__((noinline)) void micro_kernel(const Strip<Lane> &s) {
    using Vec = typename Lane::Vec;
    constexpr size_t WIDTH = VECS * LANES;
    const size_t a_row = s.a_row, a_step = s.a_step, b_step = s.b_step;
    auto *panel = s.panel;
    for (size_t tile = 0; tile < s.tiles; ++tile) {
        Vec sum[ROWS][VECS];
        typename Lane::Out *out = s.out + tile * WIDTH;
#pragma GCC unroll 16
        for (size_t i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
            for (size_t v = 0; v < VECS; ++v)
                sum[i][v] = Lane::HEADER ? Lane::load_b(s.b - b_step + v * LANES) : Vec{};

        // What is added to at the end is fetched meanwhile: 5-8 % at 2048. Few steps are over too soon.
        if (s.steps > 32) {
#pragma GCC unroll 16
            for (size_t i = 0; i < ROWS; ++i) {
                _mm_prefetch(reinterpret_cast<const char *>(out + i * s.out_row), _MM_HINT_T0);
                _mm_prefetch(reinterpret_cast<const char *>(out + i * s.out_row + WIDTH - 1),
                             _MM_HINT_T0);
            }
        }
        const auto *a = s.a;
        const auto *b = s.b + tile * s.b_tile;
#pragma GCC unroll 8
        for (size_t p = 0; p < s.steps; ++p, a += a_step, b += b_step) {
            Vec b_v[VECS];
#pragma GCC unroll 4
            for (size_t v = 0; v < VECS; ++v) {
                b_v[v] = Lane::load_b(b + v * LANES);
                if (KEEP_B) store(panel + v * LANES, b_v[v]);
            }
            if (KEEP_B) panel += WIDTH;
#pragma GCC unroll 16
            for (size_t i = 0; i < ROWS; ++i) {
                const Vec a_i = Lane::broadcast(a + i * a_row);
#pragma GCC unroll 4
                for (size_t v = 0; v < VECS; ++v)
                    sum[i][v] = Lane::multiply_add(a_i, b_v[v], sum[i][v]);
            }
        }

        if (s.accumulate) {
#pragma GCC unroll 16
            for (size_t i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
                for (size_t v = 0; v < VECS; ++v)
                    sum[i][v] = add(load(out + i * s.out_row + v * LANES), sum[i][v]);
        }
#pragma GCC unroll 16
        for (size_t i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
            for (size_t v = 0; v < VECS; ++v) store(out + i * s.out_row + v * LANES, sum[i][v]);
    }
}

/* The instance for `rows` rows, 1 to MR. */
template <class Lane, size_t VECS, bool KEEP_B, size_t... I>
inline void run_rows(size_t rows, const Strip<Lane> &s, std::index_sequence<I...>) {
    static constexpr void (*OF_ROWS[])(const Strip<Lane> &) = {
        micro_kernel<Lane, I + 1, VECS, KEEP_B>...};
    OF_ROWS[rows - 1](s);
}

template <class Lane, size_t VECS, bool KEEP_B = false>
inline void run(size_t rows, const Strip<Lane> &s) {
    run_rows<Lane, VECS, KEEP_B>(rows, s, std::make_index_sequence<MR>());
}

/* Strips of one or two rows, in tiles of four registers' width: with more columns they too have enough
   sums. */
template <class Lane>
inline void run_low(size_t rows, const Strip<Lane> &s) {
    rows == 1 ? micro_kernel<Lane, 1, 4, false>(s) : micro_kernel<Lane, 2, 4, false>(s);
}

/* A strip of one tile, of one register's width or two, of which only `cols` columns after the first `skip`
   belong to out: computed whole, copied in part. */
template <class Lane>
__attribute__((noinline)) void run_edge(size_t rows, size_t cols, Strip<Lane> s, size_t skip = 0) {
    alignas(64)
        typename Lane::Out tile[MR * NR + LANES];  // whole registers may be read from any column
    typename Lane::Out *const out = s.out;
    const size_t out_row = s.out_row;
    const bool accumulate = s.accumulate;
    s.out = tile, s.out_row = NR, s.accumulate = false, s.tiles = 1;
    skip + cols <= LANES ? run<Lane, 1>(rows, s) : run<Lane, 2>(rows, s);
    const size_t whole = cols / LANES * LANES, rest = cols - whole;
    for (size_t i = 0; i < rows; ++i) {
        const auto *from = tile + i * NR + skip;
        auto *to = out + i * out_row;
        if (whole) store(to, accumulate ? add(load(to), load(from)) : load(from));
        if (rest == 0) continue;
        from += whole, to += whole;
        const auto sum = accumulate ? add(load_partial(to, rest), load(from)) : load(from);
        store_partial(to, rest, sum);
    }
}

/* Rows of the next tile when `left` remain. The last two share what is left evenly: a tile of one or
   two rows has too few independent sums to cover the latency of an FMA. */
inline size_t next_rows(size_t left, size_t tallest = MR) {
    if (left <= tallest) return left;
    return left < 2 * tallest ? (left + 1) / 2 : tallest;
}

}  // namespace gemm
