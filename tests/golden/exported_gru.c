/* gru: gru, exported by unrolled VERSION.

   Weights: 512 bytes (float32).
   State: 16 bytes, and 144 bytes of the stack.
   Multiply-adds per step: 84.

   u₁(t) = σ(split(b + U x(t), 3)[2] + split(W h(t-1), 3)[2])
   h(t) = (1 - u₁(t)) ⊙ tanh(split(b + U x(t), 3)[3] + σ(split(b + U x(t), 3)[1] + split(W h(t-1), 3)[1]) ⊙ (split(W h(t-1), 3)[3] + d)) + u₁(t) ⊙ h(t-1)

   The file needs no library and no memory of its own. Its proof, 32 steps of the float64 reference:
   cc -O2 -DGRU_TEST gru.c -o gru_test && ./gru_test
   It is fastest with -O3, and -march=native where it stays on one machine. */

#include <stdint.h>

#if defined(__GNUC__)
#define GRU_INLINE static inline __attribute__((always_inline))
#else
#define GRU_INLINE static inline
#endif

typedef struct {
    float h[4];
} gru_state;

/* The state before the first step: zero. */
void gru_reset(gru_state *state);

/* One step.
   x, 3 numbers: read
   h_out, 4 numbers: written
   No two of these may share memory. */
void gru_step(gru_state *restrict state, const float *restrict x, float *restrict h_out);

/* n steps, one after another. */
void gru_run(gru_state *restrict state, int32_t n, const float *restrict x, float *restrict h_out);

/* b, 12 */
static const float gru_b[12] = {
    -0.25f, -0.125f, 0.0f, 0.125f, 0.25f, 0.375f, 0.5f, -0.25f, -0.125f, 0.0f, 0.125f, 0.25f,
};

/* d, 4 */
static const float gru_d[4] = {
    -0.1875f, -0.0625f, 0.0625f, 0.1875f,
};

/* U, 12 x 3, in panels of 16 rows: see the product */
static const float gru_U[48] = {
    -0.375f, 0.0f, 0.375f, -0.125f, 0.25f, -0.25f, 0.125f, -0.375f, 0.0f, 0.375f, -0.125f, 0.25f, 0.0f, 0.0f,
    0.0f, 0.0f, -0.25f, 0.125f, -0.375f, 0.0f, 0.375f, -0.125f, 0.25f, -0.25f, 0.125f, -0.375f, 0.0f, 0.375f,
    0.0f, 0.0f, 0.0f, 0.0f, -0.125f, 0.25f, -0.25f, 0.125f, -0.375f, 0.0f, 0.375f, -0.125f, 0.25f, -0.25f,
    0.125f, -0.375f, 0.0f, 0.0f, 0.0f, 0.0f,
};

/* W, 12 x 4, in panels of 16 rows: see the product */
static const float gru_W[64] = {
    -0.3125f, 0.1875f, -0.1875f, 0.3125f, -0.0625f, 0.4375f, 0.0625f, -0.3125f, 0.1875f, -0.1875f, 0.3125f,
    -0.0625f, 0.0f, 0.0f, 0.0f, 0.0f, -0.1875f, 0.3125f, -0.0625f, 0.4375f, 0.0625f, -0.3125f, 0.1875f,
    -0.1875f, 0.3125f, -0.0625f, 0.4375f, 0.0625f, 0.0f, 0.0f, 0.0f, 0.0f, -0.0625f, 0.4375f, 0.0625f,
    -0.3125f, 0.1875f, -0.1875f, 0.3125f, -0.0625f, 0.4375f, 0.0625f, -0.3125f, 0.1875f, 0.0f, 0.0f, 0.0f,
    0.0f, 0.0625f, -0.3125f, 0.1875f, -0.1875f, 0.3125f, -0.0625f, 0.4375f, 0.0625f, -0.3125f, 0.1875f,
    -0.1875f, 0.3125f, 0.0f, 0.0f, 0.0f, 0.0f,
};


