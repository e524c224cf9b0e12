/* The product W h, the packing of W, and digests of memory. Compiled once, for all circuits, after prelude.c and crew.c.

   A matrix is packed into panels of one vector of outputs each, so that a product reads it from front to back. Each output
   is summed over the inputs in order, for any number of rows, so that a row gives the same bits in every batch. */

#define WIDE (BYTES == 64 ? 3 : 2) /* panels that a product of many rows takes at once */

typedef real loose __attribute__((vector_size(BYTES), may_alias, aligned(sizeof(real))));

/* Exchanges the upper right and the lower left block of s x s in each square of 2 s x 2 s. */
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

INLINE void transpose(vec *square) {
    transpose_blocks(square, 1);
    if (LANES > 2) transpose_blocks(square, 2);
    if (LANES > 4) transpose_blocks(square, 4);
    if (LANES > 8) transpose_blocks(square, 8);
}

/* The panels of A (M rows, K columns, any strides); rows after M are zero. Where columns are contiguous, squares are
   transposed in registers. */
void pack(const real *a, int64_t row, int64_t column, int64_t M, int64_t K, real *packed) {
    for (int64_t m = 0; m < M; m += LANES, a += LANES * row, packed += LANES * K) {
        int64_t k = 0;
        if (column == 1 && m + LANES <= M)
            for (; k + LANES <= K; k += LANES) {
                vec w[LANES];
                UNROLL for (int l = 0; l < LANES; l++) w[l] = *(const loose *)(a + l * row + k);
                transpose(w);
                UNROLL for (int l = 0; l < LANES; l++) *(vec *)(packed + (k + l) * LANES) = w[l];
            }
        if (row == 1 && m + LANES <= M)
            for (; k < K; k++) *(vec *)(packed + k * LANES) = *(const loose *)(a + k * column);
        for (; k < K; k++)
            for (int64_t l = 0; l < LANES; l++) packed[k * LANES + l] = m + l < M ? a[l * row + k * column] : 0;
    }
}

/* A digest of memory shows whether the memory has changed. It is eight vectors of 64-bit numbers. Each vector of memory is
   added to one of them, whose numbers are then rotated and mixed into another (addition, rotation and exclusive or, as in
   Jenkins' SpookyHash). Each of these steps can be undone, and no information is lost. So two contents that differ in one
   8-byte word never have the same digest. A difference enters two of the eight vectors at once, and a second changed word can
   only cancel it in one of them: exchanged words, and changed signs, are seen at any distance. Of the changes that are made
   without regard to these rotations, fewer than 1 in 2^60 are missed. The digest is about as fast as reading the memory. */
#define MIXED 8
typedef uint64_t words __attribute__((vector_size(BYTES), aligned(1), may_alias));

INLINE void mix(words *const state, const char *memory) {
    static const int turn[MIXED] = {11, 27, 41, 17, 50, 5, 59, 36};
    UNROLL for (int v = 0; v < MIXED; v++) {
        const words sum = state[v] + *(const words *)(memory + v * BYTES);
        state[v] = sum << turn[v] | sum >> (64 - turn[v]);
        state[(v + 5) % MIXED] ^= state[v];
    }
}

INLINE void mix_all(words *const state, int64_t count, const char *const *memory, const int64_t *bytes) {
    UNROLL for (int v = 0; v < MIXED; v++) state[v] = (words){0};
    for (int64_t i = 0; i < count; i++) {
        int64_t done = 0;
        for (; done + MIXED * BYTES <= bytes[i]; done += MIXED * BYTES) mix(state, memory[i] + done);
        if (done < bytes[i]) {
            char rest[MIXED * BYTES] = {0};
            memcpy(rest, memory[i] + done, bytes[i] - done);
            mix(state, rest);
        }
    }
}

/* The digest of several pieces of memory, and whether they have a given one. */
void digest_all(int64_t count, const char *const *memory, const int64_t *bytes, char *digest) {
    words state[MIXED];
    mix_all(state, count, memory, bytes);
    memcpy(digest, state, sizeof state);
}

int has_digest(int64_t count, const char *const *memory, const int64_t *bytes, const char *digest) {
    words state[MIXED];
    mix_all(state, count, memory, bytes);
    return !memcmp(digest, state, sizeof state);
}

int64_t digest_size(void) { return MIXED * BYTES; }

