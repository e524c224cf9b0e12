/* What is done with matrices around the loops; compiled once, for all circuits. Stands on prelude.c. */

/* Panels of A (M rows, K columns, any strides); rows beyond M are zero. */
void pack(const real *a, int64_t row, int64_t column, int64_t M, int64_t K, real *packed) {
    for (int64_t m = 0; m < PAD(M); m += LANES)
        for (int64_t k = 0; k < K; k++)
            for (int64_t l = 0; l < LANES; l++)
                packed[(m * K) + k * LANES + l] = m + l < M ? a[(m + l) * row + k * column] : 0;
}

/* A number that changes when a bit of the memory does: halves of the words multiplied, as in XXH3 by Y. Collet. */
#define GOLDEN 0x9E3779B97F4A7C15u
static uint64_t digest(const char *memory, int64_t bytes) {
    typedef uint64_t words __attribute__((vector_size(BYTES), aligned(1), may_alias));
    enum { AT_ONCE = 4, PER = BYTES / 8 };
    words lane[AT_ONCE], key[AT_ONCE];
    for (int v = 0; v < AT_ONCE; v++)
        for (int j = 0; j < PER; j++) lane[v][j] = key[v][j] = (v * PER + j + 1) * GOLDEN;
    int64_t i = 0;
    for (; i + AT_ONCE * BYTES <= bytes; i += AT_ONCE * BYTES)
        UNROLL for (int v = 0; v < AT_ONCE; v++) {
            const words word = *(const words *)(memory + i + v * BYTES), mixed = word ^ key[v];
            lane[v] += (word << 32 | word >> 32) + (mixed & 0xFFFFFFFFu) * (mixed >> 32);
            key[v] += GOLDEN;
        }
    uint64_t total = bytes;
    for (; i < bytes; i++) total = (total ^ (unsigned char)memory[i]) * 0x100000001B3u;
    for (int v = 0; v < AT_ONCE; v++)
        for (int j = 0; j < PER; j++) total = (total ^ lane[v][j] ^ total >> 29) * 0xFF51AFD7ED558CCDu;
    return total;
}

/* The same for several pieces of memory. */
uint64_t digests(int64_t count, const char *const *memory, const int64_t *bytes) {
    uint64_t total = 0;
    for (int64_t i = 0; i < count; i++) total = total * GOLDEN + digest(memory[i], bytes[i]);
    return total;
}

/* A factor of a sum over time: rows of a series, or of the series one step earlier (start != NULL), which at the first
   row of a piece is its starting state. */
typedef struct {
    const real *series, *start;
    int64_t size;
} factor;

static const real *row_of(const factor *f, const piece *p, int64_t row, const real *zero) {
    if (!f->start) return f->series + row * f->size;
    if (row > p->first) return f->series + (row - 1) * f->size;
    return p->from < 0 ? zero : f->start + p->from * f->size;
}

#define DEPTH 256 /* rows that are added up in registers before they are added to the total */
#define TALL (BYTES == 64 ? 8 : 6)
#define BROAD (BYTES == 64 ? 3 : 2)

/* TALL x BROAD vectors of u v^T, summed over K rows, added to the total as far as it reaches. */
static __attribute__((noinline)) void corner(const int K, const real *u, const real *v, const int rows,
                                             const int columns, double *total, const int64_t width) {
    vec sum[TALL][BROAD];
    UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < BROAD; c++) sum[r][c] = (vec){0};
    for (int k = 0; k < K; k++) {
        vec w[BROAD];
        UNROLL for (int c = 0; c < BROAD; c++) w[c] = *(const vec *)(v + (k * BROAD + c) * LANES);
        UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < BROAD; c++) sum[r][c] += w[c] * u[k * TALL + r];
    }
    real out[TALL][BROAD * LANES];
    UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < BROAD; c++) memcpy(&out[r][c * LANES], &sum[r][c], BYTES);
    if (columns == BROAD * LANES)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < BROAD * LANES; c++) total[r * width + c] += out[r][c];
    else
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) total[r * width + c] += out[r][c];
}

