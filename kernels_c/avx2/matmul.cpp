// Float matrix product: FMA on 6 x 16 tiles. The blocking is in gemm.h.
#include "gemm.h"
#include "kernels.h"

namespace {

struct Float32Lane {
    using In = float;
    using Out = float;
    using Packed = float;
    using Vec = __m256;
    static constexpr size_t K_STEP = 1;

    static Packed pack(const In *p, size_t, size_t) { return *p; }
    static Vec zero() { return _mm256_setzero_ps(); }
    static Vec load_packed(const Packed *p) { return _mm256_loadu_ps(p); }
    static Vec load(const Out *p) { return _mm256_loadu_ps(p); }
    static void store(Out *p, Vec v) { _mm256_storeu_ps(p, v); }
    static Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
    static Vec broadcast(const Packed *p) { return _mm256_broadcast_ss(p); }
    static Vec multiply_add(Vec a, Vec b, Vec sum) { return _mm256_fmadd_ps(a, b, sum); }
};

}  // namespace

/* matmul_f32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major
 *   max error  k ULP of (|a| |b|)[m, n] (gamma_k, Higham, Accuracy and Stability, sec. 3.1)
 *   NaN, inf   propagate as the sum of products does; what out held before does not matter
 */
int matmul_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k) {
    return gemm::multiply<Float32Lane>(a, b, out, m, n, k);
}
