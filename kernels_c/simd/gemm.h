// The matrix product that matmul.cpp (float) and matmul_i8.cpp (int8) share: which way a product takes, and
// how it is spread over threads. What differs between the two is what one register lane holds; they say
// so in a Lane type:
//
//     In, Out            element types of a, b and of out
//     Packed             what a lane of an operand holds, 32 bits: a float, two int16 or four int8
//     Vec                a register of Out
//     K_STEP             how many k one Packed covers (1, 2 or 4)
//     PACKED_A           whether a must be packed; float reads a in place
//     HEADER             1 where sums do not start at zero but at a row that stands before each panel of b
//     broadcast, multiply_add                        on Vec
//     one_step, one_step_of_a, four_steps, pack_lanes, write_header       In to Packed, see pack.h
#pragma once

#include <atomic>

#include "blocked.h"
#include "direct.h"
#include "narrow.h"
#include "parallel.h"

namespace gemm {

/* On one thread; 1 when there is no memory, else 0. */
template <class Lane>
int multiply_alone(const Product<Lane> &p) {
    if constexpr (!Lane::PACKED_A) {
        if (p.n <= NARROW_COLS && p.k <= NARROW_SHORT)
            return narrow_and_short(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.n, p.k), 0;
        switch (p.n) {
            case 1:
                return narrow<1>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.k), 0;
            case 2:
                return narrow<2>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.k), 0;
            case 3:
                return narrow<3>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.k), 0;
            case 4:
                return narrow<4>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.k), 0;
        }
        const size_t b_bytes = p.k * p.n * 4, l1 = caches().l1;
        if (b_bytes <= l1 / 2) return direct(p, DIRECT_STEPS, p.n), 0;
        if (p.m <= MR) return direct(p, STREAM_STEPS, STREAM_COLS), 0;
        if (p.k <= 2 * STREAM_STEPS)
            return direct(p, p.k, larger(1, l1 / 2 / (p.k * 4) / NR) * NR), 0;
    }
    return blocked(p);
}

/* Fewer multiply-adds than this and one core is done before a second could help, in some 2 us: 52^3 floats
   in registers of 256 bits. */
template <class Lane>
constexpr double ALONE = 52.0 * 52 * 52 * (LANES / 8) * (1 + Lane::K_STEP) / 2;
/* So that a thread that is held up leaves work to the others. */
constexpr size_t STRIPS_PER_THREAD = 4;

/* Part s of `strips`: whole tiles of columns, or of rows. */
template <class Lane>
Product<Lane> strip_of_columns(Product<Lane> p, size_t s, size_t strips) {
    const size_t tiles = ceil_div(p.n, NR);
    const size_t begin = tiles * s / strips * NR, end = smaller(tiles * (s + 1) / strips * NR, p.n);
    p.b += begin, p.out += begin, p.n = end - begin;
    return p;
}

template <class Lane>
Product<Lane> strip_of_rows(Product<Lane> p, size_t s, size_t strips) {
    const size_t tiles = ceil_div(p.m, MR);
    const size_t begin = tiles * s / strips * MR, end = smaller(tiles * (s + 1) / strips * MR, p.m);
    p.a += begin * p.lda, p.out += begin * p.ldo, p.m = end - begin;
    return p;
}

/* The product in `strips` independent parts. Into how many must not go by who can help just now: a part may
   add up in another order than the whole. */
template <class Lane>
int in_strips(const Product<Lane> &whole, size_t strips,
              Product<Lane> (*part)(Product<Lane>, size_t, size_t)) {
    std::atomic<int> failed{0};
    parallel_for(strips, available_threads(), [&](size_t s) {
        if (multiply_alone(part(whole, s, strips)) != 0) failed.store(1, std::memory_order_relaxed);
    });
    return failed.load(std::memory_order_relaxed);
}

/* out[m, n] = a[m, k] b[k, n]; 0, or 1 when there is no memory for the panels. */
template <class Lane>
int multiply(const typename Lane::In *a, const typename Lane::In *b, typename Lane::Out *out,
             size_t m, size_t n, size_t k) {
    if (m == 0 || n == 0) return 0;
    if (k == 0) {
        memset(out, 0, m * n * sizeof(*out));
        return 0;
    }
    const Product<Lane> whole{a, k, b, n, out, n, m, n, k};
    const double multiply_adds = double(m) * double(n) * double(k);
    const size_t threads = multiply_adds < ALONE<Lane> ? 1 : team_size();
    if (threads < 2) return multiply_alone(whole);

    // Strips of columns, each of which packs its own panels of b and reads a in place. Where a must be
    // packed, every strip would pack all of it: then strips of rows, no more than there are threads.
    const size_t tile_rows = ceil_div(m, MR), tile_cols = ceil_div(n, NR);
    const bool packed_a = Lane::PACKED_A || rows_collide<Lane>(k);
    const bool short_k = k <= 2 * STREAM_STEPS;  // out is what moves: whole rows of it
    if (!packed_a && !short_k && tile_cols >= 4 * threads) {
        const size_t most =
            m <= MR ? 1 : STRIPS_PER_THREAD;  // where b streams past, long rows of it
        const size_t strips = threads * smaller(most, tile_cols / threads / 4);
        return in_strips(whole, strips, strip_of_columns<Lane>);
    }
    if (tile_rows >= 2 * threads) {
        const size_t most = packed_a ? 1 : STRIPS_PER_THREAD;
        const size_t strips = threads * larger(1, smaller(most, tile_rows / threads / 4));
        return in_strips(whole, strips, strip_of_rows<Lane>);
    }
    if (tile_cols >= 2 * threads) return in_strips(whole, threads, strip_of_columns<Lane>);
    return multiply_alone(whole);
}

}  // namespace gemm
