/* Used by all C: vectors, functions accurate to about 2 ulp, and the pieces of sequences. `real` is float, or double if
   REAL_IS_DOUBLE. */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("vect-cost-model=dynamic")
#endif
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
typedef uint64_t whole;
#define MANTISSA 52 /* bits, and what is added to an exponent */
#define BIAS 1023
#else
typedef float real;
typedef uint32_t whole;
#define MANTISSA 23
#define BIAS 127
#endif

typedef real vec __attribute__((vector_size(BYTES), may_alias));
#define LANES ((int)(BYTES / sizeof(real)))
#define PAD(n) (((n) + LANES - 1) / LANES * LANES)
/* Numbers between one row and the next: an odd number of cache lines, so that rows do not compete for the same sets. */
#define ROW(n) ((((n) * sizeof(real) + 63) / 64 | 1) * 64 / sizeof(real))
#define TOKEN_ROW (64 / sizeof(int64_t)) /* the same for tokens, which take a cache line each */
#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define EACH _Pragma("clang loop vectorize(assume_safety)")
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define EACH _Pragma("omp simd")
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Prefetches `size` numbers. */
#define AHEAD(address, size)                                                                                           \
    for (int j = 0; j < (size); j += 64 / (int)sizeof(real)) __builtin_prefetch((address) + j);

/* For loops that sum over the features. The compiler chooses the number of partial sums; it is the same for a size. */
#define PRAGMA(text) _Pragma(#text)
#define ADDING(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))

/* A product that is rounded before it is added to anything. Otherwise the compiler fuses a product that is used once with
   an addition, and a value would depend on which other values of the step are kept. */
#if defined(__clang__) && defined(__has_builtin)
#if __has_builtin(__arithmetic_fence)
#define ROUNDED(product) __arithmetic_fence(product)
#endif
#elif defined(__GNUC__) && __GNUC__ >= 12
#define ROUNDED(product) __builtin_assoc_barrier(product)
#endif
#ifndef ROUNDED
#define ROUNDED(product) (product)
#endif

/* 2^n for an integer n in the range of the exponent, by its bits. */
INLINE real power_of_two(whole n) {
    real result;
    const whole bits = (n + BIAS) << MANTISSA;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* x = n ln 2 + r with |r| <= ln 2 / 2; returns exp(r) - 1. Adding `shift` to x / ln 2 leaves n in the lowest bits; n is
   arbitrary if x is NaN or out of range. float: the polynomial of Moshier's Cephes library (expf.c); double: Taylor. */
INLINE real reduced(real x, whole *n) {
#ifdef REAL_IS_DOUBLE
    const real shift = 6755399441055744.0, ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
#else
    const real shift = 12582912.0f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
#endif
    const real shifted = x * (real)1.44269504088896340736 + shift, m = shifted - shift;
    const real r = (x - m * ln2_high) - m * ln2_low;
    whole bits, none;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&none, &shift, sizeof none);
    *n = bits - none;
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
    return p * r * r + r;
}

#ifdef REAL_IS_DOUBLE
#define EXP_LOW -746
#define EXP_HIGH 710
#define ONE_FACTOR (real)708.5 /* 2^n is in range up to here */
#define TANH_HIGH 20
#else
#define EXP_LOW -104
#define EXP_HIGH 89
#define ONE_FACTOR (real)88.37
#define TANH_HIGH 10
#endif

INLINE real u_abs(real x) { return sizeof(real) == 4 ? (real)fabsf((float)x) : (real)fabs((double)x); }

/* Bounds are written so that NaN stays NaN. */

INLINE real u_exp(real x) {
    whole n;
    real c = x < EXP_LOW ? EXP_LOW : x;
    const real p = 1 + reduced(c > EXP_HIGH ? EXP_HIGH : c, &n);
    const whole half = ((n + 1024) >> 1) - 512; /* n may be negative */
    return ROUNDED(p * power_of_two(half) * power_of_two(n - half)); /* 2^n itself may be out of range */
}

/* 1 / (1 + exp(-x)); a result below the smallest normal number is zero, as in torch. */
INLINE real u_sigmoid(real x) {
    whole n;
    const real p = reduced(-(x > ONE_FACTOR ? ONE_FACTOR : x), &n), scale = power_of_two(n);
    const real small = x > 0 ? scale : 1, large = x > 0 ? 1 : scale; /* added last, so that only one rounding matters */
    const real y = 1 / ((scale * p + small) + large);
    return x < -ONE_FACTOR ? 0 : y;
}

/* Near zero x + x^3 P(x^2), coefficients of Moshier's Cephes library (tanhf.c, tanh.c), else 1 - 2 / (exp(2 |x|) + 1). */
INLINE real u_tanh(real x) {
    whole n;
    const real a = u_abs(x), z = x * x, c = a > TANH_HIGH ? TANH_HIGH : a;
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

/* max(x, 0) + log(1 + e) with e = exp(-|x|), where log(1 + e) = 2 artanh(s) with s = e / (2 + e) <= 1/3, by the series of
   artanh, and 2 s = e - s e. */
INLINE real u_softplus(real x) {
    const real e = u_exp(-u_abs(x)), s = e / (2 + e), z = s * s;
#ifdef REAL_IS_DOUBLE
    const int last = 16;
#else
    const int last = 7;
#endif
    real p = (real)1 / (2 * last + 1);
    UNROLL for (int k = last - 1; k > 0; k--) p = p * z + (real)1 / (2 * k + 1);
    return (x < 0 ? 0 : x) + (e - s * (e - 2 * z * p));
}

/* A piece of a sequence: rows first ... first + length - 1 of the series. Its state starts as row `from` of the starting
   states, or as zero if from < 0. It is stored as row `to` of the last states, or nowhere if to < 0. */
typedef struct {
    int64_t first, length, from, to;
} piece;

/* y = A x for R rows, A of M rows and K columns; y has space for whole vectors. A crew shares the work (see crew.c). A pass is
   given two such functions: `product`, and `turned` for matrices that are transposes of parameters. */
typedef struct crew crew;
typedef void matrix_product(crew *c, int R, int M, int K, const real *A, const real *x, size_t xs, real *y, size_t ys);
