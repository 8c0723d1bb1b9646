// ReLU: one vmaxps per eight elements; memory is the limit at every size.
#include "kernels.h"
#include "parallel.h"
#include "vec.h"

/* relu_f32
 *   formula    out[i] = max(x[i], 0)
 *   max error  0 ULP
 *   NaN, inf   NaN and -0.0 pass unchanged, -inf gives 0: vmaxps returns its second operand when
 *              one is NaN or both are zero
 */
void relu_f32(const float *x, float *out, size_t n) {
    parallel_ranges(n, [=](size_t begin, size_t end) {
        map_f32(x + begin, out + begin, end - begin,
                [](__m256 v) { return _mm256_max_ps(_mm256_setzero_ps(), v); });
    });
}
