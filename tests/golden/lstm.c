void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, matrix_product *turned, crew *c) {
    const real *const m0_ = p[0];
    const real *const f0 = p[1];
    const real *const w0 = p[2];
    const real *const w1 = p[3];
    const real *const begin0 = p[4];
    const real *const begin1 = p[5];
    real *const end0 = p[6];
    real *const end1 = p[7];
    real *const k0_ = p[8];
    real *const k1_ = p[9];
    real *const k2_ = p[10];
    real *const k3_ = p[11];
    real *const k4_ = p[12];
    real *const k5_ = p[13];
    real *const k6_ = p[14];
    real *const k7_ = p[15];
    real *const k8_ = p[16];
    real *const n0_ = scratch;
    real *const g0_ = n0_ + (size_t)MOST_ROWS * ROW(80);
    real *const s0_ = g0_ + (size_t)MOST_ROWS * ROW(3);
    real *const s1_ = s0_ + (size_t)R * ROW(20);
    real *const n1_ = s1_ + (size_t)R * ROW(20);
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        for (int i = 0; i < N; i++) {
            const real *const m0 = m0_ + at[i] * 3;
            real *const g0 = g0_ + i * ROW(3);
            EACH for (int j = 0; j < 3; j++) g0[j] = m0[j];
        }
        product(c, N, 80, 3, w0, g0_, ROW(3), n0_, ROW(80));
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const s1 = s1_ + r * ROW(20);
                real *const k8 = k8_ + at[i] * 20;
                real *const k7 = k7_ + at[i] * 20;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = from[i] < 0 ? 0 : begin0[from[i] * 20 + j];
                    EACH for (int j = 0; j < 20; j++) s1[j] = from[i] < 0 ? 0 : begin1[from[i] * 20 + j];
                }
                EACH for (int j = 0; j < 20; j++) k8[j] = s0[j];
                EACH for (int j = 0; j < 20; j++) k7[j] = s1[j];
            }
            product(c, R, 80, 20, w1, s0_, ROW(20), n1_, ROW(80));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n0 = n0_ + i * ROW(80);
                real *const n1 = n1_ + r * ROW(80);
                real *const s1 = s1_ + r * ROW(20);
                real *const k4 = k4_ + at[i] * 20;
                real *const k6 = k6_ + at[i] * 20;
                real *const k2 = k2_ + at[i] * 20;
                real *const k5 = k5_ + at[i] * 20;
                real *const k1 = k1_ + at[i] * 20;
                real *const k3 = k3_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = f0[60 + j] + n0[60 + j];
                    const real v1 = v0 + n1[60 + j];
                    const real v2 = u_sigmoid(v1);
                    const real v3 = f0[20 + j] + n0[20 + j];
                    const real v4 = v3 + n1[20 + j];
                    const real v5 = u_sigmoid(v4);
                    const real v6 = ROUNDED(v5 * s1[j]);
                    const real v7 = f0[j] + n0[j];
                    const real v8 = v7 + n1[j];
                    const real v9 = u_sigmoid(v8);
                    const real v10 = f0[40 + j] + n0[40 + j];
                    const real v11 = v10 + n1[40 + j];
                    const real v12 = u_tanh(v11);
                    const real v13 = ROUNDED(v9 * v12);
                    const real v14 = v6 + v13;
                    k4[j] = v2;
                    k6[j] = v5;
                    k2[j] = v9;
                    k5[j] = v12;
                    s1[j] = v14;
                    k1[j] = v14;
                }
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = u_tanh(s1[j]);
                    const real v1 = ROUNDED(k4[j] * v0);
                    k3[j] = v0;
                    s0[j] = v1;
                    k0[j] = v1;
                }
                if (to[i] >= 0) {
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                    EACH for (int j = 0; j < 20; j++) end1[to[i] * 20 + j] = s1[j];
                }
            }
        }
    }
}

