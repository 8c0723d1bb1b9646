// Integer matrix product, the way out of the quantisation trap: operands are brought once, while packing,
// into the form in which one instruction does several multiply-adds in each 32-bit lane. gemm.h does the
// rest.
#include "gemm.h"
#include "kernels.h"

#if defined(__AVX512VNNI__)
#include "int8_bytes.h"
#else
#include "int8_pairs.h"
#endif

/* matmul_i8_i32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major, int32 sums
 *   max error  0: exact for every int8 value while k <= 131071 (k * 128^2 < 2^31)
 */
int matmul_i8_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n, size_t k) {
    return gemm::multiply<gemm::Int8Lane>(a, b, out, m, n, k);
}
