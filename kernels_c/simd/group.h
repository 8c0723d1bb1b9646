// Several registers that go through the same steps side by side. A long chain of dependent operations
// leaves the execution units idle, and the processor's window is too short to find the next element's
// chain behind it; written step by step for a group, the chains are already interleaved.
#pragma once

#include "vec.h"

// As a template argument F32 loses its attributes, which say what it may alias; nothing here needs them.
#pragma GCC diagnostic ignored "-Wignored-attributes"

template <class V>
struct Pair {
    V a, b;

    Pair() = default;
    Pair(V first, V second) : a(first), b(second) {}
    Pair(F32 same) : a(same), b(same) {}  // constants are written as for a single register

#define PAIR_OPERATION(name, parameters, first, second) \
    friend inline Pair name parameters { return {name first, name second}; }
    PAIR_OPERATION(add, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(sub, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(mul, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(div, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(max, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(min, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(abs, (Pair x), (x.a), (x.b))
    PAIR_OPERATION(or_if_nan, (Pair x, Pair y), (x.a, y.a), (x.b, y.b))
    PAIR_OPERATION(fmadd, (Pair x, Pair y, Pair z), (x.a, y.a, z.a), (x.b, y.b, z.b))
    PAIR_OPERATION(fnmadd, (Pair x, Pair y, Pair z), (x.a, y.a, z.a), (x.b, y.b, z.b))
    PAIR_OPERATION(fmsub, (Pair x, Pair y, Pair z), (x.a, y.a, z.a), (x.b, y.b, z.b))
    PAIR_OPERATION(shift_left_23, (Pair x), (x.a), (x.b))
    PAIR_OPERATION(from_i32_bits, (Pair x), (x.a), (x.b))
    PAIR_OPERATION(select_greater, (Pair x, Pair y, Pair z, Pair w), (x.a, y.a, z.a, w.a),
                   (x.b, y.b, z.b, w.b))
#undef PAIR_OPERATION
};

using Quad = Pair<Pair<F32>>;

/* From and to consecutive addresses: one, two or four registers. */
template <class V>
inline V load_group(const float *p) {
    if constexpr (sizeof(V) == sizeof(F32))
        return load(p);
    else
        return {load_group<decltype(V::a)>(p),
                load_group<decltype(V::a)>(p + sizeof(V) / 2 / sizeof(float))};
}
inline void store_group(float *p, F32 v) { store(p, v); }
template <class V>
inline void store_group(float *p, Pair<V> v) {
    store_group(p, v.a);
    store_group(p + sizeof(V) / sizeof(float), v.b);
}
inline void stream_group(float *p, F32 v) { stream(p, v); }
template <class V>
inline void stream_group(float *p, Pair<V> v) {
    stream_group(p, v.a);
    stream_group(p + sizeof(V) / sizeof(float), v.b);
}
