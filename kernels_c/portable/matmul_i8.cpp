// Integer matrix product, the same three loops. This is the quantisation trap: every int8 is widened
// to int32 in the innermost loop, so the narrow type saves memory but no arithmetic.
#include "kernels.h"

/* matmul_i8_i32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major, int32 sums
 *   max error  0: exact for every int8 value while k <= 131071 (k * 128^2 < 2^31)
 */
int matmul_i8_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n, size_t k) {
    if (n == 0) return 0;  // m and k may then be any number
    for (size_t i = 0; i < m; ++i) {
        int32_t *row = out + i * n;
        for (size_t j = 0; j < n; ++j) row[j] = 0;
        for (size_t p = 0; p < k; ++p) {
            const int32_t a_ip = a[i * k + p];
            for (size_t j = 0; j < n; ++j) row[j] += a_ip * b[p * n + j];
        }
    }
    return 0;
}
