// ReLU: one vmaxps for each register; memory is the limit at every size.
#include "kernels.h"
#include "map.h"

/* Elements from which a second thread pays: some 3 us of work in the second-level cache. */
static constexpr size_t ALONE = 65536;

/* relu_f32
 *   formula    out[i] = max(x[i], 0)
 *   max error  0 ULP
 *   NaN, inf   NaN and -0.0 pass unchanged, -inf gives 0: max returns its second operand when
 *              one is NaN or both are zero
 */
void relu_f32(const float *x, float *out, size_t n) {
    parallel_map_f32(x, out, n, ALONE, [](auto v) { return max(decltype(v)(zero()), v); });
}
