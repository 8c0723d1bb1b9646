// Sums that stay exact to the last bits however long they are: what softmax.cpp and layernorm.cpp share.
#pragma once

#include "vec.h"

/* A sum in each lane whose rounding errors are kept and added in the end (Kahan, Further Remarks on Reducing
   Truncation Errors, CACM 8(1), 1965). For terms that are not negative. */
struct CompensatedSum {
    F32 sum = zero(), lost = zero();

    void include(F32 v) {
        const F32 next = add(sum, v);
        lost = add(lost, sub(v, sub(next, sum)));
        sum = next;
    }
    double of_lanes() const { return double_sum_of_lanes(sum) + double_sum_of_lanes(lost); }
};
