// The matrix product that matmul.cpp (float) and matmul_i8.cpp (int8) share: which way a product takes, and
// how it is spread over threads. What differs between the two is what one register lane holds; they say
// so in a Lane type:
//
//     In, Out            element types of a, b and of out
//     Packed             what a lane of an operand holds, 32 bits: a float, two int16 or four int8
//     Vec                a register of Out
//     Stored, load_b     what b's panels hold for a lane, and a register of it; Packed, but for weights of linear_i8.cpp
//     K_STEP             how many k one Packed covers (1, 2 or 4)
//     PACKED_A           whether a must be packed; float reads a in place
//     HEADER             1 where sums do not start at zero but at a row that stands one step before each panel of b
//     broadcast, multiply_add                        on Vec
//     one_step, one_step_of_a, four_steps, pack_lanes, write_header       In to Packed, see pack.h
#pragma once

#include <atomic>

#include "blocked.h"
#include "direct.h"
#include "narrow.h"
#include "parallel.h"

namespace gemm {

/* A way to compute a product, or a part of one; 1 when there is no memory, else 0. */
template <class Lane>
using Way = int (*)(const Product<Lane> &);

template <class Lane, size_t COLS>
int narrow_way(const Product<Lane> &p) {
    return narrow<COLS>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.k), 0;
}

template <class Lane, size_t K>
int outer_way(const Product<Lane> &p) {
    return outer<K>(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.n), 0;
}

/* With a single row of tiles b streams past. */
template <class Lane>
int stream(const Product<Lane> &p) {
    return direct(p, stream_steps(p.m, p.ldb), STREAM_COLS, columns_to_line(p)), 0;
}

/* How many parts of k such a product is summed in, each on its own, so that every thread reads whole rows of b: in
   halves of 2 KB two threads were slower than one. A power of two, to share evenly, and by the shape alone, as the
   bits depend on it. */
inline size_t parts_of_k(size_t n, size_t k) {
    constexpr size_t LEAST_STEPS = 128, MOST = 8;
    size_t parts = 1;
    while (n <= STREAM_COLS && parts < MOST && k >= 2 * parts * LEAST_STEPS) parts *= 2;
    return parts;
}

/* out = the sum of `parts` products of columns of a and rows of b, in order; 1 when there is no memory, else 0. */
template <class Lane>
int stream_in_parts(const Product<Lane> &p, size_t parts, int threads) {
    static thread_local Workspace workspace;
    const size_t size = p.m * p.n;
    auto *const sums =
        static_cast<typename Lane::Out *>(workspace.reserve((parts - 1) * size * sizeof(*p.out)));
    if (sums == nullptr) return 1;
    parallel_for(parts, threads, [&](size_t i) {
        const size_t begin = p.k * i / parts;
        Product<Lane> part = p;
        part.a += begin, part.b += begin * p.ldb, part.k = p.k * (i + 1) / parts - begin;
        if (i > 0) part.out = sums + (i - 1) * size;
        stream(part);
    });
    for (size_t i = 1; i < parts; ++i)
        for (size_t j = 0; j < size; ++j) p.out[j] += sums[(i - 1) * size + j];
    return 0;
}

/* The way for a product of that shape. Ways differ in the order in which sums are added up, so all parts of a
   product go the way of the whole: the same bits on any number of threads. */
template <class Lane>
Way<Lane> way_for(size_t m, size_t n, size_t k) {
    using P = const Product<Lane> &;
    if constexpr (!Lane::PACKED_A) {
        if (n <= NARROW_COLS && k <= NARROW_SHORT)
            return [](P p) {
                return narrow_and_short(p.a, p.lda, p.b, p.ldb, p.out, p.ldo, p.m, p.n, p.k), 0;
            };
        constexpr Way<Lane> NARROW[] = {narrow_way<Lane, 1>, narrow_way<Lane, 2>,
                                        narrow_way<Lane, 3>, narrow_way<Lane, 4>};
        if (n <= NARROW_COLS) return NARROW[n - 1];
        constexpr Way<Lane> OUTER[] = {outer_way<Lane, 1>, outer_way<Lane, 2>, outer_way<Lane, 3>,
                                       outer_way<Lane, 4>};
        if (k <= 4) return OUTER[k - 1];
        const size_t l1 = caches().l1;
        if (k * n * 4 <= l1 / 2) return [](P p) { return direct(p, DIRECT_STEPS, p.n, 0), 0; };
        if (m <= MR) return stream<Lane>;
        if (k <= FEW_STEPS)
            return [](P p) {
                return direct(p, p.k, larger(1, caches().l1 / 2 / (p.k * 4) / NR) * NR, 0), 0;
            };
    }
    return blocked<Lane>;
}

