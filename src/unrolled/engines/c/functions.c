/* Functions of numbers and of vectors that need no special instructions: part of each compiled pass, in C and CUDA. */

INLINE real u_relu(real x) { return x < 0 ? 0 : x; }
INLINE real u_maximum(real a, real b) { return a > b || a != a ? a : b; }
INLINE real u_minimum(real a, real b) { return a < b || a != a ? a : b; }
INLINE real u_sign(real x) { return (real)(x > 0) - (real)(x < 0); }
INLINE real u_floor(real x) { return sizeof(real) == 4 ? (real)floorf((float)x) : (real)floor((double)x); }

/* From the C library, one entry at a time: the compiler does not vectorise a loop with one of these. */
INLINE real u_sin(real x) { return sizeof(real) == 4 ? (real)sinf((float)x) : (real)sin((double)x); }
INLINE real u_cos(real x) { return sizeof(real) == 4 ? (real)cosf((float)x) : (real)cos((double)x); }
INLINE real u_erf(real x) { return sizeof(real) == 4 ? (real)erff((float)x) : (real)erf((double)x); }
INLINE real u_log(real x) { return sizeof(real) == 4 ? (real)logf((float)x) : (real)log((double)x); }
INLINE real u_sqrt(real x) { return sizeof(real) == 4 ? (real)sqrtf((float)x) : (real)sqrt((double)x); }

/* Over the entries of a vector; NaN wins, as in torch. */

INLINE real u_sum(const real *x, const int size) {
    real total = 0;
    ADDING(total) for (int j = 0; j < size; j++) total += x[j];
    return total;
}

INLINE real u_mean(const real *x, const int size) { return u_sum(x, size) / size; }

INLINE real u_max(const real *x, const int size) {
    real top = x[0];
    for (int j = 0; j < size; j++) top = x[j] > top || x[j] != x[j] ? x[j] : top;
    return top;
}

/* The index of the first of the largest entries, or of the first NaN. */
INLINE int64_t u_argmax(const real *x, const int size) {
    real top = x[0];
    int nan = 0, j = 0;
    PRAGMA(omp simd reduction(max : top) reduction(| : nan))
    for (int k = 0; k < size; k++) {
        top = x[k] > top ? x[k] : top;
        nan |= x[k] != x[k];
    }
    if (nan) while (x[j] == x[j]) j++;
    else while (x[j] != top) j++;
    return j;
}

INLINE real u_min(const real *x, const int size) {
    real top = x[0];
    for (int j = 0; j < size; j++) top = x[j] < top || x[j] != x[j] ? x[j] : top;
    return top;
}

INLINE real u_logsumexp(const real *x, const int size) {
    const real top = u_max(x, size), shift = top - top == 0 ? top : 0; /* an infinity is not subtracted */
    real total = 0;
    ADDING(total) for (int j = 0; j < size; j++) total += u_exp(x[j] - shift);
    return u_log(total) + shift;
}

INLINE void u_softmax(real *to, const real *x, const int size) {
    const real top = u_max(x, size);
    EACH for (int j = 0; j < size; j++) to[j] = u_exp(x[j] - top);
    const real total = u_sum(to, size);
    EACH for (int j = 0; j < size; j++) to[j] /= total;
}

INLINE void u_cumsum(real *to, const real *x, const int size) {
    real total = 0;
    for (int j = 0; j < size; j++) to[j] = total += x[j];
}

INLINE void u_cumsum_from_last(real *to, const real *x, const int size) {
    real total = 0;
    for (int j = size - 1; j >= 0; j--) to[j] = total += x[j];
}
