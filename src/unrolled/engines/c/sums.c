/* Sums over time. Compiled once, for all circuits, after prelude.c and crew.c. */

/* A factor of a sum: the rows of a series, or (start != NULL) the rows one step earlier. At the first row of a piece, the
   row one step earlier is the starting state. */
typedef struct {
    const real *series, *start;
    int64_t size;
} factor;

static const real *row_of(const factor *f, const piece *p, int64_t row, const real *zero) {
    if (!f->start) return f->series + row * f->size;
    if (row > p->first) return f->series + (row - 1) * f->size;
    return p->from < 0 ? zero : f->start + p->from * f->size;
}

/* A term of a gradient: the sum over all rows of u v^T, or of u if the size of v is 0. It is written to `to`, or added to
   it if `add`. */
typedef struct {
    factor u, v;
    real *to;
    int64_t add;
} term;

#define DEPTH 256 /* rows that are summed in registers before they are added to the total */
#define TALL (BYTES == 64 ? 8 : 6)
#define BROAD (BYTES == 64 ? 3 : 2)
#define SPAN (BROAD * LANES)
#define SHARE (BYTES == 64 ? 8 : 6) /* the rows of u v^T of a part are a multiple of this */

/* The target of a sum: the totals, or directly the result, if no further rows follow. */
typedef struct {
    double *total;
    real *to;
    int64_t add;
} goal;

INLINE void settle(const goal *g, const int64_t at, const int64_t n, const real *value) {
    if (!g->to) EACH for (int64_t i = 0; i < n; i++) g->total[at + i] += value[i];
    else if (g->add) EACH for (int64_t i = 0; i < n; i++) g->to[at + i] += value[i];
    else memcpy(g->to + at, value, n * sizeof(real));
}

/* A block of u v^T, summed over K rows: TALL rows of NV vectors, cut at the edges of the result. It begins at entry `at` of
   the result, whose rows have `width` entries. */
#define CORNER(NV)                                                                                                     \
    static __attribute__((noinline)) void corner_##NV(const int K, const real *u, const real *v, const int rows,       \
                                                      const int columns, const goal *g, const int64_t at,              \
                                                      const int64_t width) {                                           \
        vec sum[TALL][NV];                                                                                             \
        UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < NV; c++) sum[r][c] = (vec){0};                \
        for (int k = 0; k < K; k++) {                                                                                  \
            vec w[NV];                                                                                                 \
            UNROLL for (int c = 0; c < NV; c++) w[c] = *(const vec *)(v + (k * NV + c) * LANES);                       \
            UNROLL for (int r = 0; r < TALL; r++) UNROLL for (int c = 0; c < NV; c++) sum[r][c] += w[c] * u[k * TALL + r]; \
        }                                                                                                              \
        real out[TALL][NV * LANES];                                                                                    \
        UNROLL for (int r = 0; r < TALL; r++) memcpy(out[r], sum[r], NV * BYTES);                                      \
        if (columns == NV * LANES)                                                                                     \
            for (int r = 0; r < rows; r++) settle(g, at + r * width, NV * LANES, out[r]);                              \
        else                                                                                                           \
            for (int r = 0; r < rows; r++) settle(g, at + r * width, columns, out[r]);                                 \
    }
CORNER(1)
CORNER(2)
#if BYTES == 64
CORNER(3)
#endif

/* The same for u alone: `height` entries of K rows, from entry `first` on, are summed in `sum`. */
static void edge(const int K, const real **rows, const int64_t first, const int64_t height, real *sum, const goal *g) {
    memset(sum, 0, height * sizeof(real));
    for (int k = 0; k < K; k++) {
        const real *const row = rows[k] + first;
        EACH for (int64_t r = 0; r < height; r++) sum[r] += row[r];
    }
    settle(g, 0, height, sum);
}

/* u v^T of a single row. Adding zero rounds as a sum of more rows does. */
static void of_single_row(const real *u, const int64_t height, const real *v, const int64_t width, const goal *g) {
    for (int64_t r = 0; r < height; r++) {
        real *const to = g->to + r * width;
        if (g->add) EACH for (int64_t c = 0; c < width; c++) {
            const real value = v[c] * u[r] + 0;
            to[c] += value;
        }
        else EACH for (int64_t c = 0; c < width; c++) to[c] = v[c] * u[r] + 0;
    }
}

