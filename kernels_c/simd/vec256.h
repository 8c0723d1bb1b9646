// The register of vec.h as AVX2, FMA and F16C have it: 256 bits.
#pragma once

constexpr size_t LANES = 8;  // 32-bit lanes
/* Rows of a tile of the matrix product: 6 x 2 sums, two registers of b and one of a make 15 of 16. */
constexpr size_t TILE_ROWS = 6;
using F32 = __m256;
using I32 = __m256i;

inline F32 splat(float v) { return _mm256_set1_ps(v); }
inline I32 splat_i32(int32_t v) { return _mm256_set1_epi32(v); }
inline F32 load(const float *p) { return _mm256_loadu_ps(p); }
inline I32 load(const int32_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
}
inline void store(float *p, F32 v) { _mm256_storeu_ps(p, v); }
inline void store(int32_t *p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), v); }
/* Of float16, exact; and to it, rounded half to even. */
inline F32 load(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
}
inline void store(uint16_t *p, F32 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
/* Past the caches; p a multiple of the register's size. */
inline void stream(float *p, F32 v) { _mm256_stream_ps(p, v); }

inline F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
inline F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
inline F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
inline F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
/* a b + c, c - a b, a b - c, rounded once */
inline F32 fmadd(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
inline F32 fnmadd(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
inline F32 fmsub(F32 a, F32 b, F32 c) { return _mm256_fmsub_ps(a, b, c); }
/* The second operand when either is NaN, or both are zero. */
inline F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
inline F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
inline F32 square_root(F32 v) { return _mm256_sqrt_ps(v); }
inline F32 and_not(F32 mask, F32 v) { return _mm256_andnot_ps(mask, v); }
/* a, but NaN in the lanes where v is. */
inline F32 or_if_nan(F32 a, F32 v) { return _mm256_or_ps(a, _mm256_cmp_ps(v, v, _CMP_UNORD_Q)); }
inline bool is_any_nan(F32 v) { return _mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)) != 0; }

/* The bits of each lane as an integer, times 2^23. */
inline F32 shift_left_23(F32 v) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23));
}
/* a > b ? yes : no; no where one is NaN. */
inline F32 select_greater(F32 a, F32 b, F32 yes, F32 no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
/* One number of all lanes: their sum, in float and in double, the least and the greatest. */
template <class Operation>
inline float reduce(F32 v, Operation both) {
    __m128 four = both(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    four = both(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(both(four, _mm_movehdup_ps(four)));
}
inline float sum_of_lanes(F32 v) {
    return reduce(v, [](__m128 a, __m128 b) { return _mm_add_ps(a, b); });
}
inline float min_of_lanes(F32 v) {
    return reduce(v, [](__m128 a, __m128 b) { return _mm_min_ps(a, b); });
}
inline float max_of_lanes(F32 v) {
    return reduce(v, [](__m128 a, __m128 b) { return _mm_max_ps(a, b); });
}
inline double double_sum_of_lanes(F32 v) {
    const __m256d four = _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                                       _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* The sum of each of eight registers, in its lane. */
inline F32 sums_of_lanes(const F32 *v) {
    const F32 low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    const F32 high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
    return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

/* Rounded half to even; NaN and what is out of range give the smallest integer. */
inline I32 to_i32(F32 v) { return _mm256_cvtps_epi32(v); }
/* Of the integers whose bits v holds. */
inline F32 from_i32_bits(F32 v) { return _mm256_cvtepi32_ps(_mm256_castps_si256(v)); }
/* The lanes of four registers as bytes, saturated; the smallest integer, which NaN converts to, as 0. */
inline void store_as_i8(int8_t *p, I32 a, I32 b, I32 c, I32 d) {
    const I32 bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    // The packs interleave the 128-bit halves; this puts the groups of four back in order.
    const I32 order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const I32 numbers = _mm256_and_si256(bytes, _mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(-128)));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p),
                        _mm256_permutevar8x32_epi32(numbers, order));
}

inline I32 add(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
/* Each pair of neighbouring int16 products, added: a0 b0 + a1 b1. */
inline I32 madd_i16(I32 a, I32 b) { return _mm256_madd_epi16(a, b); }

/* All ones in the first `count` lanes, count < LANES. */
inline I32 first_lanes(size_t count) {
    alignas(32) static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return load(ones_then_zeros + LANES - count);
}

/* The first `count` lanes, zeros after them; reads nothing beyond. */
inline F32 load_partial(const float *p, size_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
}
inline I32 load_partial(const int32_t *p, size_t count) {
    return _mm256_maskload_epi32(p, first_lanes(count));
}

/* Writes the first `count` lanes and nothing beyond. Through the stack: a masked store takes a dozen
   cycles on Zen 2-4 (uops.info, VMASKMOVPS m256), and the lanes it leaves out may still fault. */
inline void store_partial(float *p, size_t count, F32 v) {
    alignas(32) float lanes[LANES];
    store(lanes, v);
    memcpy(p, lanes, count * sizeof(float));
}
inline void store_partial(int32_t *p, size_t count, I32 v) {
    alignas(32) int32_t lanes[LANES];
    store(lanes, v);
    memcpy(p, lanes, count * sizeof(int32_t));
}

/* The first `count` lanes of a, the others of b. */
inline F32 select_first(size_t count, F32 a, F32 b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(first_lanes(count)));
}
