// Written by fit_coefficients.py; change that, not this.
// clang-format off
#pragma once
constexpr float LOG2E_HI = 0x1.7154760000000p+0f;  // log2 e
constexpr float LOG2E_LO = 0x1.4ae0c00000000p-26f;  // the rest of it
constexpr float LN2 = 0x1.62e4300000000p-1f;  // 1 / log2 e

// 2^f = 1 + f q(f), |f| <= 1/2
constexpr float EXP2_Q[6] = {
    0x1.62e4300000000p-1f,
    0x1.ebfbde0000000p-3f,
    0x1.c6af6e0000000p-5f,
    0x1.3b2ba00000000p-7f,
    0x1.5f07b40000000p-10f,
    0x1.4308fa0000000p-13f};
constexpr float GELU_C0_HI = -0x1.26aec00000000p+1f;  // -2 sqrt(2/pi) log2 e, to 2^-18
constexpr float GELU_C0_LO = -0x1.0de73a0000000p-22f;  // the rest of it
constexpr float GELU_C1_HI = -0x1.a5a7d00000000p-4f;  // -2 sqrt(2/pi) log2 e * 0.044715
constexpr float GELU_C1_LO = 0x1.151aae0000000p-29f;  // the rest of it

constexpr float ERFC_A = 0x1.4000000000000p+1f;  // w = t / (t + A) - S0
constexpr float ERFC_S0 = 0x1.2000000000000p-2f;
// 2^(t^2 LOG2E_HI/2) erfc(t/sqrt 2)/2 = 2^64 p(w) / (t + A), 0 <= t <= 14.5
constexpr float ERFC_P[10] = {
    0x1.d735220000000p-65f,
    -0x1.13e8c00000000p-64f,
    0x1.a7ef540000000p-66f,
    0x1.038fb60000000p-66f,
    -0x1.0a36860000000p-67f,
    -0x1.36b49e0000000p-67f,
    -0x1.1b12880000000p-71f,
    0x1.689b000000000p-68f,
    0x1.47eac00000000p-68f,
    -0x1.4e856c0000000p-68f};
