// Float matrix product: gemm.h with a float in each lane.
#include "float_lane.h"
#include "gemm.h"
#include "kernels.h"

/* matmul_f32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major
 *   max error  k ULP of (|a| |b|)[m, n] (gamma_k, Higham, Accuracy and Stability, sec. 3.1)
 *   NaN, inf   propagate as the sum of products does; what out held before does not matter
 */
int matmul_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k) {
    return gemm::multiply<gemm::Float32Lane>(a, b, out, m, n, k);
}
