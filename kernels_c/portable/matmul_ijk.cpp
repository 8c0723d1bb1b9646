// Both matrix products with the loops of Python's `loop`, line by line: what compiling alone gives, before
// anyone thinks of memory. matmul.cpp and matmul_i8.cpp change the order of the loops and nothing else.
#include "ablations.h"

/* matmul_ijk_f32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major
 *   max error  k ULP of (|a| |b|)[m, n] (gamma_k, Higham, Accuracy and Stability, sec. 3.1)
 *   NaN, inf   propagate as the sum of products does; what out held before does not matter
 *
 * The innermost loop goes down a column of b, n floats at a time, and each addition waits for the one
 * before.
 */
int matmul_ijk_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k) {
    if (n == 0) return 0;  // m and k may then be any number
    for (size_t i = 0; i < m; ++i) {
        for (size_t j = 0; j < n; ++j) {
            float total = 0.0f;
            for (size_t p = 0; p < k; ++p) total += a[i * k + p] * b[p * n + j];
            out[i * n + j] = total;
        }
    }
    return 0;
}

/* matmul_i8_ijk_i32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major, int32 sums
 *   max error  0: exact for every int8 value while k <= 131071 (k * 128^2 < 2^31)
 */
int matmul_i8_ijk_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n,
                      size_t k) {
    if (n == 0) return 0;  // m and k may then be any number
    for (size_t i = 0; i < m; ++i) {
        for (size_t j = 0; j < n; ++j) {
            int32_t total = 0;
            for (size_t p = 0; p < k; ++p) total += a[i * k + p] * b[p * n + j];
            out[i * n + j] = total;
        }
    }
    return 0;
}
