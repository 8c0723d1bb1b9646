// Float matrix product: one FMA for each lane and step of k. gemm.h does the rest.
#include "gemm.h"
#include "kernels.h"

namespace {

struct Float32Lane {
    using In = float;
    using Out = float;
    using Packed = float;
    using Vec = F32;
    static constexpr size_t K_STEP = 1;
    static constexpr bool PACKED_A = false, HEADER = false;

    static Vec broadcast(const Packed *p) { return splat(*p); }
    static Vec multiply_add(Vec a, Vec b, Vec sum) { return fmadd(a, b, sum); }

    static __m128i four_steps(const In *p) { return _mm_castps_si128(_mm_loadu_ps(p)); }
    static Packed one_step_of_a(const In *p, size_t) { return *p; }
    static Packed one_step(const In *p, size_t, size_t) { return *p; }
    static void pack_lanes(const In *p, size_t, Packed *panel) { store(panel, load(p)); }
    static void write_header(const Packed *, size_t, size_t, Packed *) {}
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