/* Numbers from one panel to the next; no power of two, so that panels do not compete for the same sets of the cache. */
#define PANEL(broad) (DEPTH * (broad) + 64 / (int)sizeof(real))

/* Packs entries first ... last - 1 of K rows into panels of `broad` entries. The width of the last panel is the smallest
   multiple of `least` that suffices. Rows are read from front to back. */
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

/* `height` rows of u v^T, summed over K rows of the series. */
static void corners(int K, const real *us, const real *vs, int64_t height, int64_t width, const goal *g) {
    for (int64_t r = 0; r < height; r += TALL, us += PANEL(TALL)) {
        const int rows = height - r < TALL ? (int)(height - r) : TALL;
        for (int64_t c = 0; c < width; c += SPAN) {
            const int columns = width - c < SPAN ? (int)(width - c) : SPAN;
            const real *const v = vs + c / SPAN * PANEL(SPAN);
#if BYTES == 64
            if (columns > 2 * LANES) corner_3(K, us, v, rows, columns, g, r * width + c, width);
            else
#endif
            if (columns > LANES) corner_2(K, us, v, rows, columns, g, r * width + c, width);
            else corner_1(K, us, v, rows, columns, g, r * width + c, width);
        }
    }
}

#define PANELS_OF(n, broad) (((n) + (broad) - 1) / (broad) * PANEL(broad))
#define WIDTH(t) ((t)->v.size ? (t)->v.size : 1)

/* The addresses of up to DEPTH rows, from row *done of piece *p on. Returns their number, and moves *p and *done on. */
static int rows_of(const factor *f, const piece *pieces, int64_t count, int64_t *p, int64_t *done, const real *zero,
                   const real **rows) {
    int K = 0;
    for (; *p < count; *done = 0, ++*p) {
        for (; K < DEPTH && *done < pieces[*p].length; K++, ++*done)
            rows[K] = row_of(f, pieces + *p, pieces[*p].first + *done, zero);
        if (*done < pieces[*p].length) break;
    }
    return K;
}

/* The most rows of u v^T that a part computes. */
INLINE int64_t most_rows(int64_t rows, int64_t parts) {
    return ((rows + parts - 1) / parts + SHARE - 1) / SHARE * SHARE;
}

/* Part `part` of `parts` of the sums of terms with the same u. Pieces are in the order of their rows. Rows are summed in
   order, for any number of parts. */
static void outer_sums_of(int64_t part, int64_t parts, const piece *pieces, int64_t count, const term *terms, int64_t n,
                          real *scratch) {
    const factor *const u = &terms->u;
    const int64_t most = most_rows(u->size, parts), first = part * most;
    const int64_t height = first + most < u->size ? most : u->size - first;
    if (height <= 0) return;
    int64_t entries = 0, widest = 0, rows = 0;
    for (const term *t = terms; t < terms + n; t++) {
        entries += height * WIDTH(t);
        widest = t->v.size > widest ? t->v.size : widest;
    }
    for (int64_t p = 0; p < count && rows <= DEPTH; p++) rows += pieces[p].length;
    const int direct = 0 < rows && rows <= DEPTH;
    double *totals = (double *)scratch;
    real *const us = (real *)(totals + PAD(entries)), *const vs = us + PANELS_OF(height, TALL);
    real *const zero = vs + PANELS_OF(widest, SPAN), *const sum = zero + (u->size > widest ? u->size : widest);
    if (!direct) memset(totals, 0, entries * sizeof(double));
    memset(zero, 0, (u->size > widest ? u->size : widest) * sizeof(real));
    const real *near[DEPTH], *other[DEPTH];
    for (int64_t p = 0, done = 0; p < count;) {
        int64_t begin = p, begun = done;
        const int K = rows_of(u, pieces, count, &p, &done, zero, near);
        const int single = direct && K == 1;
        if (widest && !single) panels(near, K, first, first + height, TALL, TALL, us);
        double *total = totals;
        for (const term *t = terms; t < terms + n; total += height * WIDTH(t), t++) {
            const goal g = {total, direct ? t->to + first * WIDTH(t) : NULL, t->add};
            if (t->v.size) {
                int64_t q = begin, d = begun;
                rows_of(&t->v, pieces, count, &q, &d, zero, other);
                if (single) of_single_row(near[0] + first, height, other[0], t->v.size, &g);
                else {
                    panels(other, K, 0, t->v.size, SPAN, LANES, vs);
                    corners(K, us, vs, height, t->v.size, &g);
                }
            } else
                edge(K, near, first, height, sum, &g);
        }
    }
    if (direct) return;
    for (const term *t = terms; t < terms + n; t++) {
        real *const to = t->to + first * WIDTH(t);
        const int64_t size = height * WIDTH(t);
        if (t->add)
            for (int64_t i = 0; i < size; i++) to[i] += totals[i];
        else
            for (int64_t i = 0; i < size; i++) to[i] = totals[i];
        totals += size;
    }
}