/* Scratch memory for R lanes, in numbers. */
int64_t scratch_size(int R) {
    return (int64_t)MOST_ROWS * (ROW(80) + ROW(3)) + (int64_t)R * (ROW(20) + ROW(20) + ROW(80));
}

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, matrix_product *turned, crew *c) {
    const real *const m0_ = p[0];
    const real *const m1_ = p[1];
    const real *const m2_ = p[2];
    const real *const m3_ = p[3];
    const real *const m4_ = p[4];
    const real *const m5_ = p[5];
    const real *const m6_ = p[6];
    const real *const q0_ = p[7];
    const real *const start_q0 = p[8];
    const real *const w0 = p[9];
    real *const end0 = p[10];
    real *const end1 = p[11];
    real *const k0_ = p[12];
    real *const s0_ = scratch;
    real *const s1_ = s0_ + (size_t)R * ROW(20);
    real *const n0_ = s1_ + (size_t)R * ROW(20);
    const real *before_q0[MOST_ROWS];
    static const real zero[20];
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        PREVIOUS(before_q0, q0_, start_q0, 20, zero)
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int i = base + R; i < base + 2 * R && i < N; i++) {
                AHEAD(m0_ + at[i] * 20, 20)
                AHEAD(m1_ + at[i] * 20, 20)
                AHEAD(m2_ + at[i] * 20, 20)
                AHEAD(m3_ + at[i] * 20, 20)
                AHEAD(m4_ + at[i] * 20, 20)
                AHEAD(m5_ + at[i] * 20, 20)
                AHEAD(m6_ + at[i] * 20, 20)
                AHEAD(before_q0[i], 20)
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const s1 = s1_ + r * ROW(20);
                const real *const m0 = m0_ + at[i] * 20;
                const real *const m1 = m1_ + at[i] * 20;
                const real *const m2 = m2_ + at[i] * 20;
                const real *const m3 = m3_ + at[i] * 20;
                const real *const m4 = m4_ + at[i] * 20;
                const real *const m5 = m5_ + at[i] * 20;
                const real *const m6 = m6_ + at[i] * 20;
                const real *const q0 = before_q0[i];
                real *const n0 = n0_ + r * ROW(80);
                real *const k0 = k0_ + at[i] * 80;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = 0;
                    EACH for (int j = 0; j < 20; j++) s1[j] = 0;
                }
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = (real)1.0 - m0[j];
                    const real v1 = m0[j] * v0;
                    const real v2 = m1[j] * m1[j];
                    const real v3 = (real)1.0 - v2;
                    const real v4 = (real)1.0 - m2[j];
                    const real v5 = m2[j] * v4;
                    const real v6 = m3[j] * m3[j];
                    const real v7 = (real)1.0 - v6;
                    const real v8 = (real)1.0 - m4[j];
                    const real v9 = m4[j] * v8;
                    const real v10 = m5[j] + s1[j];
                    const real v11 = m6[j] + s0[j];
                    const real v12 = m4[j] * v11;
                    const real v13 = v3 * v12;
                    const real v14 = v10 + v13;
                    const real v15 = m3[j] * v14;
                    const real v16 = v1 * v15;
                    const real v17 = q0[j] * v14;
                    const real v18 = v5 * v17;
                    const real v19 = m0[j] * v14;
                    const real v20 = v7 * v19;
                    const real v21 = m1[j] * v11;
                    const real v22 = v9 * v21;
                    const real v23 = m2[j] * v14;
                    n0[j] = v16;
                    k0[j] = v16;
                    n0[20 + j] = v18;
                    k0[20 + j] = v18;
                    n0[40 + j] = v20;
                    k0[40 + j] = v20;
                    n0[60 + j] = v22;
                    k0[60 + j] = v22;
                    s1[j] = v23;
                }
            }
            turned(c, R, 20, 80, w0, n0_, ROW(80), s0_, ROW(20));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const s1 = s1_ + r * ROW(20);
                if (to[i] >= 0) {
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                    EACH for (int j = 0; j < 20; j++) end1[to[i] * 20 + j] = s1[j];
                }
            }
        }
    }
}

/* Scratch memory for R lanes, in numbers. */
int64_t scratch_size(int R) {
    return (int64_t)MOST_ROWS * (0) + (int64_t)R * (ROW(20) + ROW(20) + ROW(80));
}
