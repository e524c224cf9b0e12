/* The steps of some lanes, a stretch at a time. Part of each compiled pass, after prelude.c. */

/* A stretch: some steps of all lanes. Row i of the stretch is row at[i] of the series. from[i] and to[i] are those of its
   piece if the piece begins or ends there, and INSIDE otherwise. Lanes are sorted by length, so that lanes with steps left
   come first. */
typedef struct {
    const piece *next[MOST_LANES], *end[MOST_LANES];
    int64_t done[MOST_LANES], at[MOST_ROWS], from[MOST_ROWS], to[MOST_ROWS];
#ifdef EACH_SEQUENCE
    int64_t of[MOST_ROWS]; /* the sequence of each row, if no sequence is reset */
#endif
    int live[MOST_ROWS], lanes, steps;
} stretch;
#define INSIDE -2

/* Lane r processes pieces[of_lane[r]] ... pieces[of_lane[r + 1] - 1]. */
static void begin_lanes(stretch *s, int R, const piece *pieces, const int64_t *of_lane) {
    s->lanes = R;
    for (int r = 0; r < R; r++) {
        s->next[r] = pieces + of_lane[r];
        s->end[r] = pieces + of_lane[r + 1];
        s->done[r] = 0;
    }
}

/* The next steps. Returns the number of rows, 0 at the end. */
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
#ifdef EACH_SEQUENCE
            s->of[N] = REVERSE ? p->to : p->from;
#endif
            if (!left) s->next[r]++, s->done[r] = 0;
        }
        while (s->lanes > 0 && s->next[s->lanes - 1] == s->end[s->lanes - 1]) s->lanes--;
    }
    return N;
}

/* The addresses of the rows one step earlier, in a pass backward: a piece ends there where it began in the pass forward. */
#define PREVIOUS(address, series, start, size, zero)                                                                   \
    for (int i = 0; i < N; i++)                                                                                        \
        address[i] = to[i] == INSIDE ? series + (at[i] - 1) * (size) : to[i] < 0 ? zero : start + to[i] * (size);