/* Fewer multiply-adds than this and one core is done before a second could help, in some 2 us: 52^3 floats
   in registers of 256 bits. */
template <class Lane>
constexpr size_t ALONE = size_t{52} * 52 * 52 * (LANES / 8) * (1 + Lane::K_STEP) / 2;
/* So that a thread that comes late leaves work to the others. */
constexpr size_t STRIPS_PER_THREAD = 4;

/* Part s of `strips`: whole tiles of columns, or of rows. */
template <class Lane>
Product<Lane> strip_of_columns(Product<Lane> p, size_t s, size_t strips) {
    const size_t tiles = ceil_div(p.n, NR);
    const size_t begin = tiles * s / strips * NR, end = smaller(tiles * (s + 1) / strips * NR, p.n);
    p.b += begin, p.out += begin, p.n = end - begin;
    return p;
}

/* Rows that are computed together: for narrow products a multiple of both numbers of narrow(), which adds up
   the rows that are left over in another order. */
template <class Lane>
size_t rows_of_tile(const Product<Lane> &p) {
    return p.n <= NARROW_COLS ? 12 : MR;
}

template <class Lane>
Product<Lane> strip_of_rows(Product<Lane> p, size_t s, size_t strips) {
    const size_t tile = rows_of_tile(p), tiles = ceil_div(p.m, tile);
    const size_t begin = tiles * s / strips * tile;
    const size_t end = smaller(tiles * (s + 1) / strips * tile, p.m);
    p.a += begin * p.lda, p.out += begin * p.ldo, p.m = end - begin;
    return p;
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
    const Way<Lane> way = way_for<Lane>(m, n, k);
    // In integers: an integer product raises no floating-point exception. m n is the size of an array.
    const auto work = static_cast<size_t>(static_cast<unsigned __int128>(m * n) * k / ALONE<Lane>);
    const auto threads = static_cast<size_t>(threads_for(work));
    if constexpr (!Lane::PACKED_A) {
        const size_t parts = way == Way<Lane>{stream<Lane>} ? parts_of_k(n, k) : 1;
        if (parts > 1) return stream_in_parts(whole, parts, static_cast<int>(threads));
    }
    if (threads < 2) return way(whole);

    std::atomic<int> failed{0};
    const auto in_strips = [&](size_t strips,
                               Product<Lane> (*part)(Product<Lane>, size_t, size_t)) {
        parallel_for(strips, static_cast<int>(threads), [&](size_t s) {
            if (way(part(whole, s, strips)) != 0) failed.store(1, std::memory_order_relaxed);
        });
        return failed.load(std::memory_order_relaxed);
    };
    // Strips of columns, each of which packs its own panels of b and reads a in place. Where a is packed, every
    // strip would pack all of it: then strips of rows, and few, as each packs all of b.
    const size_t tile_rows = ceil_div(m, rows_of_tile(whole)), tile_cols = ceil_div(n, NR);
    const bool packed_a = packs_a(whole) || rows_collide<Lane>(k);
    const bool short_k = k <= FEW_STEPS;  // out is what moves: whole rows of it
    if (!packed_a && !short_k && tile_cols >= 4 * threads) {
        const size_t most =
            m <= MR ? 1 : STRIPS_PER_THREAD;  // where b streams past, long rows of it
        return in_strips(threads * smaller(most, tile_cols / threads / 4), strip_of_columns<Lane>);
    }
    if (tile_rows >= 2 * threads) {
        const size_t most = Lane::PACKED_A ? 1 : packed_a ? 2 : STRIPS_PER_THREAD;
        return in_strips(threads * larger(1, smaller(most, tile_rows / threads / 4)),
                         strip_of_rows<Lane>);
    }
    if (tile_cols >= 2 * threads) return in_strips(threads, strip_of_columns<Lane>);
    return way(whole);
}

}  // namespace gemm
