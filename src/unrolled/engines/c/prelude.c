/* What every rendered loop stands on: vectors, functions accurate to about 2 ulp, and the product W h.

   `real` is float or double (REAL_IS_DOUBLE). A matrix is packed into panels of one vector of outputs each, so that a
   product reads it from front to back; every output is added up over the inputs in order, whatever the number of rows,
   so that a row gives the same bits in every batch. */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("vect-cost-model=dynamic")
#endif
#include <math.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sched.h>
#endif
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#define WIDE 3 /* panels that a product of many rows takes at once */
#else
#if defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define WIDE 2
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
#define EACH _Pragma("omp simd")
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Asks for `size` numbers that are read soon. */
#define AHEAD(address, size)                                                                                           \
    for (int j = 0; j < (size); j += 64 / (int)sizeof(real)) __builtin_prefetch((address) + j);

/* Sums over the features, in as many parts as the compiler likes: always the same for a size. */
#define PRAGMA(text) _Pragma(#text)
#define ADDING(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))

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

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. float: the polynomial of Moshier's Cephes library (expf.c);
   double: Taylor. */
INLINE real reduced(real x, whole *n) {
#ifdef REAL_IS_DOUBLE
    const real round = 6755399441055744.0, ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
#else
    const real round = 12582912.0f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
#endif
    const real m = (x * (real)1.44269504088896340736 + round) - round;
    const real r = (x - m * ln2_high) - m * ln2_low;
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
    *n = (whole)(m != m ? 0 : m);
    return p * r * r + r;
}

#ifdef REAL_IS_DOUBLE
#define EXP_LOW -746
#define EXP_HIGH 710
#define ONE_FACTOR (real)708.5 /* up to here 2^n is in range */
#define TANH_HIGH 20
#else
#define EXP_LOW -104
#define EXP_HIGH 89
#define ONE_FACTOR (real)88.37
#define TANH_HIGH 10
#endif

INLINE real u_exp(real x) {
    whole n;
    real c = x < EXP_LOW ? EXP_LOW : x;
    const real p = 1 + reduced(c > EXP_HIGH ? EXP_HIGH : c, &n);
    return p * power_of_two(n >> 1) * power_of_two(n - (n >> 1)); /* 2^n itself may be out of range */
}

/* 1 / (1 + exp(-x)); what is smaller than the smallest normal number is zero, as in torch. */
INLINE real u_sigmoid(real x) {
    whole n;
    real c = x > ONE_FACTOR ? ONE_FACTOR : x;
    c = c < -ONE_FACTOR ? -ONE_FACTOR : c;
    const real p = reduced(-c, &n), scale = power_of_two(n);
    const real small = scale < 1 ? scale : 1, large = scale < 1 ? 1 : scale; /* added last: one rounding counts */
    const real y = 1 / ((scale * p + small) + large);
    return x < -ONE_FACTOR ? 0 : y;
}

/* Near zero x + x^3 P(x^2), coefficients of Moshier's Cephes library (tanhf.c, tanh.c), else 1 - 2 / (exp(2 |x|) + 1). */
INLINE real u_tanh(real x) {
    whole n;
    real a = x < 0 ? -x : x, z = x * x;
    real c = a > TANH_HIGH ? TANH_HIGH : a;
    const real e = reduced(c + c, &n), scale = power_of_two(n), far = 1 - 2 / (scale * e + (scale + 1));
#ifdef REAL_IS_DOUBLE
    real p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3;
    real q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3;
    return a < (real)0.625 ? x + x * z * (p / q) : copysign(far, x);
#else
    real p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return a < (real)0.625 ? x + x * z * p : copysignf(far, x);
#endif
}

