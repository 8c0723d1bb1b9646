// Written by fit_coefficients.py; change that, not this.
// clang-format off
#pragma once
constexpr float LOG2E = 0x1.7154760000000p+0f;  // 1 / ln 2
constexpr float LN2_HI = 0x1.62e4000000000p-1f;  // 15 bits of ln 2
constexpr float LN2_LO = 0x1.7f7d1c0000000p-20f;  // ln 2 - LN2_HI

// e^r = 1 + r + r^2 q(r), |r| <= ln2 / 2
constexpr float EXP_Q[5] = {
    0x1.0000000000000p-1f,
    0x1.5554de0000000p-3f,
    0x1.55551a0000000p-5f,
    0x1.120b620000000p-7f,
    0x1.6d10fc0000000p-10f};
constexpr float GELU_C0_HI = -0x1.9884400000000p+0f;  // -2 sqrt(2/pi), to 2^-18
constexpr float GELU_C0_LO = -0x1.33d4360000000p-20f;  // the rest of it
constexpr float GELU_C1_HI = -0x1.2444f20000000p-4f;  // -2 sqrt(2/pi) * 0.044715
constexpr float GELU_C1_LO = -0x1.49b16a0000000p-29f;  // the rest of it

constexpr float ERFC_A = 0x1.8000000000000p+1f;  // w = t / (t + A) - S0
constexpr float ERFC_S0 = 0x1.0000000000000p-2f;
// exp(t^2/2) erfc(t/sqrt 2)/2 = p(w) / (t + A), 0 <= t <= 14.5
constexpr float ERFC_P[11] = {
    0x1.0bdb2e0000000p+0f,
    -0x1.890c8a0000000p+0f,
    0x1.1caeb60000000p+0f,
    -0x1.b00fc60000000p-4f,
    -0x1.56fc5e0000000p-2f,
    0x1.9f5ef40000000p-6f,
    0x1.284bc80000000p-3f,
    0x1.470da20000000p-5f,
    -0x1.cf3fe80000000p-5f,
    -0x1.2d439c0000000p-4f,
    0x1.d05c080000000p-5f};
