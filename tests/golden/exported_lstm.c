/* lstm: lstm, exported by unrolled VERSION.

   Weights: 512 bytes (float32).
   State: 32 bytes, and 144 bytes of the stack.
   Multiply-adds per step: 112.

   u₁(t) = b + W h(t-1) + U x(t)
   c(t) = σ(u₁₂(t)) ⊙ c(t-1) + σ(u₁₁(t)) ⊙ tanh(u₁₃(t))
   h(t) = σ(u₁₄(t)) ⊙ tanh(c(t))

   The file needs no library and no memory of its own. Its proof, 32 steps of the float64 reference:
   cc -O2 -DLSTM_TEST lstm.c -o lstm_test && ./lstm_test
   It is fastest with -O3, and -march=native where it stays on one machine. */

#include <stdint.h>

#define LSTM_INLINE static inline

typedef struct {
    float h[4];
    float c[4];
} lstm_state;

/* The state before the first step: zero. */
void lstm_reset(lstm_state *state);

/* One step.
   x, 3 numbers: read
   h_out, 4 numbers: written
   No two of these may share memory. */
void lstm_step(lstm_state *restrict state, const float *restrict x, float *restrict h_out);

/* n steps, one after another. */
void lstm_run(lstm_state *restrict state, int32_t n, const float *restrict x, float *restrict h_out);

/* b, 16 */
static const float lstm_b[16] = {
    -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, 0.5f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, 0.5f,
    -0.25f, -0.125f,
};

/* U, 16 x 3 */
static const float lstm_U[48] = {
    -0.375f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, -0.375f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f,
    0.375f, -0.375f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, -0.375f, -0.25f, -0.125f, 0.0f, 0.125f,
    0.25f, 0.375f, -0.375f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, -0.375f, -0.25f, -0.125f, 0.0f,
    0.125f, 0.25f, 0.375f, -0.375f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f,
};

/* W, 16 x 4 */
static const float lstm_W[64] = {
    -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f,
    0.1875f, 0.3125f, 0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f,
    -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f,
    0.3125f, 0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f, -0.1875f,
    -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f,
    0.4375f, -0.3125f, -0.1875f, -0.0625f, 0.0625f, 0.1875f, 0.3125f, 0.4375f, -0.3125f,
};


LSTM_INLINE float lstm_number(uint32_t bits) {
    union { float x; uint32_t bits; } both;
    both.bits = bits;
    return both.x;
}

/* 2^n for an integer n in the range of the exponent, by its bits. */
LSTM_INLINE float lstm_power_of_two(uint32_t n) {
    float result;
    const uint32_t bits = (n + 127) << 23;
    result = lstm_number(bits);
    return result;
}

LSTM_INLINE uint32_t lstm_bits(float x) {
    union { float x; uint32_t bits; } both;
    both.x = x;
    return both.bits;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. Adding `shift` to x / ln 2 leaves n in the lowest bits; n is
   arbitrary if x is NaN or out of range. float: the polynomial of Moshier's Cephes library (expf.c); double: Taylor. */
LSTM_INLINE float lstm_reduced(float x, uint32_t *n) {
    const float shift = 12582912.0f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float shifted = x * 1.44269504088896340736f + shift, m = shifted - shift;
    const float r = (x - m * ln2_high) - m * ln2_low;
    uint32_t bits, none;
    bits = lstm_bits(shifted);
    none = lstm_bits(shift);
    *n = bits - none;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r;
}

LSTM_INLINE float lstm_abs(float x) { return x < 0 ? -x : x; }

/* 1 / (1 + exp(-x)); a result below the smallest normal number is zero, as in torch. */
LSTM_INLINE float lstm_sigmoid(float x) {
    uint32_t n;
    const float p = lstm_reduced(-(x > 88.37f ? 88.37f : x), &n), scale = lstm_power_of_two(n);
    const float small = x > 0 ? scale : 1, large = x > 0 ? 1 : scale; /* added last, so that only one rounding matters */
    const float y = 1 / ((scale * p + small) + large);
    return x < -88.37f ? 0 : y;
}

/* Near zero x + x^3 P(x^2), coefficients of Moshier's Cephes library (tanhf.c, tanh.c), else 1 - 2 / (exp(2 |x|) + 1). */
LSTM_INLINE float lstm_tanh(float x) {
    uint32_t n;
    const float a = lstm_abs(x), z = x * x, c = a > 10 ? 10 : a;
    const float e = lstm_reduced(c + c, &n), scale = lstm_power_of_two(n), far = 1 - 2 / (scale * e + (scale + 1));
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return a < 0.625f ? x + x * z * p : (x < 0 ? -far : far);
}

void lstm_step(lstm_state *restrict state, const float *restrict x, float *restrict h_out) {
    float *const h = state->h;
    float *const c = state->c;
    float t0[16];
    float t1[16];
    float t2[4];
    for (int i = 0; i < 16; i++) {
        float total = 0;
        for (int k = 0; k < 3; k++) total += lstm_U[i * 3 + k] * x[k];
        t0[i] = total;
    }
    for (int i = 0; i < 16; i++) {
        float total = 0;
        for (int k = 0; k < 4; k++) total += lstm_W[i * 4 + k] * h[k];
        t1[i] = total;
    }
    for (int j = 0; j < 4; j++) {
        const float v0 = lstm_b[12 + j] + t0[12 + j];
        const float v1 = v0 + t1[12 + j];
        const float v2 = lstm_sigmoid(v1);
        const float v3 = lstm_b[4 + j] + t0[4 + j];
        const float v4 = v3 + t1[4 + j];
        const float v5 = lstm_sigmoid(v4);
        const float v6 = v5 * c[j];
        const float v7 = lstm_b[j] + t0[j];
        const float v8 = v7 + t1[j];
        const float v9 = lstm_sigmoid(v8);
        const float v10 = lstm_b[8 + j] + t0[8 + j];
        const float v11 = v10 + t1[8 + j];
        const float v12 = lstm_tanh(v11);
        const float v13 = v9 * v12;
        const float v14 = v6 + v13;
        t2[j] = v2;
        c[j] = v14;
    }
    for (int j = 0; j < 4; j++) {
        const float v0 = lstm_tanh(c[j]);
        const float v1 = t2[j] * v0;
        h[j] = v1;
        h_out[j] = v1;
    }
}


void lstm_reset(lstm_state *state) {
    for (int j = 0; j < 4; j++) state->h[j] = 0;
    for (int j = 0; j < 4; j++) state->c[j] = 0;
}


void lstm_run(lstm_state *restrict state, int32_t n, const float *restrict x, float *restrict h_out) {
    for (int32_t t = 0; t < n; t++) {
        lstm_step(state, x + t * 3, h_out + t * 4);
    }
}

