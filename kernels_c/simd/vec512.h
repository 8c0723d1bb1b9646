// The register of vec.h as AVX-512 (F, BW, DQ, VL) has it: 512 bits.
#pragma once

constexpr size_t LANES = 16;  // 32-bit lanes
/* Rows of a tile of the matrix product: 14 x 2 sums, two registers of b and one of a make 31 of 32. */
constexpr size_t TILE_ROWS = 14;
using F32 = __m512;
using I32 = __m512i;

inline F32 splat(float v) { return _mm512_set1_ps(v); }
inline I32 splat_i32(int32_t v) { return _mm512_set1_epi32(v); }
inline F32 load(const float *p) { return _mm512_loadu_ps(p); }
inline I32 load(const int32_t *p) { return _mm512_loadu_si512(p); }
inline void store(float *p, F32 v) { _mm512_storeu_ps(p, v); }
inline void store(int32_t *p, I32 v) { _mm512_storeu_si512(p, v); }
/* Of float16, exact; and to it, rounded half to even. */
inline F32 load(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
}
inline void store(uint16_t *p, F32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/* Past the caches; p a multiple of the register's size. */
inline void stream(float *p, F32 v) { _mm512_stream_ps(p, v); }

inline F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
/* a b + c, c - a b, a b - c, rounded once */
inline F32 fmadd(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
inline F32 fnmadd(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
inline F32 fmsub(F32 a, F32 b, F32 c) { return _mm512_fmsub_ps(a, b, c); }
/* The second operand when either is NaN, or both are zero. */
inline F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
inline F32 square_root(F32 v) { return _mm512_sqrt_ps(v); }
inline F32 and_not(F32 mask, F32 v) { return _mm512_andnot_ps(mask, v); }
/* a, but NaN in the lanes where v is. */
inline F32 or_if_nan(F32 a, F32 v) {
    return _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), v);
}
inline bool is_any_nan(F32 v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) != 0; }

/* The bits of each lane as an integer, times 2^23. */
inline F32 shift_left_23(F32 v) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 23));
}
/* a > b ? yes : no; no where one is NaN. */
inline F32 select_greater(F32 a, F32 b, F32 yes, F32 no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}

/* One number of all lanes: their sum, in float and in double, the least and the greatest. */
inline float sum_of_lanes(F32 v) { return _mm512_reduce_add_ps(v); }
inline float min_of_lanes(F32 v) { return _mm512_reduce_min_ps(v); }
inline float max_of_lanes(F32 v) { return _mm512_reduce_max_ps(v); }
inline double double_sum_of_lanes(F32 v) {
    return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(v)),
                                              _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))));
}

/* The sum of each of sixteen registers, in its lane. */
inline F32 sums_of_lanes(const F32 *v) {
    // Neighbours are added up in fours: each 128-bit quarter then holds a partial sum of four registers.
    F32 four[4];
    for (size_t i = 0; i < 4; ++i) {
        const F32 a = add(_mm512_unpacklo_ps(v[4 * i], v[4 * i + 1]),
                          _mm512_unpackhi_ps(v[4 * i], v[4 * i + 1]));
        const F32 b = add(_mm512_unpacklo_ps(v[4 * i + 2], v[4 * i + 3]),
                          _mm512_unpackhi_ps(v[4 * i + 2], v[4 * i + 3]));
        four[i] = add(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
    }
    // And the quarters: [q0 q1 q2 q3] of each of the four.
    const F32 low = add(_mm512_shuffle_f32x4(four[0], four[1], 0x88),
                        _mm512_shuffle_f32x4(four[0], four[1], 0xdd));
    const F32 high = add(_mm512_shuffle_f32x4(four[2], four[3], 0x88),
                         _mm512_shuffle_f32x4(four[2], four[3], 0xdd));
    return add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

/* Rounded half to even; NaN and what is out of range give the smallest integer. */
inline I32 to_i32(F32 v) { return _mm512_cvtps_epi32(v); }
/* Of the integers whose bits v holds. */
inline F32 from_i32_bits(F32 v) { return _mm512_cvtepi32_ps(_mm512_castps_si512(v)); }
/* The lanes of four registers as bytes, saturated; the smallest integer, which NaN converts to, as 0. */
inline void store_as_i8(int8_t *p, I32 a, I32 b, I32 c, I32 d) {
    const I32 bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
    // The packs interleave the 128-bit quarters; this puts the groups of four back in order.
    const __mmask64 numbers = _mm512_cmpneq_epi8_mask(bytes, _mm512_set1_epi8(-128));
    const I32 order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_maskz_mov_epi8(numbers, bytes)));
}

inline I32 add(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
/* Each pair of neighbouring int16 products, added: a0 b0 + a1 b1. */
inline I32 madd_i16(I32 a, I32 b) { return _mm512_madd_epi16(a, b); }

inline __mmask16 first_lanes(size_t count) { return static_cast<__mmask16>((1u << count) - 1); }

/* The first `count` lanes, zeros after them; reads nothing beyond. */
inline F32 load_partial(const float *p, size_t count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), p);
}
inline I32 load_partial(const int32_t *p, size_t count) {
    return _mm512_maskz_loadu_epi32(first_lanes(count), p);
}

/* Writes the first `count` lanes and nothing beyond. */
inline void store_partial(float *p, size_t count, F32 v) {
    _mm512_mask_storeu_ps(p, first_lanes(count), v);
}
inline void store_partial(int32_t *p, size_t count, I32 v) {
    _mm512_mask_storeu_epi32(p, first_lanes(count), v);
}

/* The first `count` lanes of a, the others of b. */
inline F32 select_first(size_t count, F32 a, F32 b) {
    return _mm512_mask_blend_ps(first_lanes(count), b, a);
}
