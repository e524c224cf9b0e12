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

/* A part of a gradient: the sum over all rows of u v^T, or of u alone if v has no size. It is written to `to`, or, with
   `add`, added to what is there. */
typedef struct {
    factor u, v;
    real *to;
    int64_t add;
} term;

#define DEPTH 256 /* rows that are added up in registers before they are added to the total */
#define TALL (BYTES == 64 ? 8 : 6)
#define BROAD (BYTES == 64 ? 3 : 2)
#define SPAN (BROAD * LANES)
#define SHARE (BYTES == 64 ? 8 : 6) /* rows of u v^T that a thread takes at once */

/* TALL x NV vectors of u v^T, summed over K rows, added to the total as far as it reaches. */
#define CORNER(NV)                                                                                                     \
    static __attribute__((noinline)) void corner_##NV(const int K, const real *u, const real *v, const int rows,       \
                                                      const int columns, double *total, const int64_t width) {         \
        vec sum[TALL][NV];                                                                                             \
        UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < NV; c++) sum[r][c] = (vec){0};                \
        for (int k = 0; k < K; k++) {                                                                                  \
            vec w[NV];                                                                                                 \
            UNROLL for (int c = 0; c < NV; c++) w[c] = *(const vec *)(v + (k * NV + c) * LANES);                       \
            UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < NV; c++) sum[r][c] += w[c] * u[k * TALL + r]; \
        }                                                                                                              \
        real out[TALL][NV * LANES];                                                                                    \
        UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < NV; c++)                                      \
            memcpy(&out[r][c * LANES], &sum[r][c], BYTES);                                                             \
        if (columns == NV * LANES)                                                                                     \
            for (int r = 0; r < rows; r++)                                                                             \
                for (int c = 0; c < NV * LANES; c++) total[r * width + c] += out[r][c];                                \
        else                                                                                                           \
            for (int r = 0; r < rows; r++)                                                                             \
                for (int c = 0; c < columns; c++) total[r * width + c] += out[r][c];                                   \
    }
CORNER(1)
CORNER(2)
#if BYTES == 64
CORNER(3)
#endif

/* The same without a v: TALL entries of u summed over K rows. */
INLINE void edge(int K, const real *u, int rows, double *total) {
    real sum[TALL] = {0};
    for (int k = 0; k < K; k++)
        UNROLL for (int r = 0; r < TALL; r++) sum[r] += u[k * TALL + r];
    for (int r = 0; r < rows; r++) total[r] += sum[r];
}

/* Numbers from one panel of some entries of each row to the next: not a power of two, so that panels do not compete for
   the same sets of the cache. */
#define PANEL(broad) (DEPTH * (broad) + 64 / (int)sizeof(real))

/* Entries first ... last - 1 of K rows, in panels of `broad` entries of each row; the last panel is as wide as it must
   be, in steps of `least`. Rows are read from front to back. */
INLINE void panels(const real **rows, int K, int64_t first, int64_t last, const int broad, const int least, real *packed) {
    for (int k = 0; k < K; k++) {
        const real *row = rows[k] + first;
        real *panel = packed + k * broad;
        int64_t left = last - first;
        for (; left >= broad; left -= broad, row += broad, panel += PANEL(broad)) memcpy(panel, row, broad * sizeof(real));
        if (left > 0) {
            const int width = (int)(left + least - 1) / least * least;
            for (int c = 0; c < width; c++) panel[k * (width - broad) + c] = c < left ? row[c] : 0;
        }
    }
}

/* Rows first ... last - 1 of u v^T, summed over K rows of the series. */
static void add_corners(int K, const real *us, const real *vs, int64_t first, int64_t last, int64_t width, double *total) {
    for (int64_t r = first; r < last; r += TALL, us += PANEL(TALL)) {
        const int rows = last - r < TALL ? (int)(last - r) : TALL;
        if (!width) edge(K, us, rows, total + (r - first));
        for (int64_t c = 0; c < width; c += SPAN) {
            const int columns = width - c < SPAN ? (int)(width - c) : SPAN;
            const real *const v = vs + c / SPAN * PANEL(SPAN);
            double *const to = total + (r - first) * width + c;
#if BYTES == 64
            if (columns > 2 * LANES) corner_3(K, us, v, rows, columns, to, width);
            else
#endif
            if (columns > LANES) corner_2(K, us, v, rows, columns, to, width);
            else corner_1(K, us, v, rows, columns, to, width);
        }
    }
}

