/* What every rendered loop stands on: vectors, functions accurate to about 2 ulp, and the product W h.

   `real` is float or double (REAL_IS_DOUBLE). A matrix is packed into panels of one vector of outputs each, so that a
   product reads it from front to back; every output is added up over the inputs in order, whatever the number of rows,
   so that a row gives the same bits in every batch. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif

#ifdef REAL_IS_DOUBLE
typedef double real;
typedef int64_t whole;
#else
typedef float real;
typedef int32_t whole;
#endif

typedef real vec __attribute__((vector_size(BYTES), may_alias));
#define LANES ((int)(BYTES / sizeof(real)))
#define PAD(n) (((n) + LANES - 1) / LANES * LANES)
/* Numbers between one row and the next: an odd number of cache lines, so that rows do not compete for the same sets. */
#define ROW(n) ((((n) * sizeof(real) + 63) / 64 | 1) * 64 / sizeof(real))
#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define EACH _Pragma("GCC ivdep")
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A sum over the features, in as many parts as the compiler likes: always the same for a size. */
#define ADDED _Pragma("omp simd reduction(+ : total)")

/* 2^n for a whole number within the exponent's range, by its bits. */
INLINE real power_of_two(whole n) {
    real result;
#ifdef REAL_IS_DOUBLE
    whole bits = (n + 1023) << 52;
#else
    whole bits = (n + 127) << 23;
#endif
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* exp(x) = 2^n exp(r), |r| <= ln 2 / 2. float: the polynomial of Moshier's Cephes library (expf.c); double: Taylor. */
INLINE real u_exp(real x) {
#ifdef REAL_IS_DOUBLE
    const real low = -746, high = 710, round = 6755399441055744.0;
    const real ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
#else
    const real low = -104, high = 89, round = 12582912.0f;
    const real ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
#endif
    real c = x < low ? low : x;
    c = c > high ? high : c;
    real n = (c * (real)1.44269504088896340736 + round) - round;
    real r = (c - n * ln2_high) - n * ln2_low;
#ifdef REAL_IS_DOUBLE
    real p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
#else
    real p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
#endif
    p = (p * r * r + r) + 1;
    whole k = (whole)(n != n ? 0 : n), half = k >> 1; /* in two factors: 2^n itself may be out of range */
    return p * power_of_two(half) * power_of_two(k - half);
}

INLINE real u_sigmoid(real x) { return 1 / (1 + u_exp(-x)); }

/* tanh(x): near zero x + x^3 P(x^2) (coefficients of Moshier's Cephes library, tanhf.c and tanh.c), else by exp. */
INLINE real u_tanh(real x) {
    real a = x < 0 ? -x : x, z = x * x;
    real far = 1 - 2 / (u_exp(a + a) + 1);
    far = x < 0 ? -far : far;
#ifdef REAL_IS_DOUBLE
    real p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3;
    real q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3;
    real near = x + x * z * (p / q);
#else
    real p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    real near = x + x * z * p;
#endif
    return a < (real)0.625 ? near : far;
}

INLINE real u_relu(real x) { return x < 0 ? 0 : x; }
INLINE real u_log(real x) { return sizeof(real) == 4 ? (real)logf((float)x) : (real)log((double)x); }
INLINE real u_sqrt(real x) { return sizeof(real) == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

/* NV vectors of outputs for R rows: every weight is read once for all rows. A function of its own for each shape, so
   that the compiler keeps all sums in registers. */
#define BLOCK(R, NV)                                                                                                   \
    static __attribute__((noinline)) void block_##R##_##NV(const int K, const real *packed, const real *x,             \
                                                           const size_t xs, real *y, const size_t ys) {                \
        vec sum[R][NV];                                                                                                \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] = (vec){0};                   \
        for (int k = 0; k < K; k++) {                                                                                  \
            vec w[NV];                                                                                                 \
            UNROLL for (int v = 0; v < NV; v++) w[v] = *(const vec *)(packed + ((size_t)v * K + k) * LANES);           \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] += w[v] * x[r * xs + k];  \
        }                                                                                                              \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++)                                         \
            *(vec *)(y + r * ys + v * LANES) = sum[r][v];                                                              \
    }