/* Entries first ... last - 1 of K rows, in panels of `broad` entries of each row. */
INLINE void panels(const real **rows, int K, int64_t first, int64_t last, const int broad, real *packed) {
    for (int64_t m = first; m < last; m += broad, packed += (int64_t)DEPTH * broad) {
        if (last - m >= broad)
            for (int k = 0; k < K; k++) memcpy(packed + k * broad, rows[k] + m, broad * sizeof(real));
        else
            for (int k = 0; k < K; k++)
                for (int c = 0; c < broad; c++) packed[k * broad + c] = m + c < last ? rows[k][m + c] : 0;
    }
}

/* total += sum over all rows of u v^T, for entries first ... last - 1 of u (a multiple of TALL before). The pieces are in
   the order of their rows; rows are added up in their order, whoever adds. */
void outer_sum(int64_t first, int64_t last, const piece *pieces, int64_t count, const factor *u, const factor *v,
               double *total, real *scratch) {
    real *const us = scratch, *const vs = us + DEPTH * ((last - first + TALL - 1) / TALL * TALL);
    const real *zero = vs + DEPTH * ((v->size + BROAD * LANES - 1) / (BROAD * LANES) * BROAD * LANES);
    const int64_t longest = u->size > v->size ? u->size : v->size;
    memset((void *)zero, 0, longest * sizeof(real));
    const real *ur[DEPTH], *vr[DEPTH];
    for (int64_t p = 0, done = 0; p < count;) {
        int K = 0;
        for (; K < DEPTH && p < count; done = 0, p++) {
            for (; K < DEPTH && done < pieces[p].length; K++, done++) {
                ur[K] = row_of(u, pieces + p, pieces[p].first + done, zero);
                vr[K] = row_of(v, pieces + p, pieces[p].first + done, zero);
            }
            if (done < pieces[p].length) break;
        }
        panels(ur, K, first, last, TALL, us);
        panels(vr, K, 0, v->size, BROAD * LANES, vs);
        for (int64_t c = 0; c < v->size; c += BROAD * LANES)
            for (int64_t r = first; r < last; r += TALL)
                corner(K, us + (r - first) * DEPTH, vs + c * DEPTH, last - r < TALL ? (int)(last - r) : TALL,
                       v->size - c < BROAD * LANES ? (int)(v->size - c) : BROAD * LANES, total + r * v->size + c,
                       v->size);
    }
}

/* Numbers that outer_sum needs for itself. */
int64_t outer_scratch(int64_t m, int64_t n) {
    return DEPTH * (m + TALL + n + BROAD * LANES) + (m > n ? m : n);
}

/* total += sum over all rows of a series; in stretches of DEPTH rows. */
void row_sum(const real *series, int64_t rows, int64_t size, double *total, real *part) {
    for (int64_t t = 0; t < rows; t += DEPTH) {
        memset(part, 0, size * sizeof(real));
        for (int64_t k = t; k < rows && k < t + DEPTH; k++)
            EACH for (int64_t j = 0; j < size; j++) part[j] += series[k * size + j];
        EACH for (int64_t j = 0; j < size; j++) total[j] += part[j];
    }
}

/* Row token[i] of the total += row i of the series. */
void scatter_sum(const int64_t *token, const factor *v, const piece *pieces, int64_t count, double *total, real *zero) {
    memset(zero, 0, v->size * sizeof(real));
    for (const piece *p = pieces; p < pieces + count; p++)
        for (int64_t row = p->first; row < p->first + p->length; row++) {
            const real *const x = row_of(v, p, row, zero);
            double *const to = total + token[row] * v->size;
            EACH for (int64_t j = 0; j < v->size; j++) to[j] += x[j];
        }
}
