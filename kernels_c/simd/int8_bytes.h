// int8 products as AVX-512 VNNI has them: four bytes of k in a lane.
#pragma once

#include "vec.h"

namespace gemm {

/* vpdpbusd: four products of an unsigned and a signed byte, added to a lane without saturation. a is
   packed as a + 128; what that adds, 128 times the sum of b's column, every sum starts without. Sums
   may wrap on the way: modulo 2^32 the last one is exact all the same. */
struct Int8Lane {
    using In = int8_t;
    using Out = int32_t;
    using Packed = int32_t;  // four bytes of k
    using Stored = Packed;
    using Vec = I32;
    static constexpr size_t K_STEP = 4;
    static constexpr bool PACKED_A = true, HEADER = true;

    static Vec broadcast(const Packed *p) { return splat_i32(*p); }
    static Vec load_b(const Stored *p) { return load(p); }
    static Vec multiply_add(Vec a, Vec b, Vec sum) { return _mm512_dpbusd_epi32(sum, a, b); }

    static __m128i four_steps(const In *p) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
        return _mm_xor_si128(bytes, _mm_set1_epi8(-128));
    }
    static Packed one_step_of_a(const In *p, size_t count) {
        return one_step(p, 1, count) ^ static_cast<Packed>(0x80808080u);
    }
    static Packed one_step(const In *p, size_t k_stride, size_t count) {
        uint32_t bytes = 0;
        for (size_t i = 0; i < K_STEP && i < count; ++i)
            bytes |= static_cast<uint32_t>(static_cast<uint8_t>(p[i * k_stride])) << (8 * i);
        return static_cast<Packed>(bytes);
    }
    static void pack_lanes(const In *p, size_t stride, Packed *panel) {
        __m128i row[4];
        for (size_t i = 0; i < 4; ++i)
            row[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p + i * stride));
        const __m128i lo01 = _mm_unpacklo_epi8(row[0], row[1]),
                      hi01 = _mm_unpackhi_epi8(row[0], row[1]);
        const __m128i lo23 = _mm_unpacklo_epi8(row[2], row[3]),
                      hi23 = _mm_unpackhi_epi8(row[2], row[3]);
        auto *const to = reinterpret_cast<__m128i *>(panel);
        _mm_storeu_si128(to, _mm_unpacklo_epi16(lo01, lo23));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(lo01, lo23));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(hi01, hi23));
        _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(hi01, hi23));
    }
    static void write_header(const Packed *panel, size_t width, size_t steps, Packed *header) {
        const Vec ones = _mm512_set1_epi8(1);
        for (size_t j = 0; j < width; j += LANES) {
            Vec sum = splat_i32(0);
            for (size_t p = 0; p < steps; ++p)
                sum = multiply_add(ones, load(panel + p * width + j), sum);
            store(header + j, _mm512_sub_epi32(splat_i32(0), _mm512_slli_epi32(sum, 7)));
        }
    }
};

}  // namespace gemm