/* Keeps a vector in a register. gcc would load it again for each use, and loads limit the speed of a product of few rows. */
#if defined(__x86_64__)
#define IN_REGISTER(vector) __asm__("" : "+v"(vector));
#else
#define IN_REGISTER(vector)
#endif

/* NV vectors of outputs for R rows: each weight is read once for all rows. Each shape is a separate function, so that the
   compiler keeps all sums in registers. */
#define BLOCK(R, NV)                                                                                                   \
    static __attribute__((noinline)) void block_##R##_##NV(const int K, const real *packed, const real *x,             \
                                                           const size_t xs, real *y, const size_t ys) {                \
        vec sum[R][NV];                                                                                                \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] = (vec){0};                   \
        for (int k = 0; k < K; k++) {                                                                                  \
            vec w[NV];                                                                                                 \
            UNROLL for (int v = 0; v < NV; v++) {                                                                      \
                w[v] = *(const vec *)(packed + ((size_t)v * K + k) * LANES);                                           \
                if (R > 1) IN_REGISTER(w[v])                                                                           \
            }                                                                                                          \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] += w[v] * x[r * xs + k];  \
        }                                                                                                              \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++)                                         \
            *(vec *)(y + r * ys + v * LANES) = sum[r][v];                                                              \
    }

/* As many sums as fit into the registers (32 with AVX-512, otherwise 16) beside the weights. */
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

/* NV panels at a time for all rows, while the panels are in the cache. */
#define PANELS(NV, BODY)                                                                                               \
    for (; v + NV <= panels; v += NV) {                                                                                \
        const real *const w = packed + (size_t)v * K * LANES;                                                          \
        int r = 0;                                                                                                     \
        BODY                                                                                                           \
    }
#define BY(N, NV) for (; r + N <= R; r += N) NAMED(N, NV)(K, w, x + r * xs, xs, y + r * ys + v * LANES, ys);
/* If 8 rows are left, blocks of 4 and 4 are faster than 6 and 2. */
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
#if BYTES == 64
    PANELS(3, ROWS(3))
#else
    PANELS(2, ROWS(2))
#endif
    PANELS(1, ROWS(1))
}

/* A product in parts of `step` outputs each. */
typedef struct {
    int R, M, K, step;
    const real *packed, *x;
    real *y;
    size_t xs, ys;
} shared_product;

static void part_of_product(const void *given, int part) {
    const shared_product *const p = given;
    const int first = part * p->step, rows = p->M - first < p->step ? p->M - first : p->step;
    product_of_one(p->R, rows, p->K, p->packed + (size_t)first * p->K, p->x, p->xs, p->y + first, p->ys);
}

#define SHARED (1 << 17) /* multiply-adds that make a part worth its overhead */

/* y = A x for R rows, A in panels. The number of threads makes no difference to the bits. */
void product(crew *c, int R, int M, int K, const real *packed, const real *x, size_t xs, real *y, size_t ys) {
    const int step = (R < 4 ? 8 : 8 * WIDE) * LANES;
    if (!c || M <= step || (int64_t)R * M * K < 2 * SHARED) {
        product_of_one(R, M, K, packed, x, xs, y, ys);
        return;
    }
    const shared_product all = {R, M, K, step, packed, x, y, xs, ys};
    share(c, (M + step - 1) / step, part_of_product, &all);
}

/* Products of few rows, where A is not packed. Nothing is packed or compared with a digest. Outputs are summed in the same
   order as from panels. */

/* The first `rows` entries of a column. */
INLINE vec column(const real *a, const int K, const int rows) {
    vec w = {0};
    for (int i = 0; i < rows; i++) w[i] = a[(size_t)i * K];
    return w;
}

