// The float lane of gemm.h: one FMA for each lane and step of k.
#pragma once

#include "vec.h"

namespace gemm {

struct Float32Lane {
    using In = float;
    using Out = float;
    using Packed = float;
    using Stored = Packed;
    using Vec = F32;
    static constexpr size_t K_STEP = 1;
    static constexpr bool PACKED_A = false, HEADER = false;

    static Vec broadcast(const Packed *p) { return splat(*p); }
    static Vec load_b(const Stored *p) { return load(p); }
    static Vec multiply_add(Vec a, Vec b, Vec sum) { return fmadd(a, b, sum); }

    static __m128i four_steps(const In *p) { return _mm_castps_si128(_mm_loadu_ps(p)); }
    static Packed one_step_of_a(const In *p, size_t) { return *p; }
    static Packed one_step(const In *p, size_t, size_t) { return *p; }
    static void pack_lanes(const In *p, size_t, Packed *panel) { store(panel, load(p)); }
    static void write_header(const Packed *, size_t, size_t, Packed *) {}
};

}  // namespace gemm
