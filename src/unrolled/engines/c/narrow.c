/* Products with matrices of bfloat16 or int8 numbers, which are read as they are, row by row. Compiled after prelude.c and
   crew.c, for float only.

   Each entry of y is the product of a row of A and a row of x: a vector of partial sums, to which the columns are added in
   order, and which is then added up in a fixed tree. So a row gives the same bits in every batch. The numbers become floats
   in registers. A scale of int8 is applied to the finished sum. */

typedef int32_t integers __attribute__((vector_size(BYTES)));
typedef whole wholes __attribute__((vector_size(BYTES)));
typedef real loose __attribute__((vector_size(BYTES), may_alias, aligned(sizeof(real))));

/* LANES integers of a narrow type as ones of 32 bits. gcc makes one instruction of the loop, but many of the conversion;
   with a sanitizer, it would check each turn of the loop. */
#if defined(__clang__) || defined(__SANITIZE_ADDRESS__)
#define WIDEN(TYPE, to, from)                                                                                          \
    typedef TYPE narrow __attribute__((vector_size(LANES * sizeof(TYPE)), aligned(sizeof(TYPE)), may_alias));          \
    to = __builtin_convertvector(*(const narrow *)(from), __typeof__(to));
#else
#define WIDEN(TYPE, to, from) UNROLL for (int l = 0; l < LANES; l++) to[l] = from[l];
#endif

/* The next LANES numbers of a matrix. */
INLINE vec wide_int8(const int8_t *a) {
    integers number;
    WIDEN(int8_t, number, a)
    return __builtin_convertvector(number, vec);
}
INLINE vec wide_bf16(const uint16_t *a) {
    wholes number;
    WIDEN(uint16_t, number, a)
    return (vec)(number << 16);
}
INLINE real number_int8(int8_t a) { return a; }
INLINE real number_bf16(uint16_t a) {
    real number;
    const whole bits = (whole)a << 16;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Sums of the entries of LANES vectors, as the entries of one. At each stage, two vectors become one: sums of entries l and
   l + s of the one, and of the other. */
INLINE void halve(vec *v, const int s) {
    wholes low, high;
    UNROLL for (int j = 0; j < LANES; j++) {
        low[j] = j & s ? LANES + (j & ~s) : j;
        high[j] = j & s ? LANES + j : j | s;
    }
    UNROLL for (int i = 0; i < LANES; i++)
        if (!(i & (2 * s - 1))) {
            const vec a = v[i], b = v[i + s];
#if defined(__clang__)
            vec l, h;
            UNROLL for (int j = 0; j < LANES; j++) l[j] = j & s ? b[j & ~s] : a[j], h[j] = j & s ? b[j] : a[j | s];
            v[i] = l + h;
#else
            v[i] = __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
#endif
        }
}

INLINE vec sums_of(vec *v) {
    halve(v, 1);
    halve(v, 2);
    if (LANES > 4) halve(v, 4);
    if (LANES > 8) halve(v, 8);
    return v[0];
}

/* A product without its loop over rows. K is at least LANES; `rest` is K modulo LANES, and `last` keeps the last `rest`
   entries of a vector. */
typedef struct {
    int M, K, rest;
    wholes last;
    const void *weights;
    const real *scales, *x;
    real *y;
    size_t xs, ys;
} narrow_product;

/* R rows times the NV = LANES / R rows of A from row m on. Rows after M are computed as the last one, and not stored. */
#define DOTS(KIND, TYPE, R)                                                                                            \
    static __attribute__((noinline)) void dots_##KIND##_##R(const narrow_product *p, const int m, const int row) {     \
        enum { NV = LANES / R };                                                                                       \
        const TYPE *a[NV];                                                                                             \
        const real *const x = p->x + row * p->xs;                                                                      \
        vec sum[LANES];                                                                                                \
        UNROLL for (int v = 0; v < NV; v++)                                                                            \
            a[v] = (const TYPE *)p->weights + (size_t)(m + v < p->M ? m + v : p->M - 1) * p->K;                        \
        UNROLL for (int i = 0; i < LANES; i++) sum[i] = (vec){0};                                                      \
        const char *ahead = (const char *)(a[0] + (size_t)NV * p->K);                                                  \
        int k = 0;                                                                                                     \
        for (; k + LANES <= p->K; k += LANES, ahead += NV * LANES * sizeof(TYPE)) {                                    \
            vec w[NV];                                                                                                 \
            if (R < 4) UNROLL for (size_t b = 0; b < NV * LANES * sizeof(TYPE); b += 64) __builtin_prefetch(ahead + b);\
                                                                                                            \
            UNROLL for (int v = 0; v < NV; v++) w[v] = wide_##KIND(a[v] + k);                                          \
            UNROLL for (int r = 0; r < R; r++) {                                                                       \
                const vec in = *(const loose *)(x + r * p->xs + k);                                                    \
                UNROLL for (int v = 0; v < NV; v++) sum[v * R + r] += w[v] * in;                                       \
            }                                                                                                          \
        }                                                                                                              \
        if (p->rest) {                                                                                                 \
            k = p->K - LANES;                                                                                          \
            UNROLL for (int v = 0; v < NV; v++) {                                                                      \
                const vec w = wide_##KIND(a[v] + k);                                                                   \
                UNROLL for (int r = 0; r < R; r++)                                                                     \
                    sum[v * R + r] += w * (vec)((wholes)*(const loose *)(x + r * p->xs + k) & p->last);                \
            }                                                                                                          \
        }                                                                                                              \
        const vec total = sums_of(sum);                                                                                \
        if (R == 1 && m + LANES <= p->M) {                                                                             \
            real *const to = p->y + row * p->ys + m;                                                                   \
            *(loose *)to = total;                                                                                      \
            if (p->scales) *(loose *)to = total * *(const loose *)(p->scales + m);                                     \
            return;                                                                                                    \
        }                                                                                                              \
        for (int v = 0; v < NV && m + v < p->M; v++)                                                                   \
            for (int r = 0; r < R; r++)                                                                                \
                p->y[(row + r) * p->ys + m + v] = p->scales ? total[v * R + r] * p->scales[m + v] : total[v * R + r];  \
    }