/* NV vectors of outputs for R rows: squares of A are transposed in registers. */
#define DIRECTLY(R, NV)                                                                                                \
    static __attribute__((noinline)) void directly_##R##_##NV(const int K, const real *A, const real *x,               \
                                                              const size_t xs, real *y, const size_t ys) {             \
        const real *ahead = A + (size_t)NV * LANES * K;                                                                \
        vec sum[R][NV];                                                                                                \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] = (vec){0};                   \
        int k = 0;                                                                                                     \
        for (; k + LANES <= K; k += LANES)                                                                             \
            for (int v = 0; v < NV; v++) {                                                                             \
                vec w[LANES];                                                                                          \
                AHEAD(ahead, LANES * LANES)                                                                            \
                ahead += LANES * LANES;                                                                                \
                UNROLL for (int i = 0; i < LANES; i++) w[i] = *(const loose *)(A + ((size_t)v * LANES + i) * K + k);   \
                transpose(w);                                                                                          \
                UNROLL for (int r = 0; r < R; r++)                                                                     \
                    UNROLL for (int i = 0; i < LANES; i++) sum[r][v] += w[i] * x[r * xs + k + i];                      \
            }                                                                                                          \
        for (; k < K; k++)                                                                                             \
            UNROLL for (int v = 0; v < NV; v++) {                                                                      \
                const vec w = column(A + (size_t)v * LANES * K + k, K, LANES);                                         \
                UNROLL for (int r = 0; r < R; r++) sum[r][v] += w * x[r * xs + k];                                     \
            }                                                                                                          \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++)                                         \
            *(vec *)(y + r * ys + v * LANES) = sum[r][v];                                                              \
    }
DIRECTLY(4, 1)
DIRECTLY(2, 1)
DIRECTLY(1, 4)
DIRECTLY(1, 1)

/* y = A x for R rows. */
void product_direct(crew *c, int R, int M, int K, const real *A, const real *x, size_t xs, real *y, size_t ys) {
    (void)c;
    int r = 0;
#define DIRECT(N, NV)                                                                                                  \
    for (; m + NV * LANES <= M; m += NV * LANES) directly_##N##_##NV(K, A + (size_t)m * K, x + r * xs, xs, y + r * ys + m, ys);
    for (int m = 0; r + 4 <= R; r += 4, m = 0) DIRECT(4, 1)
    for (int m = 0; r + 2 <= R; r += 2, m = 0) DIRECT(2, 1)
    for (int m = 0; r < R; r++, m = 0) {
        DIRECT(1, 4)
        DIRECT(1, 1)
    }
    const int m = M / LANES * LANES;
    if (m < M)
        for (int k = 0; k < K; k++) {
            const vec w = column(A + (size_t)m * K + k, K, M - m);
            for (r = 0; r < R; r++) {
                vec *const to = (vec *)(y + r * ys + m);
                *to = (k ? *to : (vec){0}) + w * x[r * xs + k];
            }
        }
}

/* NV vectors of outputs for R rows, if the matrix is the transpose of A, whose rows have M numbers. */
#define TURNED(R, NV)                                                                                                  \
    static __attribute__((noinline)) void turned_##R##_##NV(const int M, const int K, const real *A, const real *x,    \
                                                            const size_t xs, real *y, const size_t ys) {               \
        vec sum[R][NV];                                                                                                \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++) sum[r][v] = (vec){0};                   \
        for (int k = 0; k < K; k++, A += M)                                                                            \
            UNROLL for (int v = 0; v < NV; v++) {                                                                      \
                const vec w = *(const loose *)(A + v * LANES);                                                         \
                UNROLL for (int r = 0; r < R; r++) sum[r][v] += w * x[r * xs + k];                                     \
            }                                                                                                          \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < NV; v++)                                         \
            *(loose *)(y + r * ys + v * LANES) = sum[r][v];                                                            \
    }
TURNED(4, 2)
TURNED(4, 1)
TURNED(1, 8)
TURNED(1, 1)

/* y = A^T x for R rows, A of K rows and M columns. */
void product_turned(crew *c, int R, int M, int K, const real *A, const real *x, size_t xs, real *y, size_t ys) {
    (void)c;
    int r = 0;
#define TURN(N, NV) for (; m + NV * LANES <= M; m += NV * LANES) turned_##N##_##NV(M, K, A + m, x + r * xs, xs, y + r * ys + m, ys);
#define LAST(N) if (m < M) turned_##N##_1(M, K, A + M - LANES, x + r * xs, xs, y + r * ys + M - LANES, ys);
    if (M >= LANES) {
        for (int m = 0; r + 4 <= R; r += 4, m = 0) {
            TURN(4, 2)
            TURN(4, 1)
            LAST(4)
        }
        for (int m = 0; r < R; r++, m = 0) {
            TURN(1, 8)
            TURN(1, 1)
            LAST(1)
        }
        return;
    }
    for (; r < R; r++) {
        vec sum = {0};
        for (int k = 0; k < K; k++)
            for (int l = 0; l < M; l++) sum[l] += A[(size_t)k * M + l] * x[r * xs + k];
        *(vec *)(y + r * ys) = sum;
    }
}
