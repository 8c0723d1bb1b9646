// The probes. Each is the shortest loop that keeps one part of the core busy; what the compiler could
// see through is hidden from it by empty assembly, which costs no instruction.
#include "limits.h"

#include "vec.h"

namespace {

/* Four registers of float or int32_t under names of their own: an array of them would be kept in
   memory. */
template <class Lane>
struct Four {
    using V = decltype(load(static_cast<const Lane *>(nullptr)));
    V v0, v1, v2, v3;

    explicit Four(V v) : v0(v), v1(v), v2(v), v3(v) {}
    explicit Four(const Lane *p)
        : v0(load(p)), v1(load(p + LANES)), v2(load(p + 2 * LANES)), v3(load(p + 3 * LANES)) {}

    /* Each becomes f of itself. */
    template <class F>
    void each(F f) {
        v0 = f(v0);
        v1 = f(v1);
        v2 = f(v2);
        v3 = f(v3);
    }

    /* The compiler no longer knows what they hold. "v" is any vector register, however wide. */
    void hide() { asm volatile("" : "+v"(v0), "+v"(v1), "+v"(v2), "+v"(v3)); }
};

/* Two pipes times a latency of four or five cycles make ten chains; with twelve and two factors 14 of
   AVX2's 16 registers are in use. */
constexpr uint64_t CHAINS = 12;

/* Each of the chains becomes next of itself, `rounds` times; none waits for another. */
template <class Lane, class Next>
inline void twelve_chains(typename Four<Lane>::V first, size_t rounds, Next next) {
    Four<Lane> sums0(first), sums1(first), sums2(first);
    for (size_t i = 0; i < rounds; ++i) {
        sums0.each(next);
        sums1.each(next);
        sums2.each(next);
        sums0.hide();
        sums1.hide();
        sums2.hide();
    }
}

/* Floats moved per turn of a loop: its counter costs nothing beside eight registers. */
constexpr size_t HALF_STEP = 4 * LANES, STEP = 2 * HALF_STEP;

/* body(offset) for each step of each pass. */
template <class Body>
inline void over_memory(size_t n, size_t passes, Body body) {
    for (size_t pass = 0; pass < passes; ++pass) {
        size_t i = 0;
        asm volatile("" : "+r"(i));  // or a pass could be merged with the one before
        for (; i < n; i += STEP) body(i);
    }
}

/* put(p, registers) for every HALF_STEP of x and the same place of out. */
template <class Put>
inline void move(const float *x, float *out, size_t n, size_t passes, Put put) {
    over_memory(n, passes, [=](size_t i) {
        Four<float> low(x + i), high(x + i + HALF_STEP);
        low.hide();  // or the compiler calls memcpy
        high.hide();
        put(out + i, low);
        put(out + i + HALF_STEP, high);
    });
}

/* A lambda, not a function: move() would call that through a pointer. */
constexpr auto store_four = [](float *p, const Four<float> &registers) {
    store(p, registers.v0);
    store(p + LANES, registers.v1);
    store(p + 2 * LANES, registers.v2);
    store(p + 3 * LANES, registers.v3);
};

}  // namespace

void limit_empty(const float *, float *, size_t) {}

uint64_t limit_clock(size_t rounds) {
    uint64_t sum = 0, one = 1;
    // Registers are added: additions of constants are merged by Golden Cove before any adder.
    for (size_t i = 0; i < rounds; ++i) {
        asm volatile(".rept 64\n\tadd %1, %0\n\t.endr" : "+r"(sum) : "r"(one));
    }
    return sum;
}

uint64_t limit_fma_f32(size_t rounds) {
    F32 a = splat(0x1p-30f), b = a;  // the sums stay what they are
    asm volatile("" : "+v"(a), "+v"(b));
    twelve_chains<float>(splat(1.0f), rounds, [=](F32 sum) { return fmadd(a, b, sum); });
    return rounds * CHAINS * LANES * 2;
}

/* Zen 5 does 1.77 pairs of instructions a cycle, in every order of them that was tried, though each
   kind alone reaches 2: their shared ports are the limit that a product meets too. */
uint64_t limit_madd_i16(size_t rounds) {
    I32 a = splat_i32(0x00010001), b = a;
    asm volatile("" : "+v"(b));
    twelve_chains<int32_t>(splat_i32(0), rounds, [&a, b](I32 sum) {
        asm volatile("" : "+v"(a));  // or one product would serve every sum
        return add(sum, madd_i16(a, b));
    });
    return rounds * CHAINS * LANES * 4;  // two products and two additions in each lane
}

uint64_t limit_dot_i8(size_t rounds) {
#ifdef __AVX512VNNI__
    I32 a = splat_i32(0x01010101), b = a;
    asm volatile("" : "+v"(a), "+v"(b));
    twelve_chains<int32_t>(splat_i32(0), rounds,
                           [=](I32 sum) { return _mm512_dpbusd_epi32(sum, a, b); });
    return rounds * CHAINS * LANES * 8;  // four products and four additions in each lane
#else
    return 0 * rounds;
#endif
}

float limit_read_f32(const float *x, size_t n, size_t passes) {
    // Eight chains: two loads a cycle times the four cycles that a maximum takes.
    Four<float> low(splat(-3.0e38f)), high(low);
    over_memory(n, passes, [&](size_t i) {
        const Four<float> x_low(x + i), x_high(x + i + HALF_STEP);
        low.v0 = max(low.v0, x_low.v0);
        low.v1 = max(low.v1, x_low.v1);
        low.v2 = max(low.v2, x_low.v2);
        low.v3 = max(low.v3, x_low.v3);
        high.v0 = max(high.v0, x_high.v0);
        high.v1 = max(high.v1, x_high.v1);
        high.v2 = max(high.v2, x_high.v2);
        high.v3 = max(high.v3, x_high.v3);
    });
    float lanes[STEP];
    store_four(lanes, low);
    store_four(lanes + HALF_STEP, high);
    float largest = lanes[0];
    for (float lane : lanes) largest = lane > largest ? lane : largest;
    return largest;
}

void limit_update_f32(float *x, size_t n, size_t passes) {
    const F32 one = splat(1.0f);
    move(x, x, n, passes, [one](float *p, Four<float> &registers) {
        registers.each([one](F32 v) { return sub(one, v); });
        store_four(p, registers);
    });
}

void limit_copy_f32(const float *x, float *out, size_t n, size_t passes) {
    move(x, out, n, passes, store_four);
}

void limit_stream_f32(const float *x, float *out, size_t n, size_t passes) {
    move(x, out, n, passes, [](float *p, const Four<float> &registers) {
        stream(p, registers.v0);
        stream(p + LANES, registers.v1);
        stream(p + 2 * LANES, registers.v2);
        stream(p + 3 * LANES, registers.v3);
    });
    _mm_sfence();  // done when memory has them
}