INLINE real u_relu(real x) { return x < 0 ? 0 : x; }
INLINE real u_log(real x) { return sizeof(real) == 4 ? (real)logf((float)x) : (real)log((double)x); }
INLINE real u_sqrt(real x) { return sizeof(real) == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

#ifdef DIRECT
/* For one step of few rows: A stands as it is, row after row, and squares of it are transposed in registers. Nothing has
   to be packed, or compared with what was packed. Outputs are added up as from panels, in the same order. */

/* In all squares of 2 s x 2 s, the upper right block of s x s changes places with the lower left one. */
INLINE void transpose_blocks(vec *v, const int s) {
    typedef whole indices __attribute__((vector_size(BYTES)));
    indices upper, lower;
    UNROLL for (int j = 0; j < LANES; j++) upper[j] = j & s ? LANES + j - s : j, lower[j] = j & s ? LANES + j : j + s;
    UNROLL for (int i = 0; i < LANES; i++)
        if (!(i & s)) {
            const vec a = v[i], b = v[i + s];
#if defined(__clang__)
            UNROLL for (int j = 0; j < LANES; j++) v[i][j] = j & s ? b[j - s] : a[j], v[i + s][j] = j & s ? b[j] : a[j + s];
#else
            v[i] = __builtin_shuffle(a, b, upper);
            v[i + s] = __builtin_shuffle(a, b, lower);
#endif
        }
}

/* The first entries of a column, as many as there are. */
INLINE vec column(const real *a, const int K, const int rows) {
    vec w = {0};
    for (int i = 0; i < rows; i++) w[i] = a[(size_t)i * K];
    return w;
}

/* NV vectors of outputs for one row. */
#define DIRECTLY(NV)                                                                                                   \
    static __attribute__((noinline)) void directly_##NV(const int K, const real *A, const real *x, real *y) {          \
        typedef real loose __attribute__((vector_size(BYTES), may_alias, aligned(sizeof(real))));                      \
        const real *ahead = A + (size_t)NV * LANES * K;                                                                \
        vec sum[NV];                                                                                                   \
        UNROLL for (int v = 0; v < NV; v++) sum[v] = (vec){0};                                                         \
        int k = 0;                                                                                                     \
        for (; k + LANES <= K; k += LANES)                                                                             \
            UNROLL for (int v = 0; v < NV; v++) {                                                                      \
                vec w[LANES];                                                                                          \
                AHEAD(ahead, LANES * LANES)                                                                            \
                ahead += LANES * LANES;                                                                                \
                UNROLL for (int i = 0; i < LANES; i++) w[i] = *(const loose *)(A + ((size_t)v * LANES + i) * K + k);   \
                transpose_blocks(w, 1);                                                                                \
                if (LANES > 2) transpose_blocks(w, 2);                                                                 \
                if (LANES > 4) transpose_blocks(w, 4);                                                                 \
                if (LANES > 8) transpose_blocks(w, 8);                                                                 \
                UNROLL for (int i = 0; i < LANES; i++) sum[v] += w[i] * x[k + i];                                      \
            }                                                                                                          \
        for (; k < K; k++)                                                                                             \
            UNROLL for (int v = 0; v < NV; v++) sum[v] += column(A + (size_t)v * LANES * K + k, K, LANES) * x[k];      \
        UNROLL for (int v = 0; v < NV; v++) *(vec *)(y + v * LANES) = sum[v];                                          \
    }
DIRECTLY(4)
DIRECTLY(1)

static void product_of_one(const int R, const int M, const int K, const real *A, const real *x, const size_t xs, real *y,
                           const size_t ys) {
    for (int r = 0; r < R; r++, x += xs, y += ys) {
        int m = 0;
        for (; m + 4 * LANES <= M; m += 4 * LANES) directly_4(K, A + (size_t)m * K, x, y + m);
        for (; m + LANES <= M; m += LANES) directly_1(K, A + (size_t)m * K, x, y + m);
        if (m < M) {
            vec sum = {0};
            for (int k = 0; k < K; k++) sum += column(A + (size_t)m * K + k, K, M - m) * x[k];
            *(vec *)(y + m) = sum;
        }
    }
}
#else
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
BLOCK(8, 3)
BLOCK(8, 1)
BLOCK(4, 3)
BLOCK(2, 3)
BLOCK(1, 3)
#else
#define HIGH 6
BLOCK(6, 2)
BLOCK(6, 1)
BLOCK(4, 2)
BLOCK(2, 2)
BLOCK(1, 2)
#endif
BLOCK(4, 1)
BLOCK(2, 4)
BLOCK(1, 4)
BLOCK(1, 8)
BLOCK(2, 1)
BLOCK(1, 1)
#define NAMED_(R, NV) block_##R##_##NV
#define NAMED(R, NV) NAMED_(R, NV)

/* NV panels for all rows, while the panels are in the cache. */
#define PANELS(NV, BODY)                                                                                               \
    for (; v + NV <= panels; v += NV) {                                                                                \
        const real *const w = packed + (size_t)v * K * LANES;                                                          \
        int r = 0;                                                                                                     \
        BODY                                                                                                           \
    }
