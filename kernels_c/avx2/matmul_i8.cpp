// Integer matrix product, the way out of the quantisation trap: int8 is widened to int16 once, while
// packing, and vpmaddwd then does two multiply-adds per 32-bit lane. The blocking is in gemm.h.
#include "gemm.h"
#include "kernels.h"

namespace {

struct Int8Lane {
    using In = int8_t;
    using Out = int32_t;
    using Packed = uint32_t;  // int16 of k in the low half, of k + 1 in the high half
    using Vec = __m256i;
    static constexpr size_t K_STEP = 2;

    static Packed pack(const In *p, size_t k_stride, size_t count) {
        const auto low = static_cast<uint16_t>(int16_t{*p});
        const auto high = static_cast<uint16_t>(int16_t{count > 1 ? p[k_stride] : In{0}});
        return low | static_cast<Packed>(high) << 16;
    }
    static const __m256i *vec(const void *p) { return static_cast<const __m256i *>(p); }
    static Vec zero() { return _mm256_setzero_si256(); }
    static Vec load_packed(const Packed *p) { return _mm256_loadu_si256(vec(p)); }
    static Vec load(const Out *p) { return _mm256_loadu_si256(vec(p)); }
    static void store(Out *p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), v); }
    static Vec add(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
    static Vec broadcast(const Packed *p) { return _mm256_set1_epi32(static_cast<int>(*p)); }
    /* Exact: a pair sums to at most 2 * 128^2 = 2^15, far from where vpmaddwd wraps. */
    static Vec multiply_add(Vec a, Vec b, Vec sum) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    }
};

}  // namespace

/* matmul_i8_i32
 *   formula    out[m, n] = a[m, k] b[k, n], row-major, int32 sums
 *   max error  0: exact for every int8 value while k <= 131071 (k * 128^2 < 2^31)
 */
int matmul_i8_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n, size_t k) {
    return gemm::multiply<Int8Lane>(a, b, out, m, n, k);
}
