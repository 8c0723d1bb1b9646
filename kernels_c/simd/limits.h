// What the machine can do at most, one probe for each ceiling: bench/measure/machine/limits.py times them.
// build_ffi.py reads the declarations between the two markers for the tiers that this folder makes.
//
// Those that compute run `rounds` rounds and return the operations done. Those that move memory pass
// over their buffer `passes` times; pointers are multiples of 64 bytes, n is one of 128 floats.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// [declarations]

/* nothing: what a call with the usual arguments costs */
void limit_empty(const float *x, float *out, size_t n);

/* cycles: a chain in which each instruction waits for the one before, one cycle each */
uint64_t limit_clock(size_t rounds);

/* multiplications and additions: fused multiply-adds that wait for nothing */
uint64_t limit_fma_f32(size_t rounds);

/* multiplications and additions: pairs of int16 products added, and summed in int32 */
uint64_t limit_madd_i16(size_t rounds);

/* multiplications and additions: four products of bytes added to an int32; none without VNNI */
uint64_t limit_dot_i8(size_t rounds);

/* reads x[0 .. n); the largest element */
float limit_read_f32(const float *x, size_t n, size_t passes);

/* x[i] = 1 - x[i]: reads and writes one buffer */
void limit_update_f32(float *x, size_t n, size_t passes);

/* out[i] = x[i], through the caches */
void limit_copy_f32(const float *x, float *out, size_t n, size_t passes);

/* out[i] = x[i], stored past the caches */
void limit_stream_f32(const float *x, float *out, size_t n, size_t passes);

// [end of declarations]

#ifdef __cplusplus
}
#endif