#define PANELS_OF(n, broad) (((n) + (broad) - 1) / (broad) * PANEL(broad))
#define WIDTH(t) ((t)->v.size ? (t)->v.size : 1)

/* Part `part` of `parts` of some terms that have the same u. The pieces are in the order of their rows; rows are added up
   in their order, whoever adds. */
static void outer_sums_of(int64_t part, int64_t parts, const piece *pieces, int64_t count, const term *terms, int64_t n,
                          real *scratch) {
    const factor *const u = &terms->u;
    const int64_t share = ((u->size + parts - 1) / parts + SHARE - 1) / SHARE * SHARE;
    const int64_t first = part * share, last = first + share < u->size ? first + share : u->size;
    if (first >= last) return;
    int64_t entries = 0, widest = 0, longest = u->size;
    for (const term *t = terms; t < terms + n; t++) {
        entries += (last - first) * WIDTH(t);
        widest = t->v.size > widest ? t->v.size : widest;
    }
    longest = widest > longest ? widest : longest;
    double *const total = (double *)scratch;
    real *const us = (real *)(total + PAD(entries)), *const vs = us + PANELS_OF(last - first, TALL);
    real *const zero = vs + PANELS_OF(widest, SPAN);
    memset(total, 0, entries * sizeof(double));
    memset(zero, 0, longest * sizeof(real));
    for (int64_t p = 0, done = 0; p < count;) {
        const real *ur[DEPTH], *vr[DEPTH];
        const int64_t begin = p, begun = done;
        int K = 0;
        for (; p < count && K < DEPTH; done = 0, p++) {
            for (; K < DEPTH && done < pieces[p].length; K++, done++)
                ur[K] = row_of(u, pieces + p, pieces[p].first + done, zero);
            if (done < pieces[p].length) break;
        }
        panels(ur, K, first, last, TALL, TALL, us);
        double *to = total;
        for (const term *t = terms; t < terms + n; to += (last - first) * WIDTH(t), t++) {
            if (t->v.size) {
                for (int64_t k = 0, q = begin, d = begun; k < K; d = 0, q++)
                    for (; k < K && d < pieces[q].length; k++, d++)
                        vr[k] = row_of(&t->v, pieces + q, pieces[q].first + d, zero);
                panels(vr, K, 0, t->v.size, SPAN, LANES, vs);
            }
            add_corners(K, us, vs, first, last, t->v.size, to);
        }
    }
    const double *from = total;
    for (const term *t = terms; t < terms + n; from += (last - first) * WIDTH(t), t++) {
        real *const to = t->to + first * WIDTH(t);
        if (t->add)
            for (int64_t i = 0; i < (last - first) * WIDTH(t); i++) to[i] += from[i];
        else
            for (int64_t i = 0; i < (last - first) * WIDTH(t); i++) to[i] = from[i];
    }
}

/* How many terms have the same u as the first. */
static int64_t alike(const term *terms, int64_t n) {
    int64_t i = 1;
    while (i < n && terms[i].u.series == terms->u.series && terms[i].u.start == terms->u.start) i++;
    return i;
}

/* Part `part` of `parts` of all terms; those with the same u stand together. */
void outer_sums(int64_t part, int64_t parts, const piece *pieces, int64_t count, const term *terms, int64_t n,
                real *scratch) {
    for (int64_t same; n > 0; terms += same, n -= same)
        outer_sums_of(part, parts, pieces, count, terms, same = alike(terms, n), scratch);
}

/* Numbers that outer_sums needs for itself. */
int64_t outer_scratch(const term *terms, int64_t n) {
    int64_t most = 0;
    for (int64_t same; n > 0; terms += same, n -= same) {
        same = alike(terms, n);
        const int64_t height = terms->u.size;
        int64_t entries = 0, widest = 0;
        for (const term *t = terms; t < terms + same; t++) {
            entries += height * WIDTH(t);
            widest = t->v.size > widest ? t->v.size : widest;
        }
        const int64_t need = PAD(entries) * (int64_t)(sizeof(double) / sizeof(real)) + PANELS_OF(height, TALL) +
                             PANELS_OF(widest, SPAN) + (height > widest ? height : widest);
        most = need > most ? need : most;
    }
    return most;
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