#define BY(N, NV) for (; r + N <= R; r += N) NAMED(N, NV)(K, w, x + r * xs, xs, y + r * ys + v * LANES, ys);
/* Of what HIGH does not divide, 8 are better taken as 4 and 4 than as 6 and 2. */
#define ROWS(NV)                                                                                                       \
    for (; r + HIGH <= R && (HIGH == 8 || R - r != 8); r += HIGH)                                                      \
        NAMED(HIGH, NV)(K, w, x + r * xs, xs, y + r * ys + v * LANES, ys);                                             \
    BY(4, NV) BY(2, NV) BY(1, NV)

/* y = A x for R rows, by one thread. */
static void product_of_one(const int R, const int M, const int K, const real *packed, const real *x, const size_t xs,
                           real *y, const size_t ys) {
    const int panels = PAD(M) / LANES;
    int v = 0;
    if (R == 1) PANELS(8, BY(1, 8))
    if (R < 4) PANELS(4, BY(2, 4) BY(1, 4))
    PANELS(WIDE, ROWS(WIDE))
    PANELS(1, ROWS(1))
}
#endif

/* A product that two threads share: both take parts of the outputs until there are none. The upper half of `ticket`
   counts products, the lower half says which part is next, so that who comes late takes no part of another product. */
typedef struct {
    uint64_t ticket;
    int done, parts, over, R, M, K, step;
    const real *packed, *x;
    real *y;
    size_t xs, ys;
} crew;
static _Thread_local crew *with; /* NULL: alone */

/* Waiting: at once for a while, for the other thread is near its end; then whoever else wants the processor may have it. */
INLINE void pause_after(int spins) {
#if defined(__unix__) || defined(__APPLE__)
    if (spins > 2000) sched_yield();
#endif
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Returns how many parts it took. */
static int take_parts(crew *c) {
    for (int taken = 0;; taken++) {
        uint64_t ticket = __atomic_load_n(&c->ticket, __ATOMIC_ACQUIRE);
        const int part = (int)(uint32_t)ticket;
        if (part >= __atomic_load_n(&c->parts, __ATOMIC_RELAXED)) return taken;
        if (!__atomic_compare_exchange_n(&c->ticket, &ticket, ticket + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) continue;
        const int first = part * c->step, rows = c->M - first < c->step ? c->M - first : c->step;
        product_of_one(c->R, rows, c->K, c->packed + (size_t)first * c->K, c->x, c->xs, c->y + first, c->ys);
        __atomic_add_fetch(&c->done, 1, __ATOMIC_RELEASE);
    }
}

/* What the other thread does until it is dismissed. */
void assist(crew *c) {
    for (int spins = 0; !__atomic_load_n(&c->over, __ATOMIC_ACQUIRE); spins++) {
        if (take_parts(c)) spins = 0;
        pause_after(spins);
    }
}
void dismiss(crew *c) { __atomic_store_n(&c->over, 1, __ATOMIC_RELEASE); }
int crew_size(void) { return sizeof(crew); }

#define SHARED (1 << 17) /* multiply-adds that are worth a part */

/* y = A x for R rows; y has room for whole vectors. An output is the same whoever computes it. */
static void product(const int R, const int M, const int K, const real *packed, const real *x, const size_t xs, real *y,
                    const size_t ys) {
    crew *const c = with;
    const int step = (R < 4 ? 8 : 8 * WIDE) * LANES;
    if (!c || M <= step || (int64_t)R * M * K < 2 * SHARED) {
        product_of_one(R, M, K, packed, x, xs, y, ys);
        return;
    }
    const int parts = (M + step - 1) / step;
    c->R = R, c->M = M, c->K = K, c->step = step, c->packed = packed, c->x = x, c->xs = xs, c->y = y, c->ys = ys;
    c->done = 0;
    __atomic_store_n(&c->parts, parts, __ATOMIC_RELAXED);
    __atomic_store_n(&c->ticket, ((c->ticket >> 32) + 1) << 32, __ATOMIC_RELEASE);
    take_parts(c);
    for (int spins = 0; __atomic_load_n(&c->done, __ATOMIC_ACQUIRE) < parts; spins++) pause_after(spins);
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