/* The number of leading terms that have the same u. Series without rows may share an address. */
static int64_t alike(const term *terms, int64_t n) {
    const factor *const u = &terms->u;
    int64_t i = 1;
    for (; i < n; i++) {
        const factor *const other = &terms[i].u;
        if (other->series != u->series || other->start != u->start || other->size != u->size) break;
    }
    return i;
}

/* All terms, grouped by u; each part has `room` bytes of scratch memory. */
typedef struct {
    int parts;
    const piece *pieces;
    int64_t count, n, room;
    const term *terms;
    char *rooms;
} all_sums;

static void part_of_sums(const void *given, int part) {
    const all_sums *const s = given;
    const term *t = s->terms;
    for (int64_t left = s->n, same; left > 0; t += same, left -= same)
        outer_sums_of(part, s->parts, s->pieces, s->count, t, same = alike(t, left), (real *)(s->rooms + part * s->room));
}

void outer_sums(crew *c, int parts, const piece *pieces, int64_t count, const term *terms, int64_t n, char *rooms,
                int64_t room) {
    const all_sums all = {parts, pieces, count, n, room, terms, rooms};
    share(c, parts, part_of_sums, &all);
}

/* The size of the scratch memory of a part, in numbers. */
int64_t outer_scratch(const term *terms, int64_t n, int64_t parts) {
    int64_t most = 0;
    for (int64_t same; n > 0; terms += same, n -= same) {
        same = alike(terms, n);
        const int64_t height = most_rows(terms->u.size, parts);
        int64_t entries = 0, widest = 0;
        for (const term *t = terms; t < terms + same; t++) {
            entries += height * WIDTH(t);
            widest = t->v.size > widest ? t->v.size : widest;
        }
        const int64_t need = PAD(entries) * (int64_t)(sizeof(double) / sizeof(real)) + PANELS_OF(height, TALL) +
                             PANELS_OF(widest, SPAN) + height + (terms->u.size > widest ? terms->u.size : widest);
        most = need > most ? need : most;
    }
    return most;
}

/* The tokens of a series, or (start != NULL) those one step earlier, as in a factor. */
typedef struct {
    const int64_t *series, *start;
} tokens;

static int64_t token_of(const tokens *t, const piece *p, int64_t row) {
    if (!t->start || row > p->first) return t->series[row - (t->start != NULL)];
    return p->from < 0 ? 0 : t->start[p->from];
}

/* Adds row i of a series to the row of the total that token i names. */
void scatter_sum(const tokens *t, const factor *v, const piece *pieces, int64_t count, double *total, real *zero) {
    memset(zero, 0, v->size * sizeof(real));
    for (const piece *p = pieces; p < pieces + count; p++)
        for (int64_t row = p->first; row < p->first + p->length; row++) {
            const real *const x = row_of(v, p, row, zero);
            double *const to = total + token_of(t, p, row) * v->size;
            EACH for (int64_t j = 0; j < v->size; j++) to[j] += x[j];
        }
}