GRU_INLINE float gru_number(uint32_t bits) {
    union { float x; uint32_t bits; } both;
    both.bits = bits;
    return both.x;
}

/* 2^n for an integer n in the range of the exponent, by its bits. */
GRU_INLINE float gru_power_of_two(uint32_t n) {
    float result;
    const uint32_t bits = (n + 127) << 23;
    result = gru_number(bits);
    return result;
}

GRU_INLINE uint32_t gru_bits(float x) {
    union { float x; uint32_t bits; } both;
    both.x = x;
    return both.bits;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. Adding `shift` to x / ln 2 leaves n in the lowest bits; n is
   arbitrary if x is NaN or out of range. float: the polynomial of Moshier's Cephes library (expf.c); double: Taylor. */
GRU_INLINE float gru_reduced(float x, uint32_t *n) {
    const float shift = 12582912.0f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float shifted = x * 1.44269504088896340736f + shift, m = shifted - shift;
    const float r = (x - m * ln2_high) - m * ln2_low;
    uint32_t bits, none;
    bits = gru_bits(shifted);
    none = gru_bits(shift);
    *n = bits - none;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r;
}

GRU_INLINE float gru_abs(float x) { return x < 0 ? -x : x; }

/* 1 / (1 + exp(-x)); a result below the smallest normal number is zero, as in torch. */
GRU_INLINE float gru_sigmoid(float x) {
    uint32_t n;
    const float p = gru_reduced(-(x > 88.37f ? 88.37f : x), &n), scale = gru_power_of_two(n);
    const float small = x > 0 ? scale : 1, large = x > 0 ? 1 : scale; /* added last, so that only one rounding matters */
    const float y = 1 / ((scale * p + small) + large);
    return x < -88.37f ? 0 : y;
}

/* Near zero x + x^3 P(x^2), coefficients of Moshier's Cephes library (tanhf.c, tanh.c), else 1 - 2 / (exp(2 |x|) + 1). */
GRU_INLINE float gru_tanh(float x) {
    uint32_t n;
    const float a = gru_abs(x), z = x * x, c = a > 10 ? 10 : a;
    const float e = gru_reduced(c + c, &n), scale = gru_power_of_two(n), far = 1 - 2 / (scale * e + (scale + 1));
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return a < 0.625f ? x + x * z * p : (x < 0 ? -far : far);
}

/* The compiler's vectors, as wide as the machine's. Without them (not GCC or Clang), one number at a time. */
#if defined(__AVX512F__)
#define gru_LANES 16
#elif defined(__AVX__)
#define gru_LANES 8
#else
#define gru_LANES 4
#endif
#if defined(__clang__)
#define gru_UNROLL _Pragma("clang loop unroll(full)")
#else
#define gru_UNROLL _Pragma("GCC unroll 16")
#endif
#if defined(__GNUC__)
typedef float gru_vector __attribute__((vector_size(4 * gru_LANES), aligned(4), may_alias));
#endif

/* y = W x for 16 rows of W, stored column after column. Eight vectors of sums are added up side by side, because an
   addition takes longer than the machine needs to begin the next one. */
static void gru_panel(float y[16], const float *restrict W, const float *restrict x, int columns) {
#if defined(__GNUC__)
    const int together = gru_LANES / 2, whole = columns / together * together; /* columns */
    const float *w = W;
    gru_vector sums[8];
    gru_UNROLL for (int q = 0; q < 8; q++) sums[q] = (gru_vector){0};
    for (int k = 0; k < whole; k += together, w += 16 * together) {
        gru_UNROLL for (int q = 0; q < 8; q++) sums[q] += (*(const gru_vector *)(w + q * gru_LANES)) * x[k + q * gru_LANES / 16];
    }
    for (int k = whole; k < columns; k++, w += 16) {
        gru_UNROLL for (int q = 0; q < 16 / gru_LANES; q++) sums[q] += (*(const gru_vector *)(w + q * gru_LANES)) * x[k];
    }
    gru_UNROLL for (int q = 16 / gru_LANES; q < 8; q++) sums[q % (16 / gru_LANES)] += sums[q];
    gru_UNROLL for (int q = 0; q < 16 / gru_LANES; q++) *(gru_vector *)(y + q * gru_LANES) = sums[q];
#else
    for (int j = 0; j < 16; j++) y[j] = 0;
    for (int k = 0; k < columns; k++) {
        for (int j = 0; j < 16; j++) y[j] += W[16 * k + j] * x[k];
    }
#endif
}

/* y = W x, with W (rows, columns) in panels of 16 rows, and zeros below its last row. */
static void gru_multiply(float *restrict y, const float *restrict W, const float *restrict x, int rows, int columns) {
    float panel[16];
    for (int i = 0; i < rows; i += 16) {
        gru_panel(panel, W + i * columns, x, columns);
        for (int j = 0; j < 16 && i + j < rows; j++) y[i + j] = panel[j];
    }
}

void gru_step(gru_state *restrict state, const float *restrict x, float *restrict h_out) {
    float *const h = state->h;
    float t0[12];
    float t1[12];
    float t2[4];
    float t3[4];
    float t4[4];
    gru_multiply(t0, gru_U, x, 12, 3);
    gru_multiply(t1, gru_W, h, 12, 4);
    for (int j = 0; j < 4; j++) {
        const float v0 = gru_b[4 + j] + t0[4 + j];
        const float v1 = v0 + t1[4 + j];
        const float v2 = gru_sigmoid(v1);
        const float v3 = 1.0f - v2;
        const float v4 = gru_b[j] + t0[j];
        const float v5 = v4 + t1[j];
        const float v6 = gru_sigmoid(v5);
        const float v7 = gru_d[j] + t1[8 + j];
        const float v8 = v6 * v7;
        const float v9 = gru_b[8 + j] + t0[8 + j];
        const float v10 = v9 + v8;
        const float v11 = v2 * h[j];
        t2[j] = v3;
        t3[j] = v10;
        t4[j] = v11;
    }
    for (int j = 0; j < 4; j++) {
        const float v0 = gru_tanh(t3[j]);
        const float v1 = t2[j] * v0;
        const float v2 = v1 + t4[j];
        h[j] = v2;
        h_out[j] = v2;
    }
}


void gru_reset(gru_state *state) {
    for (int j = 0; j < 4; j++) state->h[j] = 0;
}


void gru_run(gru_state *restrict state, int32_t n, const float *restrict x, float *restrict h_out) {
    for (int32_t t = 0; t < n; t++) {
        gru_step(state, x + t * 3, h_out + t * 4);
    }
}

#ifdef GRU_TEST
#include <stdio.h>

static const float gru_test_x[96] = {
    0.942f, -1.397f, -0.68f, 0.371f, -1.016f, -0.072f, 0.179f, -0.831f, -1.309f, 0.194f, 0.993f, -0.647f,
    -0.334f, 1.646f, -0.559f, -0.514f, 2.404f, -1.531f, 0.796f, -2.004f, -0.597f, 1.504f, 1.221f, -0.901f,
    -0.454f, 0.08f, -1.258f, 0.552f, 2.228f, -1.355f, -1.982f, 0.288f, -0.119f, 1.804f, -0.16f, -0.051f,
    -0.191f, -0.991f, 0.673f, -1.324f, 1.166f, 0.008f, 0.504f, -0.553f, -0.92f, 1.8f, 0.469f, 1.207f, 0.187f,
    2.612f, 0.358f, -1.03f, 0.769f, 0.425f, -2.321f, -0.116f, 0.98f, 0.801f, -0.339f, -1.213f, 0.491f,
    -1.146f, 1.325f, -0.306f, -0.925f, -0.568f, -0.811f, -0.561f, -0.736f, -0.379f, 0.239f, 0.597f, -1.11f,
    -0.952f, -0.429f, 0.064f, 0.098f, -2.044f, 1.704f, -0.89f, 1.817f, -1.352f, -0.964f, -0.251f, -0.223f,
    -0.772f, 0.735f, -1.802f, 1.055f, -0.818f, 1.252f, -0.409f, -1.399f, 0.449f, 2.23f, -0.052f,
};
static const double gru_exact_h_out[128] = {
    -0.2250836082, 0.3254954095, -0.0156316184, 0.1612686451, -0.2820582311, 0.3984906043, 0.04722838386,
    0.1450796766, -0.3814580463, 0.4940532518, 0.02916170092, 0.3389092131, -0.3444222886, 0.1660890563,
    0.03981158329, 0.618861632, -0.3141415328, -0.1681981355, 0.04460292655, 0.7444291951, -0.326103223,
    -0.3655884846, -0.002076930749, 0.859175245, -0.4986295165, 0.1376785963, -0.1518117263, 0.5249607908,
    -0.4697249686, 0.2702670996, -0.173754068, 0.7987989494, -0.5114096652, 0.2198119848, -0.1048983701,
    0.7512549435, -0.4906870765, -0.04370672694, -0.1218400713, 0.8882984295, -0.4883818362, -0.2535490002,
    0.01605090249, 0.6361189388, -0.4430600882, 0.261852592, -0.0861108391, 0.6591772565, -0.365028407,
    0.2264009419, 0.003813648523, 0.2571740613, -0.2675815731, -0.1750620923, 0.09262588728, 0.366394631,
    -0.3605431633, 0.1588977219, -0.03060124549, 0.4721011374, -0.1823743309, 0.2037815723, -0.02208886571,
    0.5193420911, -0.1025898085, -0.3127012583, 0.007247423789, 0.7736215307, -0.1410018464, -0.4266478996,
    0.0627629099, 0.5491000543, -0.1898312163, -0.520139815, 0.1815385141, 0.1968370654, -0.3019425803,
    -0.01461197498, -0.0649882014, 0.4705718643, -0.1983854007, 0.1267584068, -0.0005838687779, 0.01666457304,
    -0.321255326, 0.2130119845, 0.06031356203, 0.07619352159, -0.3794774044, 0.1647728539, 0.1016417486,
    0.1448217057, -0.2207688499, -0.0674383293, 0.1387845444, 0.1595913386, -0.3507627216, -0.02516125121,
    0.1446042824, 0.06983233943, -0.4178921721, 0.2005351828, -0.0491253274, 0.435629745, -0.1346500393,
    0.3699810856, -0.01701966643, 0.02942147504, -0.2662461073, 0.207476961, 0.154079351, -0.06371946805,
    -0.1574871859, 0.1235039518, 0.1903706565, -0.153809467, -0.1812186498, -0.1808825291, 0.2180998814,
    0.1481964107, -0.2791766784, 0.2769970336, -0.03533739156, 0.5189935048, -0.2154713548, -0.1890912191,
    -0.01437326561, 0.7806114775,
};

static double gru_larger(double a, double b) { return a > b || a != a ? a : b; } /* NaN wins */

/* The largest difference, relative to the largest exact number. */
static double gru_error(const float *found, const double *exact, int size) {
    double error = 0, largest = 0;
    for (int j = 0; j < size; j++) {
        const double size_of = exact[j] < 0 ? -exact[j] : exact[j];
        const double apart = found[j] < exact[j] ? exact[j] - found[j] : found[j] - exact[j];
        largest = size_of > largest ? size_of : largest;
        error = gru_larger(error, apart);
    }
    return largest > 0 ? error / largest : error;
}

int main(void) {
    double error = 0;
    gru_state state;
    float h_out[128];
    gru_reset(&state);
    gru_run(&state, 16, gru_test_x, h_out);
    gru_run(&state, 16, gru_test_x + 16 * 3, h_out + 16 * 4);
    error = gru_larger(error, gru_error(h_out, gru_exact_h_out, 128));
    const int passed = error <= 2e-06;
    printf("gru: 32 steps, largest error %.2g of the largest output (limit 2e-06): %s\n", error, passed ? "passed" : "FAILED");
    return passed ? 0 : 1;
}
#endif
