// Float matrix product, three plain loops.
#include "kernels.h"

/* matmul_f32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major
 *   max error  k ULP of (|a| |b|)[m, n] (gamma_k, Higham, Accuracy and Stability, sec. 3.1)
 *   NaN, inf   propagate as the sum of products does; what out held before does not matter
 *
 * Loop order m, k, n: the innermost loop walks b and out along their rows, which a compiler can
 * vectorise without reordering a sum.
 */
int matmul_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k) {
    if (n == 0) return 0;  // m and k may then be any number
    for (size_t i = 0; i < m; ++i) {
        float *row = out + i * n;
        for (size_t j = 0; j < n; ++j) row[j] = 0.0f;
        for (size_t p = 0; p < k; ++p) {
            const float a_ip = a[i * k + p];
            for (size_t j = 0; j < n; ++j) row[j] += a_ip * b[p * n + j];
        }
    }
    return 0;
}