#if BYTES == 16
#define EIGHT(...)
#else
#define EIGHT(...) __VA_ARGS__
#endif

/* Blocks of LANES rows of A are multiplied by all rows of x while they are in the nearest cache. */
#define PRODUCT(KIND, TYPE)                                                                                            \
    EIGHT(DOTS(KIND, TYPE, 8))                                                                                         \
    DOTS(KIND, TYPE, 4)                                                                                                \
    DOTS(KIND, TYPE, 2)                                                                                                \
    DOTS(KIND, TYPE, 1)                                                                                                \
    static void rows_##KIND(const narrow_product *p, const int R, const int from, const int to) {                      \
        for (int m = from; m < to; m += LANES) {                                                                       \
            int r = 0;                                                                                                 \
            const int end = m + LANES < to ? m + LANES : to;                                                           \
            EIGHT(ROWS_BY(KIND, 8))                                                                                    \
            ROWS_BY(KIND, 4)                                                                                           \
            ROWS_BY(KIND, 2)                                                                                           \
            ROWS_BY(KIND, 1)                                                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    /* Few columns: sums in the order of the columns. */                                                               \
    static void short_##KIND(const narrow_product *p, const int R, const int from, const int to) {                     \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int m = from; m < to; m++) {                                                                          \
                const TYPE *const a = (const TYPE *)p->weights + (size_t)m * p->K;                                     \
                real sum = 0;                                                                                          \
                for (int k = 0; k < p->K; k++) sum += number_##KIND(a[k]) * p->x[r * p->xs + k];                       \
                p->y[r * p->ys + m] = p->scales ? sum * p->scales[m] : sum;                                            \
            }                                                                                                          \
    }
#define ROWS_BY(KIND, N)                                                                                               \
    for (; r + N <= R; r += N)                                                                                         \
        for (int v = m; v < end; v += LANES / N) dots_##KIND##_##N(p, v, r);
PRODUCT(int8, int8_t)
PRODUCT(bf16, uint16_t)

