// One register of floats or integers, under names that do not say how wide it is. vec256.h gives them
// for AVX2; a port to another width is one more file like it.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include "vec512.h"
#else
#include "vec256.h"
#endif

inline F32 zero() { return splat(0.0f); }
inline F32 abs(F32 v) { return and_not(splat(-0.0f), v); }