/* As many sums as the registers hold, beside the weights that are read: 32 with AVX-512, else 16. */
#if BYTES == 64
#define HIGH 8
#define WIDE 3
BLOCK(8, 3)
BLOCK(8, 1)
BLOCK(2, 3)
BLOCK(1, 3)
#define BLOCK_HIGH_WIDE block_8_3
#define BLOCK_HIGH_1 block_8_1
#define BLOCK_2_WIDE block_2_3
#define BLOCK_1_WIDE block_1_3
#else
#define HIGH 6
#define WIDE 2
BLOCK(6, 2)
BLOCK(6, 1)
BLOCK(2, 2)
BLOCK(1, 2)
#define BLOCK_HIGH_WIDE block_6_2
#define BLOCK_HIGH_1 block_6_1
#define BLOCK_2_WIDE block_2_2
#define BLOCK_1_WIDE block_1_2
#endif
BLOCK(4, 2)
BLOCK(2, 4)
BLOCK(1, 4)
BLOCK(1, 8)
BLOCK(2, 1)
BLOCK(1, 1)

/* NV panels for all rows, while the panels are in the cache. */
#define PANELS(NV, BODY)                                                                                               \
    for (; v + NV <= panels; v += NV) {                                                                                \
        const real *const w = packed + (size_t)v * K * LANES;                                                          \
        int r = 0;                                                                                                     \
        BODY                                                                                                           \
    }
#define BY(N, BLOCK) for (; r + N <= R; r += N) BLOCK(K, w, x + r * xs, xs, y + r * ys + v * LANES, ys);

/* y = A x for R rows; y has room for whole vectors. */
static void product(const int R, const int M, const int K, const real *packed, const real *x, const size_t xs, real *y,
                    const size_t ys) {
    const int panels = PAD(M) / LANES;
    int v = 0;
    if (R == 1) PANELS(8, BY(1, block_1_8))
    if (R < 4) PANELS(4, BY(2, block_2_4) BY(1, block_1_4))
    PANELS(WIDE, BY(HIGH, BLOCK_HIGH_WIDE) BY(2, BLOCK_2_WIDE) BY(1, BLOCK_1_WIDE))
    PANELS(1, BY(HIGH, BLOCK_HIGH_1) BY(2, block_2_1) BY(1, block_1_1))
}

/* What a lane goes through: rows first ... first + length - 1 of the series. The state starts as row `from` of the
   starting states, or as zero if from < 0; it is wanted as row `to` of the final states, or nowhere if to < 0. */
typedef struct {
    int64_t first, length, from, to;
} piece;

/* Some steps of all lanes. Row i of the stretch is row at[i] of the series; a piece begins or ends there, or goes on
   (INSIDE). Lanes are sorted by length, so that those that still live come first. */
typedef struct {
    const piece *next[MOST_LANES], *end[MOST_LANES];
    int64_t done[MOST_LANES], at[MOST_ROWS], from[MOST_ROWS], to[MOST_ROWS];
    int live[MOST_ROWS], lanes, steps;
} stretch;
#define INSIDE -2

/* Lane r goes through pieces[of_lane[r]] ... pieces[of_lane[r + 1] - 1]. */
static void begin_lanes(stretch *s, int R, const piece *pieces, const int64_t *of_lane) {
    s->lanes = R;
    for (int r = 0; r < R; r++) {
        s->next[r] = pieces + of_lane[r];
        s->end[r] = pieces + of_lane[r + 1];
        s->done[r] = 0;
    }
}

/* The next steps; returns the number of rows, 0 at the end. */
static int next_stretch(stretch *s) {
    int N = 0;
    for (s->steps = 0; s->lanes > 0 && N + s->lanes <= MOST_ROWS; s->steps++) {
        s->live[s->steps] = s->lanes;
        for (int r = 0; r < s->lanes; r++, N++) {
            const piece *const p = s->next[r];
            const int64_t done = s->done[r]++, left = p->length - 1 - done;
            s->at[N] = p->first + (REVERSE ? left : done);
            s->from[N] = done ? INSIDE : p->from;
            s->to[N] = left ? INSIDE : p->to;
            if (!left) s->next[r]++, s->done[r] = 0;
        }
        while (s->lanes > 0 && s->next[s->lanes - 1] == s->end[s->lanes - 1]) s->lanes--;
    }
    return N;
}

/* Addresses of the step before, on the way back: where the piece ends is where it began on the way forward. */
#define PREVIOUS(address, series, start, size)                                                                         \
    for (int i = 0; i < N; i++)                                                                                        \
        address[i] = to[i] == INSIDE ? series + (at[i] - 1) * (size) : to[i] < 0 ? zero : start + to[i] * (size);
