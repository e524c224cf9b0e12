#define ROOM (ROW(80) + ROW(1) + ROW(1) + ROW(3))
#define LANE_ROOM (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1))

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, crew *c) {
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
    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;
    real *const s0_ = lane_room + (size_t)R * (0);
    real *const s1_ = lane_room + (size_t)R * (ROW(20));
    real *const n0_ = room + (size_t)MOST_ROWS * (0);
    real *const n1_ = room + (size_t)MOST_ROWS * (ROW(80));
    real *const n5_ = room + (size_t)MOST_ROWS * (ROW(80) + ROW(1));
    real *const n9_ = lane_room + (size_t)R * (ROW(20) + ROW(20));
    real *const n12_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80));
    real *const n13_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80));
    real *const n17_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1));
    real *const n21_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1));
    real *const n35_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
    real *const n39_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1));
    real *const g0_ = room + (size_t)MOST_ROWS * (ROW(80) + ROW(1) + ROW(1));
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        for (int i = 0; i < N; i++) {
            real *const g0 = g0_ + i * ROW(3);
            const real *const m0 = m0_ + at[i] * 3;
            EACH for (int j = 0; j < 3; j++) g0[j] = m0[j];
        }
        product(c, N, 80, 3, w0, g0_, ROW(3), n0_, ROW(80));
        for (int i = 0; i < N; i++) {
            real *const n1 = n1_ + i * ROW(1);
            real *const n0 = n0_ + i * ROW(80);
            real *const k13 = k13_ + at[i] * 80;
            real *const n5 = n5_ + i * ROW(1);
            {
                real total = 0;
                ADDING(total) for (int j = 0; j < 80; j++) total += n0[j];
                n1[0] = total / 80;
            }
            {
                const real n1_0 = n1[0];
                real total5 = 0;
                ADDING(total5) for (int j = 0; j < 80; j++) {
                    const real v2 = n1_0;
                    const real v3 = n0[j] - v2;
                    const real v4 = ROUNDED(v3 * v3);
                    total5 += v4;
                    k13[j] = v3;
                }
                n5[0] = total5 / 80;
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
            product(c, R, 80, 20, w1, s0_, ROW(20), n12_, ROW(80));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n13 = n13_ + r * ROW(1);
                real *const n12 = n12_ + r * ROW(80);
                real *const n5 = n5_ + i * ROW(1);
                real *const k12 = k12_ + at[i] * 1;
                real *const k13 = k13_ + at[i] * 80;
                real *const n9 = n9_ + r * ROW(80);
                real *const k11 = k11_ + at[i] * 80;
                real *const n17 = n17_ + r * ROW(1);
                real *const k10 = k10_ + at[i] * 1;
                real *const n21 = n21_ + r * ROW(80);
                real *const s1 = s1_ + r * ROW(20);
                real *const k4 = k4_ + at[i] * 20;
                real *const k8 = k8_ + at[i] * 20;
                real *const k2 = k2_ + at[i] * 20;
                real *const k7 = k7_ + at[i] * 20;
                real *const k1 = k1_ + at[i] * 20;
                real *const n35 = n35_ + r * ROW(1);
                real *const k6 = k6_ + at[i] * 20;
                real *const n39 = n39_ + r * ROW(1);
                real *const k5 = k5_ + at[i] * 1;
                real *const k3 = k3_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                {
                    real total = 0;
                    ADDING(total) for (int j = 0; j < 80; j++) total += n12[j];
                    n13[0] = total / 80;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v6 = (real)1e-05 + n5[0];
                    const real v7 = u_sqrt(v6);
                    k12[j] = v7;
                }
                {
                    const real k12_0 = k12[0];
                    const real n13_0 = n13[0];
                    real total17 = 0;
                    ADDING(total17) for (int j = 0; j < 80; j++) {
                        const real v8 = k12_0;
                        const real v9 = k13[j] / v8;
                        const real v14 = n13_0;
                        const real v15 = n12[j] - v14;
                        const real v16 = ROUNDED(v15 * v15);
                        total17 += v16;
                        n9[j] = v9;
                        k11[j] = v15;
                    }
                    n17[0] = total17 / 80;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v18 = (real)1e-05 + n17[0];
                    const real v19 = u_sqrt(v18);
                    k10[j] = v19;
                }
                {
                    const real k10_0 = k10[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v20 = k10_0;
                        const real v21 = k11[j] / v20;
                        n21[j] = v21;
                    }
                }
                {
                    real total35 = 0;
                    ADDING(total35) for (int j = 0; j < 20; j++) {
                        const real v10_60 = ROUNDED(f0[60 + j] * n9[60 + j]);
                        const real v11_60 = f1[60 + j] + v10_60;
                        const real v22_60 = ROUNDED(f2[60 + j] * n21[60 + j]);
                        const real v23_60 = v11_60 + v22_60;
                        const real v25 = u_sigmoid(v23_60);
                        const real v10_20 = ROUNDED(f0[20 + j] * n9[20 + j]);
                        const real v11_20 = f1[20 + j] + v10_20;
                        const real v22_20 = ROUNDED(f2[20 + j] * n21[20 + j]);
                        const real v23_20 = v11_20 + v22_20;
                        const real v27 = u_sigmoid(v23_20);
                        const real v28 = ROUNDED(v27 * s1[j]);
                        const real v10 = ROUNDED(f0[j] * n9[j]);
                        const real v11 = f1[j] + v10;
                        const real v22 = ROUNDED(f2[j] * n21[j]);
                        const real v23 = v11 + v22;
                        const real v30 = u_sigmoid(v23);
                        const real v10_40 = ROUNDED(f0[40 + j] * n9[40 + j]);
                        const real v11_40 = f1[40 + j] + v10_40;
                        const real v22_40 = ROUNDED(f2[40 + j] * n21[40 + j]);
                        const real v23_40 = v11_40 + v22_40;
                        const real v32 = u_tanh(v23_40);
                        const real v33 = ROUNDED(v30 * v32);
                        const real v34 = v28 + v33;
                        total35 += v34;
                        k4[j] = v25;
                        k8[j] = v27;
                        k2[j] = v30;
                        k7[j] = v32;
                        s1[j] = v34;
                        k1[j] = v34;
                    }
                    n35[0] = total35 / 20;
                }
                {
                    const real n35_0 = n35[0];
                    real total39 = 0;
                    ADDING(total39) for (int j = 0; j < 20; j++) {
                        const real v36 = n35_0;
                        const real v37 = s1[j] - v36;
                        const real v38 = ROUNDED(v37 * v37);
                        total39 += v38;
                        k6[j] = v37;
                    }
                    n39[0] = total39 / 20;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v40 = (real)1e-05 + n39[0];
                    const real v41 = u_sqrt(v40);
                    k5[j] = v41;
                }
                {
                    const real k5_0 = k5[0];
                    EACH for (int j = 0; j < 20; j++) {
                        const real v42 = k5_0;
                        const real v43 = k6[j] / v42;
                        const real v44 = ROUNDED(f3[j] * v43);
                        const real v45 = f4[j] + v44;
                        const real v46 = u_tanh(v45);
                        const real v47 = ROUNDED(k4[j] * v46);
                        k3[j] = v46;
                        s0[j] = v47;
                        k0[j] = v47;
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

/* Numbers that a run of R lanes needs for itself. */
int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }

#define ROOM (ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1))
#define LANE_ROOM (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80))

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,
         matrix_product *product, crew *c) {
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
    const real *const start0_ = p[14];
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
    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;
    real *const s0_ = lane_room + (size_t)R * (0);
    real *const s1_ = lane_room + (size_t)R * (ROW(20));
    real *const n46_ = lane_room + (size_t)R * (ROW(20) + ROW(20));
    real *const n1_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80));
    real *const n5_ = room + (size_t)MOST_ROWS * (0);
    real *const n8_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20));
    real *const n10_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20));
    real *const n14_ = room + (size_t)MOST_ROWS * (ROW(20));
    real *const n15_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20));
    real *const n16_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1));
    real *const n21_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20));
    real *const n23_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20));
    real *const n27_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1));
    real *const n32_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1));
    real *const n33_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20));
    real *const n35_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1));
    real *const n48_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1));
    real *const n50_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80));
    real *const n54_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1));
    real *const n58_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1));
    real *const n59_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
    real *const n61_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1));
    real *const n63_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1) + ROW(1));
    real *const n70_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80));
    real *const n72_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80));
    real *const n76_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80) + ROW(1));
    real *const n80_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1));
    real *const n81_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
    real *const n83_ = room + (size_t)MOST_ROWS * (ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(1));
    const real *before0[MOST_ROWS];
    static const real zero[20];
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        PREVIOUS(before0, q0_, start0_, 20)
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
                AHEAD(before0[i], 20)
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
                real *const n1 = n1_ + r * ROW(20);
                real *const n5 = n5_ + i * ROW(20);
                real *const n8 = n8_ + r * ROW(20);
                real *const n10 = n10_ + r * ROW(20);
                real *const n16 = n16_ + r * ROW(20);
                real *const k6 = k6_ + at[i] * 20;
                real *const n21 = n21_ + r * ROW(20);
                real *const n46 = n46_ + r * ROW(80);
                real *const k2 = k2_ + at[i] * 80;
                real *const n23 = n23_ + r * ROW(1);
                const real *const m7 = m7_ + at[i] * 1;
                real *const n15 = n15_ + r * ROW(1);
                real *const n27 = n27_ + r * ROW(1);
                const real *const m8 = m8_ + at[i] * 80;
                real *const n14 = n14_ + i * ROW(80);
                real *const n32 = n32_ + r * ROW(20);
                real *const n33 = n33_ + r * ROW(1);
                real *const n35 = n35_ + r * ROW(1);
                const real *const q0 = before0[i];
                real *const n48 = n48_ + r * ROW(80);
                real *const n50 = n50_ + r * ROW(1);
                real *const n54 = n54_ + r * ROW(1);
                real *const n58 = n58_ + r * ROW(80);
                real *const n59 = n59_ + r * ROW(1);
                real *const n61 = n61_ + r * ROW(1);
                real *const n63 = n63_ + r * ROW(80);
                real *const k1 = k1_ + at[i] * 80;
                if (from[i] != INSIDE) {
                    EACH for (int j = 0; j < 20; j++) s0[j] = 0;
                    EACH for (int j = 0; j < 20; j++) s1[j] = 0;
                }
                {
                    const real m2_0 = m2[0];
                    real total23 = 0;
                    ADDING(total23) for (int j = 0; j < 20; j++) {
                        const real v0 = (real)1.0 - m0[j];
                        const real v1 = m0[j] * v0;
                        const real v2 = m1[j] * m1[j];
                        const real v3 = (real)1.0 - v2;
                        const real v4 = m2_0;
                        const real v5 = m3[j] / v4;
                        const real v7 = (real)1.0 - m4[j];
                        const real v8 = m4[j] * v7;
                        const real v9 = m5[j] * m5[j];
                        const real v10 = (real)1.0 - v9;
                        const real v11 = (real)1.0 - m6[j];
                        const real v12 = m6[j] * v11;
                        const real v16 = m9[j] + s1[j];
                        const real v17 = m10[j] + s0[j];
                        const real v18 = m6[j] * v17;
                        const real v19 = v3 * v18;
                        const real v20 = f0[j] * v19;
                        const real v21 = v20 / v4;
                        const real v22 = v5 * v20;
                        const real v44 = m1[j] * v17;
                        const real v45 = v12 * v44;
                        total23 += v22;
                        n1[j] = v1;
                        n5[j] = v5;
                        n8[j] = v8;
                        n10[j] = v10;
                        n16[j] = v16;
                        k6[j] = v19;
                        n21[j] = v21;
                        n46[60 + j] = v45;
                        k2[60 + j] = v45;
                    }
                    n23[0] = total23;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v6 = (real)2.0 * m2[0];
                    const real v15 = (real)2.0 * m7[0];
                    const real v24 = n23[0] / m2[0];
                    const real v25 = -v24;
                    const real v26 = v25 / v6;
                    const real v27 = v26 / (real)20.0;
                    n15[j] = v15;
                    n27[j] = v27;
                }
                {
                    const real m7_0 = m7[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v13 = m7_0;
                        const real v14 = m8[j] / v13;
                        n14[j] = v14;
                    }
                }
                {
                    const real n27_0 = n27[0];
                    real total33 = 0;
                    ADDING(total33) for (int j = 0; j < 20; j++) {
                        const real v28 = n27_0;
                        const real v29 = m3[j] * v28;
                        const real v30 = n21[j] + v29;
                        const real v31 = v30 + v29;
                        const real v32 = n16[j] + v31;
                        total33 += v31;
                        n32[j] = v32;
                    }
                    n33[0] = total33;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v34 = -n33[0];
                    const real v35 = v34 / (real)20.0;
                    n35[j] = v35;
                }
                {
                    const real n35_0 = n35[0];
                    EACH for (int j = 0; j < 20; j++) {
                        const real v36 = n35_0;
                        const real v37 = n32[j] + v36;
                        const real v38 = m5[j] * v37;
                        const real v39 = n1[j] * v38;
                        const real v40 = q0[j] * v37;
                        const real v41 = n8[j] * v40;
                        const real v42 = m0[j] * v37;
                        const real v43 = n10[j] * v42;
                        const real v65 = m4[j] * v37;
                        n46[j] = v39;
                        k2[j] = v39;
                        n46[20 + j] = v41;
                        k2[20 + j] = v41;
                        n46[40 + j] = v43;
                        k2[40 + j] = v43;
                        s1[j] = v65;
                    }
                }
                {
                    const real m7_0 = m7[0];
                    real total50 = 0;
                    ADDING(total50) for (int j = 0; j < 80; j++) {
                        const real v47 = f1[j] * n46[j];
                        const real v13 = m7_0;
                        const real v48 = v47 / v13;
                        const real v49 = n14[j] * v47;
                        total50 += v49;
                        n48[j] = v48;
                    }
                    n50[0] = total50;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v51 = n50[0] / m7[0];
                    const real v52 = -v51;
                    const real v53 = v52 / n15[0];
                    const real v54 = v53 / (real)80.0;
                    n54[j] = v54;
                }
                {
                    const real n54_0 = n54[0];
                    real total59 = 0;
                    ADDING(total59) for (int j = 0; j < 80; j++) {
                        const real v55 = n54_0;
                        const real v56 = m8[j] * v55;
                        const real v57 = n48[j] + v56;
                        const real v58 = v57 + v56;
                        total59 += v58;
                        n58[j] = v58;
                    }
                    n59[0] = total59;
                }
                EACH for (int j = 0; j < 1; j++) {
                    const real v60 = -n59[0];
                    const real v61 = v60 / (real)80.0;
                    n61[j] = v61;
                }
                {
                    const real n61_0 = n61[0];
                    EACH for (int j = 0; j < 80; j++) {
                        const real v62 = n61_0;
                        const real v63 = n58[j] + v62;
                        n63[j] = v63;
                        k1[j] = v63;
                    }
                }
            }
            product(c, R, 20, 80, w0, n63_, ROW(80), s0_, ROW(20));
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
            real *const n14 = n14_ + i * ROW(80);
            real *const n70 = n70_ + i * ROW(80);
            real *const k3 = k3_ + at[i] * 80;
            real *const k4 = k4_ + at[i] * 80;
            real *const n72 = n72_ + i * ROW(1);
            real *const n76 = n76_ + i * ROW(1);
            real *const n80 = n80_ + i * ROW(80);
            real *const n81 = n81_ + i * ROW(1);
            real *const n83 = n83_ + i * ROW(1);
            real *const k0 = k0_ + at[i] * 80;
            real *const n5 = n5_ + i * ROW(20);
            real *const k6 = k6_ + at[i] * 20;
            real *const k5 = k5_ + at[i] * 20;
            {
                const real m11_0 = m11[0];
                real total72 = 0;
                ADDING(total72) for (int j = 0; j < 80; j++) {
                    const real v66 = m11_0;
                    const real v67 = m12[j] / v66;
                    const real v69 = f2[j] * k2[j];
                    const real v70 = v69 / v66;
                    const real v71 = v67 * v69;
                    const real v86 = v67 * k2[j];
                    const real v87 = n14[j] * k2[j];
                    total72 += v71;
                    n70[j] = v70;
                    k3[j] = v86;
                    k4[j] = v87;
                }
                n72[0] = total72;
            }
            EACH for (int j = 0; j < 1; j++) {
                const real v68 = (real)2.0 * m11[0];
                const real v73 = n72[0] / m11[0];
                const real v74 = -v73;
                const real v75 = v74 / v68;
                const real v76 = v75 / (real)80.0;
                n76[j] = v76;
            }
            {
                const real n76_0 = n76[0];
                real total81 = 0;
                ADDING(total81) for (int j = 0; j < 80; j++) {
                    const real v77 = n76_0;
                    const real v78 = m12[j] * v77;
                    const real v79 = n70[j] + v78;
                    const real v80 = v79 + v78;
                    total81 += v80;
                    n80[j] = v80;
                }
                n81[0] = total81;
            }
            EACH for (int j = 0; j < 1; j++) {
                const real v82 = -n81[0];
                const real v83 = v82 / (real)80.0;
                n83[j] = v83;
            }
            {
                const real n83_0 = n83[0];
                EACH for (int j = 0; j < 80; j++) {
                    const real v84 = n83_0;
                    const real v85 = n80[j] + v84;
                    k0[j] = v85;
                }
            }
            EACH for (int j = 0; j < 20; j++) {
                const real v88 = n5[j] * k6[j];
                k5[j] = v88;
            }
        }
    }
}

/* Numbers that a run of R lanes needs for itself. */
int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }
