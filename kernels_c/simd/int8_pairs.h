// int8 products as every AVX2 processor has them: two int16 of k in a lane. int8 is widened once, while
// packing, and vpmaddwd then does two multiply-adds in each 32-bit lane.
#pragma once

#include "vec.h"

namespace gemm {

struct Int8Lane {
    using In = int8_t;
    using Out = int32_t;
    using Packed = int32_t;  // int16 of k in the low half, of k + 1 in the high half
    using Stored = Packed;
    using Vec = I32;
    static constexpr size_t K_STEP = 2;
    static constexpr bool PACKED_A = true, HEADER = false;

    static Vec broadcast(const Packed *p) { return splat_i32(*p); }
    static Vec load_b(const Stored *p) { return load(p); }
    /* Exact: a pair sums to at most 2 * 128^2 = 2^15, far from where vpmaddwd wraps. */
    static Vec multiply_add(Vec a, Vec b, Vec sum) {
        sum = add(sum, madd_i16(a, b));
        return sum;
    }

    static __m128i four_steps(const In *p) {
        return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
    }
    static Packed one_step_of_a(const In *p, size_t count) { return one_step(p, 1, count); }
    static Packed one_step(const In *p, size_t k_stride, size_t count) {
        const auto low = static_cast<uint16_t>(int16_t{*p});
        const auto high = static_cast<uint16_t>(int16_t{count > 1 ? p[k_stride] : In{0}});
        return static_cast<Packed>(low | static_cast<uint32_t>(high) << 16);
    }
    static void pack_lanes(const In *p, size_t stride, Packed *panel) {
        const __m128i r0 = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(p));
        const __m128i r1 = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(p + stride));
        store(panel, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(r0, r1)));
    }
    static void write_header(const Packed *, size_t, size_t, Packed *) {}
};

}  // namespace gemm
