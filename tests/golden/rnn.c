void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, matrix_product *turned, crew *c) {
    const real *const m0_ = p[0];
    const real *const f0 = p[1];
    const real *const w0 = p[2];
    const real *const w1 = p[3];
    const real *const begin0 = p[4];
    real *const end0 = p[5];
    real *const k0_ = p[6];
    real *const k1_ = p[7];
    real *const n0_ = scratch;
    real *const g0_ = n0_ + (size_t)MOST_ROWS * ROW(20);
    real *const s0_ = g0_ + (size_t)MOST_ROWS * ROW(3);
    real *const n1_ = s0_ + (size_t)R * ROW(20);
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        for (int i = 0; i < N; i++) {
            const real *const m0 = m0_ + at[i] * 3;
            real *const g0 = g0_ + i * ROW(3);
            EACH for (int j = 0; j < 3; j++) g0[j] = m0[j];
        }
        product(c, N, 20, 3, w0, g0_, ROW(3), n0_, ROW(20));
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const k1 = k1_ + at[i] * 20;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = from[i] < 0 ? 0 : begin0[from[i] * 20 + j];
                }
                EACH for (int j = 0; j < 20; j++) k1[j] = s0[j];
            }
            product(c, R, 20, 20, w1, s0_, ROW(20), n1_, ROW(20));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n0 = n0_ + i * ROW(20);
                real *const n1 = n1_ + r * ROW(20);
                real *const s0 = s0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = f0[j] + n0[j];
                    const real v1 = v0 + n1[j];
                    const real v2 = u_tanh(v1);
                    s0[j] = v2;
                    k0[j] = v2;
                }
                if (to[i] >= 0) {
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                }
            }
        }
    }
}

/* Scratch memory for R lanes, in numbers. */
int64_t scratch_size(int R) {
    return (int64_t)MOST_ROWS * (ROW(20) + ROW(3)) + (int64_t)R * (ROW(20) + ROW(20));
}

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, matrix_product *turned, crew *c) {
    const real *const m0_ = p[0];
    const real *const m1_ = p[1];
    const real *const w0 = p[2];
    real *const end0 = p[3];
    real *const k0_ = p[4];
    real *const s0_ = scratch;
    real *const n0_ = s0_ + (size_t)R * ROW(20);
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int i = base + R; i < base + 2 * R && i < N; i++) {
                AHEAD(m0_ + at[i] * 20, 20)
                AHEAD(m1_ + at[i] * 20, 20)
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                const real *const m0 = m0_ + at[i] * 20;
                const real *const m1 = m1_ + at[i] * 20;
                real *const n0 = n0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = 0;
                }
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = m0[j] * m0[j];
                    const real v1 = (real)1.0 - v0;
                    const real v2 = m1[j] + s0[j];
                    const real v3 = v1 * v2;
                    n0[j] = v3;
                    k0[j] = v3;
                }
            }
            turned(c, R, 20, 20, w0, n0_, ROW(20), s0_, ROW(20));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                if (to[i] >= 0) {
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                }
            }
        }
    }
}

/* Scratch memory for R lanes, in numbers. */
int64_t scratch_size(int R) {
    return (int64_t)MOST_ROWS * (0) + (int64_t)R * (ROW(20) + ROW(20));
}