/* y = A^T x for R rows, A of K rows and M columns: the scale of a row of A is that of an entry of x. */
#define TURNED(KIND, TYPE)                                                                                             \
    static void turned_##KIND(const narrow_product *p, const int R, const int from, const int to) {                    \
        for (int r = 0; r < R; r++) {                                                                                  \
            const real *const x = p->x + r * p->xs;                                                                    \
            real *const y = p->y + r * p->ys;                                                                          \
            int m = from;                                                                                              \
            for (; m + 4 * LANES <= to; m += 4 * LANES) {                                                              \
                vec sum[4] = {0};                                                                                      \
                const TYPE *a = (const TYPE *)p->weights + m;                                                          \
                for (int k = 0; k < p->K; k++, a += p->M) {                                                            \
                    const real in = p->scales ? ROUNDED(x[k] * p->scales[k]) : x[k];                                   \
                    UNROLL for (int v = 0; v < 4; v++) sum[v] += wide_##KIND(a + v * LANES) * in;                      \
                }                                                                                                      \
                UNROLL for (int v = 0; v < 4; v++) *(loose *)(y + m + v * LANES) = sum[v];                             \
            }                                                                                                          \
            for (; m < to; m++) {                                                                                      \
                real sum = 0;                                                                                          \
                const TYPE *a = (const TYPE *)p->weights + m;                                                          \
                for (int k = 0; k < p->K; k++, a += p->M)                                                              \
                    sum += number_##KIND(*a) * (p->scales ? ROUNDED(x[k] * p->scales[k]) : x[k]);                      \
                y[m] = sum;                                                                                            \
            }                                                                                                          \
        }                                                                                                              \
    }
TURNED(int8, int8_t)
TURNED(bf16, uint16_t)

/* A matrix as a pass is given it. kind: 0 of floats, which `multiply` reads in panels; 1 of bfloat16; 2 of int8. */
typedef struct {
    int64_t kind;
    const void *weights;
    const real *scales;
    matrix_product *multiply;
} reading;

typedef struct {
    narrow_product product;
    int64_t kind;
    int R, step, turned;
} shared_product;

static void part_of_product(const void *given, int part) {
    const shared_product *const s = given;
    const narrow_product *const p = &s->product;
    const int from = part * s->step, to = p->M - from < s->step ? p->M : from + s->step;
    if (s->turned) (s->kind == 1 ? turned_bf16 : turned_int8)(p, s->R, from, to);
    else if (p->K < LANES) (s->kind == 1 ? short_bf16 : short_int8)(p, s->R, from, to);
    else (s->kind == 1 ? rows_bf16 : rows_int8)(p, s->R, from, to);
}

#define SHARED (1 << 18) /* multiply-adds that make a part worth its overhead */
#define STEP 256         /* rows of A in a part, at least */

static void multiplied(crew *c, int turned, int R, int M, int K, const reading *a, const real *x, size_t xs, real *y,
                       size_t ys) {
    if (a->multiply) {
        a->multiply(c, R, M, K, a->weights, x, xs, y, ys);
        return;
    }
    const int alone = !c || M <= STEP || (int64_t)R * M * K < 2 * SHARED;
    shared_product all = {{M, K, K % LANES, {0}, a->weights, a->scales, x, y, xs, ys}, a->kind, R, alone ? M : STEP, turned};
    for (int l = LANES - K % LANES; l < LANES; l++) all.product.last[l] = ~(whole)0;
    if (alone) part_of_product(&all, 0);
    else share(c, (M + STEP - 1) / STEP, part_of_product, &all);
}

/* y = A x for R rows, and the same for the transpose of A. A is the address of a `reading`. */
void product_narrow(crew *c, int R, int M, int K, const real *A, const real *x, size_t xs, real *y, size_t ys) {
    multiplied(c, 0, R, M, K, (const reading *)A, x, xs, y, ys);
}
void turned_narrow(crew *c, int R, int M, int K, const real *A, const real *x, size_t xs, real *y, size_t ys) {
    multiplied(c, 1, R, M, K, (const reading *)A, x, xs, y, ys);
}
