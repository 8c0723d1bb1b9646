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
constexpr float ERFC_S0 = 0x1.3333340000000p-2f;
// 2^(t^2 LOG2E_HI/2) erfc(t/sqrt 2)/2 = 2^64 p(w) / (t + A), 0 <= t <= 14.5
constexpr float ERFC_P[10] = {
    0x1.ccefb20000000p-65f,
    -0x1.0fde040000000p-64f,
    0x1.b63e840000000p-66f,
    0x1.f2101c0000000p-67f,
    -0x1.2764580000000p-67f,
    -0x1.374e8c0000000p-67f,
    0x1.df9eba0000000p-73f,
    0x1.958f2a0000000p-68f,
    0x1.0f77700000000p-68f,
    -0x1.4e856c0000000p-68f};
