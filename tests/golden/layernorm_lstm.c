#define ROOM (ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(3))
#define LANE_ROOM (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(20) + ROW(1))

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch) {
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
    real *const k15_ = p[27];
    real *const k16_ = p[28];
    real *const k17_ = p[29];
    real *const k18_ = p[30];
    real *const k19_ = p[31];
    real *const k20_ = p[32];
    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;
    real *const s0_ = lane_room + (size_t)R * (0);
    real *const s1_ = lane_room + (size_t)R * (ROW(20));
    real *const n0_ = room + (size_t)MOST_ROWS * (0);
    real *const n1_ = room + (size_t)MOST_ROWS * (ROW(80));
    real *const n4_ = room + (size_t)MOST_ROWS * (ROW(80) + ROW(1));
    real *const n5_ = room + (size_t)MOST_ROWS * (ROW(80) + ROW(1) + ROW(80));
    real *const n11_ = lane_room + (size_t)R * (ROW(20) + ROW(20));
    real *const n12_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80));
    real *const n13_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80));
    real *const n16_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1));
    real *const n17_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80));
    real *const n22_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80) + ROW(1));
    real *const n35_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(80));
    real *const n38_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(80) + ROW(1));
    real *const n39_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(80) + ROW(1) + ROW(20));
    real *const g0_ = room + (size_t)MOST_ROWS * (ROW(80) + ROW(1) + ROW(80) + ROW(1));
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        for (int i = 0; i < N; i++) {
            real *const g0 = g0_ + i * ROW(3);
            const real *const m0 = m0_ + at[i] * 3;
            EACH for (int j = 0; j < 3; j++) g0[j] = m0[j];
        }
        product(N, 80, 3, w0, g0_, ROW(3), n0_, ROW(80));
        for (int i = 0; i < N; i++) {
            real *const n1 = n1_ + i * ROW(1);
            real *const n0 = n0_ + i * ROW(80);
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n0[j];
            n1[0] = total / 80;
        }
        for (int i = 0; i < N; i++) {
            real *const n1 = n1_ + i * ROW(1);
            real *const n0 = n0_ + i * ROW(80);
            real *const k19 = k19_ + at[i] * 80;
            real *const n4 = n4_ + i * ROW(80);
            EACH for (int j = 0; j < 80; j++) {
                const real v2 = n1[0];
                const real v3 = n0[j] - v2;
                const real v4 = v3 * v3;
                k19[j] = v3;
                n4[j] = v4;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const n5 = n5_ + i * ROW(1);
            real *const n4 = n4_ + i * ROW(80);
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n4[j];
            n5[0] = total / 80;
        }
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                if (from[i] != INSIDE) {
                    real *const s0 = s0_ + r * ROW(20);
                    real *const s1 = s1_ + r * ROW(20);
                    EACH for (int j = 0; j < 20; j++) s0[j] = from[i] < 0 ? 0 : begin0[from[i] * 20 + j];
                    EACH for (int j = 0; j < 20; j++) s1[j] = from[i] < 0 ? 0 : begin1[from[i] * 20 + j];
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const k20 = k20_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                EACH for (int j = 0; j < 20; j++) k20[j] = s0[j];
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const k11 = k11_ + at[i] * 20;
                real *const s1 = s1_ + r * ROW(20);
                EACH for (int j = 0; j < 20; j++) k11[j] = s1[j];
            }
            product(R, 80, 20, w1, s0_, ROW(20), n12_, ROW(80));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n13 = n13_ + r * ROW(1);
                real *const n12 = n12_ + r * ROW(80);
                real total = 0;
                ADDED for (int j = 0; j < 80; j++) total += n12[j];
                n13[0] = total / 80;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n5 = n5_ + i * ROW(1);
                real *const k18 = k18_ + at[i] * 1;
                EACH for (int j = 0; j < 1; j++) {
                    const real v6 = (real)1e-05 + n5[0];
                    const real v7 = u_sqrt(v6);
                    k18[j] = v7;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const k18 = k18_ + at[i] * 1;
                real *const k19 = k19_ + at[i] * 80;
                real *const n13 = n13_ + r * ROW(1);
                real *const n12 = n12_ + r * ROW(80);
                real *const k16 = k16_ + at[i] * 80;
                real *const k17 = k17_ + at[i] * 80;
                real *const n11 = n11_ + r * ROW(80);
                real *const k15 = k15_ + at[i] * 80;
                real *const n16 = n16_ + r * ROW(80);
                EACH for (int j = 0; j < 80; j++) {
                    const real v8 = k18[0];
                    const real v9 = k19[j] / v8;
                    const real v10 = f0[j] * v9;
                    const real v11 = f1[j] + v10;
                    const real v14 = n13[0];
                    const real v15 = n12[j] - v14;
                    const real v16 = v15 * v15;
                    k16[j] = v8;
                    k17[j] = v9;
                    n11[j] = v11;
                    k15[j] = v15;
                    n16[j] = v16;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n17 = n17_ + r * ROW(1);
                real *const n16 = n16_ + r * ROW(80);
                real total = 0;
                ADDED for (int j = 0; j < 80; j++) total += n16[j];
                n17[0] = total / 80;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n17 = n17_ + r * ROW(1);
                real *const k14 = k14_ + at[i] * 1;
                EACH for (int j = 0; j < 1; j++) {
                    const real v18 = (real)1e-05 + n17[0];
                    const real v19 = u_sqrt(v18);
                    k14[j] = v19;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const k14 = k14_ + at[i] * 1;
                real *const k15 = k15_ + at[i] * 80;
                real *const k12 = k12_ + at[i] * 80;
                real *const k13 = k13_ + at[i] * 80;
                real *const n22 = n22_ + r * ROW(80);
                EACH for (int j = 0; j < 80; j++) {
                    const real v20 = k14[0];
                    const real v21 = k15[j] / v20;
                    const real v22 = f2[j] * v21;
                    k12[j] = v20;
                    k13[j] = v21;
                    n22[j] = v22;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n11 = n11_ + r * ROW(80);
                real *const n22 = n22_ + r * ROW(80);
                real *const s1 = s1_ + r * ROW(20);
                real *const k4 = k4_ + at[i] * 20;
                real *const k10 = k10_ + at[i] * 20;
                real *const k2 = k2_ + at[i] * 20;
                real *const k9 = k9_ + at[i] * 20;
                real *const k1 = k1_ + at[i] * 20;
                EACH for (int j = 0; j < 20; j++) {
                    const real v23_60 = n11[60 + j] + n22[60 + j];
                    const real v25 = u_sigmoid(v23_60);
                    const real v23_20 = n11[20 + j] + n22[20 + j];
                    const real v27 = u_sigmoid(v23_20);
                    const real v28 = v27 * s1[j];
                    const real v23 = n11[j] + n22[j];
                    const real v30 = u_sigmoid(v23);
                    const real v23_40 = n11[40 + j] + n22[40 + j];
                    const real v32 = u_tanh(v23_40);
                    const real v33 = v30 * v32;
                    const real v34 = v28 + v33;
                    k4[j] = v25;
                    k10[j] = v27;
                    k2[j] = v30;
                    k9[j] = v32;
                    s1[j] = v34;
                    k1[j] = v34;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n35 = n35_ + r * ROW(1);
                real *const s1 = s1_ + r * ROW(20);
                real total = 0;
                ADDED for (int j = 0; j < 20; j++) total += s1[j];
                n35[0] = total / 20;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n35 = n35_ + r * ROW(1);
                real *const s1 = s1_ + r * ROW(20);
                real *const k8 = k8_ + at[i] * 20;
                real *const n38 = n38_ + r * ROW(20);
                EACH for (int j = 0; j < 20; j++) {
                    const real v36 = n35[0];
                    const real v37 = s1[j] - v36;
                    const real v38 = v37 * v37;
                    k8[j] = v37;
                    n38[j] = v38;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n39 = n39_ + r * ROW(1);
                real *const n38 = n38_ + r * ROW(20);
                real total = 0;
                ADDED for (int j = 0; j < 20; j++) total += n38[j];
                n39[0] = total / 20;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n39 = n39_ + r * ROW(1);
                real *const k7 = k7_ + at[i] * 1;
                EACH for (int j = 0; j < 1; j++) {
                    const real v40 = (real)1e-05 + n39[0];
                    const real v41 = u_sqrt(v40);
                    k7[j] = v41;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const k7 = k7_ + at[i] * 1;
                real *const k8 = k8_ + at[i] * 20;
                real *const k4 = k4_ + at[i] * 20;
                real *const k5 = k5_ + at[i] * 20;
                real *const k6 = k6_ + at[i] * 20;
                real *const k3 = k3_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                real *const k0 = k0_ + at[i] * 20;
                EACH for (int j = 0; j < 20; j++) {
                    const real v42 = k7[0];
                    const real v43 = k8[j] / v42;
                    const real v44 = f3[j] * v43;
                    const real v45 = f4[j] + v44;
                    const real v46 = u_tanh(v45);
                    const real v47 = k4[j] * v46;
                    k5[j] = v42;
                    k6[j] = v43;
                    k3[j] = v46;
                    s0[j] = v47;
                    k0[j] = v47;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                if (to[i] >= 0) {
                    real *const s0 = s0_ + r * ROW(20);
                    real *const s1 = s1_ + r * ROW(20);
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                    EACH for (int j = 0; j < 20; j++) end1[to[i] * 20 + j] = s1[j];
                }
            }
        }
    }
}

/* Numbers that a run of R lanes needs for itself. */
int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }

#define ROOM (ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1))
#define LANE_ROOM (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80))

void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch) {
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
    const real *const m13_ = p[13];
    const real *const m14_ = p[14];
    const real *const m15_ = p[15];
    const real *const m16_ = p[16];
    const real *const m17_ = p[17];
    const real *const m18_ = p[18];
    const real *const q0_ = p[19];
    const real *const start0_ = p[20];
    const real *const f0 = p[21];
    const real *const f1 = p[22];
    const real *const f2 = p[23];
    const real *const w0 = p[24];
    real *const end0 = p[25];
    real *const end1 = p[26];
    real *const k0_ = p[27];
    real *const k1_ = p[28];
    real *const k2_ = p[29];
    real *const k3_ = p[30];
    real *const k4_ = p[31];
    real *const k5_ = p[32];
    real *const k6_ = p[33];
    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;
    real *const s0_ = lane_room + (size_t)R * (0);
    real *const s1_ = lane_room + (size_t)R * (ROW(20));
    real *const n42_ = lane_room + (size_t)R * (ROW(20) + ROW(20));
    real *const n1_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80));
    real *const n6_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20));
    real *const n8_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20));
    real *const n11_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20));
    real *const n12_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1));
    real *const n17_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20));
    real *const n20_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20));
    real *const n21_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20));
    real *const n23_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1));
    real *const n28_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1));
    real *const n29_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20));
    real *const n30_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20));
    real *const n31_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1));
    real *const n44_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1));
    real *const n47_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80));
    real *const n48_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80));
    real *const n50_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1));
    real *const n54_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1));
    real *const n55_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
    real *const n56_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80));
    real *const n57_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1));
    real *const n59_ = lane_room + (size_t)R * (ROW(20) + ROW(20) + ROW(80) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(20) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(20) + ROW(20) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1));
    real *const n62_ = room + (size_t)MOST_ROWS * (0);
    real *const n64_ = room + (size_t)MOST_ROWS * (ROW(1));
    real *const n67_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80));
    real *const n68_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80));
    real *const n70_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80) + ROW(1));
    real *const n74_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1));
    real *const n75_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80));
    real *const n76_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80));
    real *const n77_ = room + (size_t)MOST_ROWS * (ROW(1) + ROW(80) + ROW(80) + ROW(1) + ROW(1) + ROW(80) + ROW(80) + ROW(1));
    const real *before0[MOST_ROWS];
    static const real zero[20];
    stretch s;
    begin_lanes(&s, R, pieces, of_lane);
    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;
    for (int N; (N = next_stretch(&s)) > 0;) {
        PREVIOUS(before0, q0_, start0_, 20)
        for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {
            const int R = s.live[step];
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                if (from[i] != INSIDE) {
                    real *const s0 = s0_ + r * ROW(20);
                    real *const s1 = s1_ + r * ROW(20);
                    EACH for (int j = 0; j < 20; j++) s0[j] = 0;
                    EACH for (int j = 0; j < 20; j++) s1[j] = 0;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                const real *const m0 = m0_ + at[i] * 20;
                const real *const m1 = m1_ + at[i] * 20;
                const real *const m3 = m3_ + at[i] * 20;
                const real *const m4 = m4_ + at[i] * 20;
                const real *const m5 = m5_ + at[i] * 20;
                const real *const m7 = m7_ + at[i] * 20;
                real *const s1 = s1_ + r * ROW(20);
                const real *const m8 = m8_ + at[i] * 20;
                real *const s0 = s0_ + r * ROW(20);
                const real *const m9 = m9_ + at[i] * 20;
                const real *const m10 = m10_ + at[i] * 20;
                real *const n1 = n1_ + r * ROW(20);
                real *const n6 = n6_ + r * ROW(20);
                real *const n8 = n8_ + r * ROW(20);
                real *const n12 = n12_ + r * ROW(20);
                real *const k6 = k6_ + at[i] * 20;
                real *const n17 = n17_ + r * ROW(20);
                real *const n20 = n20_ + r * ROW(20);
                real *const n42 = n42_ + r * ROW(80);
                real *const k2 = k2_ + at[i] * 80;
                EACH for (int j = 0; j < 20; j++) {
                    const real v0 = (real)1.0 - m0[j];
                    const real v1 = m0[j] * v0;
                    const real v2 = m1[j] * m1[j];
                    const real v3 = (real)1.0 - v2;
                    const real v5 = (real)1.0 - m3[j];
                    const real v6 = m3[j] * v5;
                    const real v7 = m4[j] * m4[j];
                    const real v8 = (real)1.0 - v7;
                    const real v9 = (real)1.0 - m5[j];
                    const real v10 = m5[j] * v9;
                    const real v12 = m7[j] + s1[j];
                    const real v13 = m8[j] + s0[j];
                    const real v14 = m5[j] * v13;
                    const real v15 = v3 * v14;
                    const real v16 = f0[j] * v15;
                    const real v17 = v16 / m9[j];
                    const real v18 = m10[j] * v16;
                    const real v19 = v18 / m9[j];
                    const real v20 = -v19;
                    const real v40 = m1[j] * v13;
                    const real v41 = v10 * v40;
                    n1[j] = v1;
                    n6[j] = v6;
                    n8[j] = v8;
                    n12[j] = v12;
                    k6[j] = v15;
                    n17[j] = v17;
                    n20[j] = v20;
                    n42[60 + j] = v41;
                    k2[60 + j] = v41;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n21 = n21_ + r * ROW(1);
                real *const n20 = n20_ + r * ROW(20);
                real total = 0;
                ADDED for (int j = 0; j < 20; j++) total += n20[j];
                n21[0] = total;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                const real *const m2 = m2_ + at[i] * 1;
                const real *const m6 = m6_ + at[i] * 1;
                real *const n21 = n21_ + r * ROW(1);
                real *const n11 = n11_ + r * ROW(1);
                real *const n23 = n23_ + r * ROW(1);
                EACH for (int j = 0; j < 1; j++) {
                    const real v4 = (real)2.0 * m2[0];
                    const real v11 = (real)2.0 * m6[0];
                    const real v22 = n21[0] / v4;
                    const real v23 = v22 / (real)20.0;
                    n11[j] = v11;
                    n23[j] = v23;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n23 = n23_ + r * ROW(1);
                const real *const m11 = m11_ + at[i] * 20;
                real *const n17 = n17_ + r * ROW(20);
                real *const n12 = n12_ + r * ROW(20);
                real *const n28 = n28_ + r * ROW(20);
                real *const n29 = n29_ + r * ROW(20);
                EACH for (int j = 0; j < 20; j++) {
                    const real v24 = n23[0];
                    const real v25 = m11[j] * v24;
                    const real v26 = n17[j] + v25;
                    const real v27 = v26 + v25;
                    const real v28 = n12[j] + v27;
                    const real v29 = -v27;
                    n28[j] = v28;
                    n29[j] = v29;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n30 = n30_ + r * ROW(1);
                real *const n29 = n29_ + r * ROW(20);
                real total = 0;
                ADDED for (int j = 0; j < 20; j++) total += n29[j];
                n30[0] = total;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n30 = n30_ + r * ROW(1);
                real *const n31 = n31_ + r * ROW(1);
                EACH for (int j = 0; j < 1; j++) {
                    const real v31 = n30[0] / (real)20.0;
                    n31[j] = v31;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n31 = n31_ + r * ROW(1);
                real *const n28 = n28_ + r * ROW(20);
                const real *const m4 = m4_ + at[i] * 20;
                real *const n1 = n1_ + r * ROW(20);
                const real *const q0 = before0[i];
                real *const n6 = n6_ + r * ROW(20);
                const real *const m0 = m0_ + at[i] * 20;
                real *const n8 = n8_ + r * ROW(20);
                const real *const m3 = m3_ + at[i] * 20;
                real *const n42 = n42_ + r * ROW(80);
                real *const k2 = k2_ + at[i] * 80;
                real *const s1 = s1_ + r * ROW(20);
                EACH for (int j = 0; j < 20; j++) {
                    const real v32 = n31[0];
                    const real v33 = n28[j] + v32;
                    const real v34 = m4[j] * v33;
                    const real v35 = n1[j] * v34;
                    const real v36 = q0[j] * v33;
                    const real v37 = n6[j] * v36;
                    const real v38 = m0[j] * v33;
                    const real v39 = n8[j] * v38;
                    const real v61 = m3[j] * v33;
                    n42[j] = v35;
                    k2[j] = v35;
                    n42[20 + j] = v37;
                    k2[20 + j] = v37;
                    n42[40 + j] = v39;
                    k2[40 + j] = v39;
                    s1[j] = v61;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n42 = n42_ + r * ROW(80);
                const real *const m12 = m12_ + at[i] * 80;
                const real *const m13 = m13_ + at[i] * 80;
                real *const n44 = n44_ + r * ROW(80);
                real *const n47 = n47_ + r * ROW(80);
                EACH for (int j = 0; j < 80; j++) {
                    const real v43 = f1[j] * n42[j];
                    const real v44 = v43 / m12[j];
                    const real v45 = m13[j] * v43;
                    const real v46 = v45 / m12[j];
                    const real v47 = -v46;
                    n44[j] = v44;
                    n47[j] = v47;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n48 = n48_ + r * ROW(1);
                real *const n47 = n47_ + r * ROW(80);
                real total = 0;
                ADDED for (int j = 0; j < 80; j++) total += n47[j];
                n48[0] = total;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n48 = n48_ + r * ROW(1);
                real *const n11 = n11_ + r * ROW(1);
                real *const n50 = n50_ + r * ROW(1);
                EACH for (int j = 0; j < 1; j++) {
                    const real v49 = n48[0] / n11[0];
                    const real v50 = v49 / (real)80.0;
                    n50[j] = v50;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n50 = n50_ + r * ROW(1);
                const real *const m14 = m14_ + at[i] * 80;
                real *const n44 = n44_ + r * ROW(80);
                real *const n54 = n54_ + r * ROW(80);
                real *const n55 = n55_ + r * ROW(80);
                EACH for (int j = 0; j < 80; j++) {
                    const real v51 = n50[0];
                    const real v52 = m14[j] * v51;
                    const real v53 = n44[j] + v52;
                    const real v54 = v53 + v52;
                    const real v55 = -v54;
                    n54[j] = v54;
                    n55[j] = v55;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n56 = n56_ + r * ROW(1);
                real *const n55 = n55_ + r * ROW(80);
                real total = 0;
                ADDED for (int j = 0; j < 80; j++) total += n55[j];
                n56[0] = total;
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n56 = n56_ + r * ROW(1);
                real *const n57 = n57_ + r * ROW(1);
                EACH for (int j = 0; j < 1; j++) {
                    const real v57 = n56[0] / (real)80.0;
                    n57[j] = v57;
                }
            }
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                real *const n57 = n57_ + r * ROW(1);
                real *const n54 = n54_ + r * ROW(80);
                real *const n59 = n59_ + r * ROW(80);
                real *const k1 = k1_ + at[i] * 80;
                EACH for (int j = 0; j < 80; j++) {
                    const real v58 = n57[0];
                    const real v59 = n54[j] + v58;
                    n59[j] = v59;
                    k1[j] = v59;
                }
            }
            product(R, 20, 80, w0, n59_, ROW(80), s0_, ROW(20));
            for (int r = 0; r < R; r++) {
                const int i = base + r;
                if (to[i] >= 0) {
                    real *const s0 = s0_ + r * ROW(20);
                    real *const s1 = s1_ + r * ROW(20);
                    EACH for (int j = 0; j < 20; j++) end0[to[i] * 20 + j] = s0[j];
                    EACH for (int j = 0; j < 20; j++) end1[to[i] * 20 + j] = s1[j];
                }
            }
        }
        for (int i = 0; i < N; i++) {
            const real *const m15 = m15_ + at[i] * 1;
            real *const n62 = n62_ + i * ROW(1);
            EACH for (int j = 0; j < 1; j++) {
                const real v62 = (real)2.0 * m15[0];
                n62[j] = v62;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const k2 = k2_ + at[i] * 80;
            const real *const m16 = m16_ + at[i] * 80;
            const real *const m17 = m17_ + at[i] * 80;
            const real *const m13 = m13_ + at[i] * 80;
            real *const n64 = n64_ + i * ROW(80);
            real *const n67 = n67_ + i * ROW(80);
            real *const k3 = k3_ + at[i] * 80;
            real *const k4 = k4_ + at[i] * 80;
            EACH for (int j = 0; j < 80; j++) {
                const real v63 = f2[j] * k2[j];
                const real v64 = v63 / m16[j];
                const real v65 = m17[j] * v63;
                const real v66 = v65 / m16[j];
                const real v67 = -v66;
                const real v80 = m17[j] * k2[j];
                const real v81 = m13[j] * k2[j];
                n64[j] = v64;
                n67[j] = v67;
                k3[j] = v80;
                k4[j] = v81;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const n68 = n68_ + i * ROW(1);
            real *const n67 = n67_ + i * ROW(80);
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n67[j];
            n68[0] = total;
        }
        for (int i = 0; i < N; i++) {
            real *const n68 = n68_ + i * ROW(1);
            real *const n62 = n62_ + i * ROW(1);
            real *const n70 = n70_ + i * ROW(1);
            EACH for (int j = 0; j < 1; j++) {
                const real v69 = n68[0] / n62[0];
                const real v70 = v69 / (real)80.0;
                n70[j] = v70;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const n70 = n70_ + i * ROW(1);
            const real *const m18 = m18_ + at[i] * 80;
            real *const n64 = n64_ + i * ROW(80);
            real *const n74 = n74_ + i * ROW(80);
            real *const n75 = n75_ + i * ROW(80);
            EACH for (int j = 0; j < 80; j++) {
                const real v71 = n70[0];
                const real v72 = m18[j] * v71;
                const real v73 = n64[j] + v72;
                const real v74 = v73 + v72;
                const real v75 = -v74;
                n74[j] = v74;
                n75[j] = v75;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const n76 = n76_ + i * ROW(1);
            real *const n75 = n75_ + i * ROW(80);
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n75[j];
            n76[0] = total;
        }
        for (int i = 0; i < N; i++) {
            real *const n76 = n76_ + i * ROW(1);
            real *const n77 = n77_ + i * ROW(1);
            EACH for (int j = 0; j < 1; j++) {
                const real v77 = n76[0] / (real)80.0;
                n77[j] = v77;
            }
        }
        for (int i = 0; i < N; i++) {
            real *const n77 = n77_ + i * ROW(1);
            real *const n74 = n74_ + i * ROW(80);
            real *const k0 = k0_ + at[i] * 80;
            EACH for (int j = 0; j < 80; j++) {
                const real v78 = n77[0];
                const real v79 = n74[j] + v78;
                k0[j] = v79;
            }
        }
        for (int i = 0; i < N; i++) {
            const real *const m10 = m10_ + at[i] * 20;
            real *const k6 = k6_ + at[i] * 20;
            real *const k5 = k5_ + at[i] * 20;
            EACH for (int j = 0; j < 20; j++) {
                const real v82 = m10[j] * k6[j];
                k5[j] = v82;
            }
        }
    }
}

/* Numbers that a run of R lanes needs for itself. */
int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }
