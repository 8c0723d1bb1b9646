// The register of vec.h as AVX2 and FMA have it: 256 bits.
#pragma once

constexpr size_t LANES = 8;  // 32-bit lanes
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
inline F32 and_not(F32 mask, F32 v) { return _mm256_andnot_ps(mask, v); }

inline I32 add(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
/* Each pair of neighbouring int16 products, added: a0 b0 + a1 b1. */
inline I32 madd_i16(I32 a, I32 b) { return _mm256_madd_epi16(a, b); }

/* All ones in the first `count` lanes, count < LANES. */
inline I32 first_lanes(size_t count) {
    alignas(32) static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return load(ones_then_zeros + LANES - count);
}

/* The first `count` floats, zeros after them; reads nothing beyond. */
inline F32 load_partial(const float *p, size_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
}
