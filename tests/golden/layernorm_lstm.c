void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, matrix_product *turned, crew *c) {
    const real *const m0_ = p[0];
    const real *const f0 = p[1];
    const real *const f1 = p[2];
    const real *const f2 = p[3];
    const real *const f3 = p[4];
    const real *const f4 = p[5];
    const real *const w0 = p[6];
    const real *const w1 = p[7];
    const real *const begin0 = p[8];
    const real *const begin1 = p[9];
    real *const end0 = p[10];
    real *const end1 = p[11];
    real *const k0_ = p[12];
    real *const k1_ = p[13];
    real *const k2_ = p[14];
    real *const k3_ = p[15];
    real *const k4_ = p[16];
    real *const k5_ = p[17];
    real *const k6_ = p[18];
    real *const k7_ = p[19];
    real *const k8_ = p[20];
    real *const k9_ = p[21];
    real *const k10_ = p[22];
    real *const k11_ = p[23];
    real *const k12_ = p[24];
    real *const k13_ = p[25];
    real *const k14_ = p[26];
    real *const n0_ = scratch;
    real *const n1_ = n0_ + (size_t)MOST_ROWS * ROW(80);
    real *const n2_ = n1_ + (size_t)MOST_ROWS * ROW(1);
    real *const g0_ = n2_ + (size_t)MOST_ROWS * ROW(1);
    real *const s0_ = g0_ + (size_t)MOST_ROWS * ROW(3);
    real *const s1_ = s0_ + (size_t)R * ROW(20);
    real *const n3_ = s1_ + (size_t)R * ROW(20);
    real *const n4_ = n3_ + (size_t)R * ROW(80);
    real *const n5_ = n4_ + (size_t)R * ROW(80);
    real *const n6_ = n5_ + (size_t)R * ROW(1);
    real *const n7_ = n6_ + (size_t)R * ROW(1);
    real *const n8_ = n7_ + (size_t)R * ROW(80);
    real *const n9_ = n8_ + (size_t)R * ROW(1);
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
        for (int i = 0; i < N; i++) {
            real *const n0 = n0_ + i * ROW(80);
            real *const n1 = n1_ + i * ROW(1);
            real *const k13 = k13_ + at[i] * 80;
            real *const n2 = n2_ + i * ROW(1);
            n1[0] = u_mean(n0, 80);
            {
                const real n1_0 = n1[0];
                real total1 = 0;
                ADDING(total1) for (int j = 0; j < 80; j++) {
                    const real v0 = n0[j] - n1_0;
                    const real v1 = ROUNDED(v0 * v0);
                    total1 += v1;
                    k13[j] = v0;
                }
                n2[0] = total1 / 80;
            }
        }
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const s1 = s1_ + r * ROW(20);
                real *const k14 = k14_ + at[i] * 20;
                real *const k9 = k9_ + at[i] * 20;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = from[i] < 0 ? 0 : begin0[from[i] * 20 + j];
                    EACH for (int j = 0; j < 20; j++) s1[j] = from[i] < 0 ? 0 : begin1[from[i] * 20 + j];
                }
                EACH for (int j = 0; j < 20; j++) k14[j] = s0[j];
                EACH for (int j = 0; j < 20; j++) k9[j] = s1[j];
            }
            product(c, R, 80, 20, w1, s0_, ROW(20), n4_, ROW(80));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n4 = n4_ + r * ROW(80);
                real *const n5 = n5_ + r * ROW(1);
                real *const n2 = n2_ + i * ROW(1);
                real *const k12 = k12_ + at[i] * 1;
                real *const k13 = k13_ + at[i] * 80;
                real *const n3 = n3_ + r * ROW(80);
                real *const k11 = k11_ + at[i] * 80;
                real *const n6 = n6_ + r * ROW(1);
                real *const k10 = k10_ + at[i] * 1;
                real *const n7 = n7_ + r * ROW(80);
                real *const s1 = s1_ + r * ROW(20);
                real *const k4 = k4_ + at[i] * 20;
                real *const k8 = k8_ + at[i] * 20;
                real *const k2 = k2_ + at[i] * 20;
                real *const k7 = k7_ + at[i] * 20;
                real *const k1 = k1_ + at[i] * 20;
                real *const n8 = n8_ + r * ROW(1);
                real *const k6 = k6_ + at[i] * 20;
                real *const n9 = n9_ + r * ROW(1);
                real *const k5 = k5_ + at[i] * 1;
                real *const k3 = k3_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                n5[0] = u_mean(n4, 80);
                {
                    const real n2_0 = n2[0];
                    const real v0 = (real)1e-05 + n2_0;
                    const real v1 = u_sqrt(v0);
                    k12[0] = v1;
                }
                {
                    const real k12_0 = k12[0];
                    const real n5_0 = n5[0];
                    real total2 = 0;
                    ADDING(total2) for (int j = 0; j < 80; j++) {
                        const real v0 = k13[j] / k12_0;
                        const real v1 = n4[j] - n5_0;
                        const real v2 = ROUNDED(v1 * v1);
                        total2 += v2;
                        n3[j] = v0;
                        k11[j] = v1;
                    }
                    n6[0] = total2 / 80;
                }
                {
                    const real n6_0 = n6[0];
                    const real v0 = (real)1e-05 + n6_0;
                    const real v1 = u_sqrt(v0);
                    k10[0] = v1;
                }
                {
                    const real k10_0 = k10[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v0 = k11[j] / k10_0;
                        n7[j] = v0;
                    }
                }
                {
                    real total22 = 0;
                    ADDING(total22) for (int j = 0; j < 20; j++) {
                        const real v0 = ROUNDED(f0[60 + j] * n3[60 + j]);
                        const real v1 = f1[60 + j] + v0;
                        const real v2 = ROUNDED(f2[60 + j] * n7[60 + j]);
                        const real v3 = v1 + v2;
                        const real v4 = u_sigmoid(v3);
                        const real v5 = ROUNDED(f0[20 + j] * n3[20 + j]);
                        const real v6 = f1[20 + j] + v5;
                        const real v7 = ROUNDED(f2[20 + j] * n7[20 + j]);
                        const real v8 = v6 + v7;
                        const real v9 = u_sigmoid(v8);
                        const real v10 = ROUNDED(v9 * s1[j]);
                        const real v11 = ROUNDED(f0[j] * n3[j]);
                        const real v12 = f1[j] + v11;
                        const real v13 = ROUNDED(f2[j] * n7[j]);
                        const real v14 = v12 + v13;
                        const real v15 = u_sigmoid(v14);
                        const real v16 = ROUNDED(f0[40 + j] * n3[40 + j]);
                        const real v17 = f1[40 + j] + v16;
                        const real v18 = ROUNDED(f2[40 + j] * n7[40 + j]);
                        const real v19 = v17 + v18;
                        const real v20 = u_tanh(v19);
                        const real v21 = ROUNDED(v15 * v20);
                        const real v22 = v10 + v21;
                        total22 += v22;
                        k4[j] = v4;
                        k8[j] = v9;
                        k2[j] = v15;
                        k7[j] = v20;
                        s1[j] = v22;
                        k1[j] = v22;
                    }
                    n8[0] = total22 / 20;
                }
                {
                    const real n8_0 = n8[0];
                    real total1 = 0;
                    ADDING(total1) for (int j = 0; j < 20; j++) {
                        const real v0 = s1[j] - n8_0;
                        const real v1 = ROUNDED(v0 * v0);
                        total1 += v1;
                        k6[j] = v0;
                    }
                    n9[0] = total1 / 20;
                }
                {
                    const real n9_0 = n9[0];
                    const real v0 = (real)1e-05 + n9_0;
                    const real v1 = u_sqrt(v0);
                    k5[0] = v1;
                }
                {
                    const real k5_0 = k5[0];
                    EACH for (int j = 0; j < 20; j++) {
                        const real v0 = k6[j] / k5_0;
                        const real v1 = ROUNDED(f3[j] * v0);
                        const real v2 = f4[j] + v1;
                        const real v3 = u_tanh(v2);
                        const real v4 = ROUNDED(k4[j] * v3);
                        k3[j] = v3;
                        s0[j] = v4;
                        k0[j] = v4;
                    }
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
    return (int64_t)MOST_ROWS * (ROW(80) + ROW(1) + ROW(1) + ROW(3)) + (int64_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1));
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
    const real *const m7_ = p[7];
    const real *const m8_ = p[8];
    const real *const m9_ = p[9];
    const real *const m10_ = p[10];
    const real *const m11_ = p[11];
    const real *const m12_ = p[12];
    const real *const q0_ = p[13];
    const real *const start_q0 = p[14];
    const real *const f0 = p[15];
    const real *const f1 = p[16];
    const real *const f2 = p[17];
    const real *const w0 = p[18];
    real *const end0 = p[19];
    real *const end1 = p[20];
    real *const k0_ = p[21];
    real *const k1_ = p[22];
    real *const k2_ = p[23];
    real *const k3_ = p[24];
    real *const k4_ = p[25];
    real *const k5_ = p[26];
    real *const k6_ = p[27];
    real *const n1_ = scratch;
    real *const n4_ = n1_ + (size_t)MOST_ROWS * ROW(20);
    real *const n20_ = n4_ + (size_t)MOST_ROWS * ROW(80);
    real *const n21_ = n20_ + (size_t)MOST_ROWS * ROW(80);
    real *const n22_ = n21_ + (size_t)MOST_ROWS * ROW(1);
    real *const n23_ = n22_ + (size_t)MOST_ROWS * ROW(1);
    real *const n24_ = n23_ + (size_t)MOST_ROWS * ROW(80);
    real *const n25_ = n24_ + (size_t)MOST_ROWS * ROW(1);
    real *const s0_ = n25_ + (size_t)MOST_ROWS * ROW(1);
    real *const s1_ = s0_ + (size_t)R * ROW(20);
    real *const n0_ = s1_ + (size_t)R * ROW(20);
    real *const n2_ = n0_ + (size_t)R * ROW(20);
    real *const n3_ = n2_ + (size_t)R * ROW(20);
    real *const n5_ = n3_ + (size_t)R * ROW(20);
    real *const n6_ = n5_ + (size_t)R * ROW(1);
    real *const n7_ = n6_ + (size_t)R * ROW(20);
    real *const n8_ = n7_ + (size_t)R * ROW(20);
    real *const n9_ = n8_ + (size_t)R * ROW(1);
    real *const n10_ = n9_ + (size_t)R * ROW(1);
    real *const n11_ = n10_ + (size_t)R * ROW(20);
    real *const n12_ = n11_ + (size_t)R * ROW(1);
    real *const n13_ = n12_ + (size_t)R * ROW(1);
    real *const n14_ = n13_ + (size_t)R * ROW(80);
    real *const n15_ = n14_ + (size_t)R * ROW(1);
    real *const n16_ = n15_ + (size_t)R * ROW(1);
    real *const n17_ = n16_ + (size_t)R * ROW(80);
    real *const n18_ = n17_ + (size_t)R * ROW(1);
    real *const n19_ = n18_ + (size_t)R * ROW(1);
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
                AHEAD(m2_ + at[i] * 1, 1)
                AHEAD(m3_ + at[i] * 20, 20)
                AHEAD(m4_ + at[i] * 20, 20)
                AHEAD(m5_ + at[i] * 20, 20)
                AHEAD(m6_ + at[i] * 20, 20)
                AHEAD(m7_ + at[i] * 1, 1)
                AHEAD(m8_ + at[i] * 80, 80)
                AHEAD(m9_ + at[i] * 20, 20)
                AHEAD(m10_ + at[i] * 20, 20)
                AHEAD(before_q0[i], 20)
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const s0 = s0_ + r * ROW(20);
                real *const s1 = s1_ + r * ROW(20);
                const real *const m0 = m0_ + at[i] * 20;
                const real *const m1 = m1_ + at[i] * 20;
                const real *const m3 = m3_ + at[i] * 20;
                const real *const m2 = m2_ + at[i] * 1;
                const real *const m4 = m4_ + at[i] * 20;
                const real *const m5 = m5_ + at[i] * 20;
                const real *const m6 = m6_ + at[i] * 20;
                const real *const m9 = m9_ + at[i] * 20;
                const real *const m10 = m10_ + at[i] * 20;
                real *const n0 = n0_ + r * ROW(20);
                real *const n1 = n1_ + i * ROW(20);
                real *const n2 = n2_ + r * ROW(20);
                real *const n3 = n3_ + r * ROW(20);
                real *const n6 = n6_ + r * ROW(20);
                real *const k6 = k6_ + at[i] * 20;
                real *const n7 = n7_ + r * ROW(20);
                real *const k2 = k2_ + at[i] * 80;
                real *const n8 = n8_ + r * ROW(1);
                const real *const m7 = m7_ + at[i] * 1;
                real *const n5 = n5_ + r * ROW(1);
                real *const n9 = n9_ + r * ROW(1);
                const real *const m8 = m8_ + at[i] * 80;
                real *const n4 = n4_ + i * ROW(80);
                real *const n10 = n10_ + r * ROW(20);
                real *const n11 = n11_ + r * ROW(1);
                real *const n12 = n12_ + r * ROW(1);
                const real *const q0 = before_q0[i];
                real *const n13 = n13_ + r * ROW(80);
                real *const n14 = n14_ + r * ROW(1);
                real *const n15 = n15_ + r * ROW(1);
                real *const n16 = n16_ + r * ROW(80);
                real *const n17 = n17_ + r * ROW(1);
                real *const n18 = n18_ + r * ROW(1);
                real *const n19 = n19_ + r * ROW(80);
                real *const k1 = k1_ + at[i] * 80;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = 0;
                    EACH for (int j = 0; j < 20; j++) s1[j] = 0;
                }
                {
                    const real m2_0 = m2[0];
                    real total17 = 0;
                    ADDING(total17) for (int j = 0; j < 20; j++) {
                        const real v0 = (real)1.0 - m0[j];
                        const real v1 = m0[j] * v0;
                        const real v2 = m1[j] * m1[j];
                        const real v3 = (real)1.0 - v2;
                        const real v4 = m3[j] / m2_0;
                        const real v5 = (real)1.0 - m4[j];
                        const real v6 = m4[j] * v5;
                        const real v7 = m5[j] * m5[j];
                        const real v8 = (real)1.0 - v7;
                        const real v9 = (real)1.0 - m6[j];
                        const real v10 = m6[j] * v9;
                        const real v11 = m9[j] + s1[j];
                        const real v12 = m10[j] + s0[j];
                        const real v13 = m6[j] * v12;
                        const real v14 = v3 * v13;
                        const real v15 = f0[j] * v14;
                        const real v16 = v15 / m2_0;
                        const real v17 = v4 * v15;
                        const real v18 = m1[j] * v12;
                        const real v19 = v10 * v18;
                        total17 += v17;
                        n0[j] = v1;
                        n1[j] = v4;
                        n2[j] = v6;
                        n3[j] = v8;
                        n6[j] = v11;
                        k6[j] = v14;
                        n7[j] = v16;
                        k2[60 + j] = v19;
                    }
                    n8[0] = total17;
                }
                {
                    const real m2_0 = m2[0];
                    const real m7_0 = m7[0];
                    const real n8_0 = n8[0];
                    const real v0 = (real)2.0 * m2_0;
                    const real v1 = (real)2.0 * m7_0;
                    const real v2 = n8_0 / m2_0;
                    const real v3 = -v2;
                    const real v4 = v3 / v0;
                    const real v5 = v4 / (real)20.0;
                    n5[0] = v1;
                    n9[0] = v5;
                }
                {
                    const real m7_0 = m7[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v0 = m8[j] / m7_0;
                        n4[j] = v0;
                    }
                }
                {
                    const real n9_0 = n9[0];
                    real total2 = 0;
                    ADDING(total2) for (int j = 0; j < 20; j++) {
                        const real v0 = m3[j] * n9_0;
                        const real v1 = n7[j] + v0;
                        const real v2 = v1 + v0;
                        const real v3 = n6[j] + v2;
                        total2 += v2;
                        n10[j] = v3;
                    }
                    n11[0] = total2;
                }
                {
                    const real n11_0 = n11[0];
                    const real v0 = -n11_0;
                    const real v1 = v0 / (real)20.0;
                    n12[0] = v1;
                }
                {
                    const real n12_0 = n12[0];
                    EACH for (int j = 0; j < 20; j++) {
                        const real v0 = n10[j] + n12_0;
                        const real v1 = m5[j] * v0;
                        const real v2 = n0[j] * v1;
                        const real v3 = q0[j] * v0;
                        const real v4 = n2[j] * v3;
                        const real v5 = m0[j] * v0;
                        const real v6 = n3[j] * v5;
                        const real v7 = m4[j] * v0;
                        k2[j] = v2;
                        k2[20 + j] = v4;
                        k2[40 + j] = v6;
                        s1[j] = v7;
                    }
                }
                {
                    const real m7_0 = m7[0];
                    real total2 = 0;
                    ADDING(total2) for (int j = 0; j < 80; j++) {
                        const real v0 = f1[j] * k2[j];
                        const real v1 = v0 / m7_0;
                        const real v2 = n4[j] * v0;
                        total2 += v2;
                        n13[j] = v1;
                    }
                    n14[0] = total2;
                }
                {
                    const real n14_0 = n14[0];
                    const real m7_0 = m7[0];
                    const real n5_0 = n5[0];
                    const real v0 = n14_0 / m7_0;
                    const real v1 = -v0;
                    const real v2 = v1 / n5_0;
                    const real v3 = v2 / (real)80.0;
                    n15[0] = v3;
                }
                {
                    const real n15_0 = n15[0];
                    real total2 = 0;
                    ADDING(total2) for (int j = 0; j < 80; j++) {
                        const real v0 = m8[j] * n15_0;
                        const real v1 = n13[j] + v0;
                        const real v2 = v1 + v0;
                        total2 += v2;
                        n16[j] = v2;
                    }
                    n17[0] = total2;
                }
                {
                    const real n17_0 = n17[0];
                    const real v0 = -n17_0;
                    const real v1 = v0 / (real)80.0;
                    n18[0] = v1;
                }
                {
                    const real n18_0 = n18[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v0 = n16[j] + n18_0;
                        n19[j] = v0;
                        k1[j] = v0;
                    }
                }
            }
            turned(c, R, 20, 80, w0, n19_, ROW(80), s0_, ROW(20));
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
        for (int i = 0; i < N; i++) {
            const real *const m12 = m12_ + at[i] * 80;
            const real *const m11 = m11_ + at[i] * 1;
            real *const k2 = k2_ + at[i] * 80;
            real *const n4 = n4_ + i * ROW(80);
            real *const n20 = n20_ + i * ROW(80);
            real *const k3 = k3_ + at[i] * 80;
            real *const k4 = k4_ + at[i] * 80;
            real *const n21 = n21_ + i * ROW(1);
            real *const n22 = n22_ + i * ROW(1);
            real *const n23 = n23_ + i * ROW(80);
            real *const n24 = n24_ + i * ROW(1);
            real *const n25 = n25_ + i * ROW(1);
            real *const k0 = k0_ + at[i] * 80;
            real *const n1 = n1_ + i * ROW(20);
            real *const k6 = k6_ + at[i] * 20;
            real *const k5 = k5_ + at[i] * 20;
            {
                const real m11_0 = m11[0];
                real total3 = 0;
                ADDING(total3) for (int j = 0; j < 80; j++) {
                    const real v0 = m12[j] / m11_0;
                    const real v1 = f2[j] * k2[j];
                    const real v2 = v1 / m11_0;
                    const real v3 = v0 * v1;
                    const real v4 = v0 * k2[j];
                    const real v5 = n4[j] * k2[j];
                    total3 += v3;
                    n20[j] = v2;
                    k3[j] = v4;
                    k4[j] = v5;
                }
                n21[0] = total3;
            }
            {
                const real m11_0 = m11[0];
                const real n21_0 = n21[0];
                const real v0 = (real)2.0 * m11_0;
                const real v1 = n21_0 / m11_0;
                const real v2 = -v1;
                const real v3 = v2 / v0;
                const real v4 = v3 / (real)80.0;
                n22[0] = v4;
            }
            {
                const real n22_0 = n22[0];
                real total2 = 0;
                ADDING(total2) for (int j = 0; j < 80; j++) {
                    const real v0 = m12[j] * n22_0;
                    const real v1 = n20[j] + v0;
                    const real v2 = v1 + v0;
                    total2 += v2;
                    n23[j] = v2;
                }
                n24[0] = total2;
            }
            {
                const real n24_0 = n24[0];
                const real v0 = -n24_0;
                const real v1 = v0 / (real)80.0;
                n25[0] = v1;
            }
            {
                const real n25_0 = n25[0];
                EACH for (int j = 0; j < 80; j++) {
                    const real v0 = n23[j] + n25_0;
                    k0[j] = v0;
                }
            }
            EACH for (int j = 0; j < 20; j++) {
                const real v0 = n1[j] * k6[j];
                k5[j] = v0;
            }
        }
    }
}

/* Scratch memory for R lanes, in numbers. */
int64_t scratch_size(int R) {
    return (int64_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1)) + (int64_t)R * (ROW(20) + ROW(20) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
}
