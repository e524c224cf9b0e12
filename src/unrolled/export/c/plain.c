/* Functions that the prelude of engine c takes from the C library, written out. Coefficients of Moshier's Cephes library
   (logf.c, sinf.c, ndtrf.c). */

INLINE uint32_t u_bits(real x) {
    union { real x; uint32_t bits; } both;
    both.x = x;
    return both.bits;
}

INLINE real u_number(uint32_t bits) {
    union { real x; uint32_t bits; } both;
    both.bits = bits;
    return both.x;
}

INLINE real u_abs(real x) { return x < 0 ? -x : x; }

/* From 2^23 on, every number is whole. */
INLINE real u_floor(real x) {
    const real whole_part = u_abs(x) < 8388608.0f ? (real)(int32_t)x : x;
    return whole_part > x ? whole_part - 1 : whole_part;
}

/* Newton's method for 1 / sqrt(a), and a last step for the root itself. Numbers below the smallest normal one are raised
   by 2^24 first. */
INLINE real u_sqrt(real x) {
    const int small = x < 1.17549435e-38f;
    const real a = small ? x * 16777216.0f : x;
    real y = u_number(0x5f375a86u - (u_bits(a) >> 1));
    y = y * (1.5f - (a * y) * (0.5f * y));
    y = y * (1.5f - (a * y) * (0.5f * y));
    y = y * (1.5f - (a * y) * (0.5f * y));
    const real s = a * y, root = (s + 0.5f * y * (a - s * s)) * (small ? 2.44140625e-4f : 1);
    return x > 0 ? (x > 3.4028234e38f ? x : root) : (x == 0 ? x : (x - x) / (x - x));
}

/* x = 2^n m with m between sqrt(1/2) and sqrt(2); log x = n ln 2 + log m. */
INLINE real u_log(real x) {
    const int small = x < 1.17549435e-38f; /* below the smallest normal number */
    const uint32_t bits = u_bits(small ? x * 8388608.0f : x);
    const real half = u_number((bits & 0x007fffffu) | 0x3f000000u); /* m or m / 2 */
    const int low = half < 0.70710678f;
    const real n = (real)((int32_t)(bits >> 23) - 126 - (small ? 23 : 0) - low), r = low ? half + half - 1 : half - 1;
    const real z = r * r;
    real p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    const real result = r + (r * z * p - 2.12194440e-4f * n - 0.5f * z) + 0.693359375f * n;
    const real special = x == 0 ? -INFINITE : (x - x) / (x - x); /* of a negative number, or NaN */
    return x > 0 ? (x > 3.4028234e38f ? x : result) : special;
}

/* sin(x + turn pi / 2), accurate up to |x| = 8192. Beyond 2^20, where neighbouring floats are far apart, as of 0. */
INLINE real u_wave(real x, uint32_t turn) {
    const real a = u_abs(x) < 1048576.0f ? x : x - x;
    const int32_t quarter = (int32_t)(a * 0.636619772f + (a < 0 ? -0.5f : 0.5f));
    const real n = (real)quarter;
    const real r = ((a - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188216e-8f, z = r * r;
    const real of_sin = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    const real of_cos =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
    const uint32_t place = (uint32_t)quarter + turn;
    const real found = place & 1u ? of_cos : of_sin;
    return place & 2u ? -found : found;
}

INLINE real u_sin(real x) { return u_wave(x, 0); }
INLINE real u_cos(real x) { return u_wave(x, 1); }

INLINE real u_erf(real x) {
    const real a = u_abs(x), z = x * x;
    real near = 7.853861353153693e-5f;
    near = near * z - 8.010193625184903e-4f;
    near = near * z + 5.188327685732524e-3f;
    near = near * z - 2.685381193529856e-2f;
    near = near * z + 1.128358514861418e-1f;
    near = near * z - 3.761262582423300e-1f;
    near = near * z + 1.128379165726710f;
    const real c = a < 1 ? 1 : a, q = 1 / c, y = q * q;
    real middle = 2.326819970068386e-2f;
    middle = middle * y - 1.387039388740657e-1f;
    middle = middle * y + 3.687424674597105e-1f;
    middle = middle * y - 5.824733027278666e-1f;
    middle = middle * y + 6.210004621745983e-1f;
    middle = middle * y - 4.944515323274145e-1f;
    middle = middle * y + 3.404879937665872e-1f;
    middle = middle * y - 2.741127028184656e-1f;
    middle = middle * y + 5.638259427386472e-1f;
    real far = -1.047766399936249e+1f;
    far = far * y + 1.297719955372516e+1f;
    far = far * y - 7.495518717768503f;
    far = far * y + 2.921019019210786f;
    far = far * y - 1.015265279202700f;
    far = far * y + 4.218463358204948e-1f;
    far = far * y - 2.820767439740514e-1f;
    far = far * y + 5.641895067754075e-1f;
    const real rest = u_exp(-c * c) * q * (c < 2 ? middle : far);
    return a < 1 ? x * near : (x < 0 ? rest - 1 : 1 - rest);
}
