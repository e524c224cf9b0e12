static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {
    real *const m0_ = p[0];
    real *const f0_ = p[1];
    real *const f1_ = p[2];
    real *const f2_ = p[3];
    real *const f3_ = p[4];
    real *const w0_ = p[5];
    real *const start0_ = p[6];
    real *const start1_ = p[7];
    real *const k0_ = p[8];
    real *const k1_ = p[9];
    real *const k2_ = p[10];
    real *const k3_ = p[11];
    real *const k4_ = p[12];
    real *const k5_ = p[13];
    real *const k6_ = p[14];
    real *const k7_ = p[15];
    real *const k8_ = p[16];
    real *const k9_ = p[17];
    real *const k10_ = p[18];
    real *const k11_ = p[19];
    real *const k12_ = p[20];
    real *const k13_ = p[21];
    real *const k14_ = p[22];
    real *const k15_ = p[23];
    real *const k16_ = p[24];
    real *const end0_ = p[25];
    real *const end1_ = p[26];
    real *const s0 = scratch + R * (0);
    real *const s1 = scratch + R * (PAD(20));
    real *const n0 = scratch + R * (PAD(20) + PAD(20));
    real *const n1 = scratch + R * (PAD(20) + PAD(20) + PAD(80));
    real *const n4 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1));
    real *const n5 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80));
    real *const n11 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80) + PAD(1));
    real *const n23 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(80));
    real *const n26 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(80) + PAD(1));
    real *const n27 = scratch + R * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(20));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = start1_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = i;
        real *const m0 = m0_ + (b * T + t) * 80;
        real *const k0 = k0_ + (b * T + t) * 80;
        real *const k1 = k1_ + (b * T + t) * 1;
        real *const k2 = k2_ + (b * T + t) * 80;
        real *const k3 = k3_ + (b * T + t) * 80;
        real *const k4 = k4_ + (b * T + t) * 20;
        real *const k5 = k5_ + (b * T + t) * 20;
        real *const k6 = k6_ + (b * T + t) * 20;
        real *const k7 = k7_ + (b * T + t) * 20;
        real *const k8 = k8_ + (b * T + t) * 20;
        real *const k9 = k9_ + (b * T + t) * 20;
        real *const k10 = k10_ + (b * T + t) * 1;
        real *const k11 = k11_ + (b * T + t) * 20;
        real *const k12 = k12_ + (b * T + t) * 20;
        real *const k13 = k13_ + (b * T + t) * 20;
        real *const k14 = k14_ + (b * T + t) * 20;
        real *const k15 = k15_ + (b * T + t) * 20;
        real *const k16 = k16_ + (b * T + t) * 20;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { k15[r * T * 20 + j] = s0[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { k16[r * T * 20 + j] = s1[r * PAD(20) + j]; }
        product(R, 80, 20, w0_, s0, PAD(20), n0, PAD(80));
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n0[r * PAD(80) + j];
            n1[r * PAD(1) + 0] = total / 80;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v2 = n1[r * PAD(1) + 0];
            const real v3 = n0[r * PAD(80) + j] - v2;
            k0[r * T * 80 + j] = v3;
            const real v4 = v3 * v3;
            n4[r * PAD(80) + j] = v4;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n4[r * PAD(80) + j];
            n5[r * PAD(1) + 0] = total / 80;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v6 = f0_[0] + n5[r * PAD(1) + 0];
            const real v7 = u_sqrt(v6);
            k1[r * T * 1 + j] = v7;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v8 = k1[r * T * 1 + 0];
            k2[r * T * 80 + j] = v8;
            const real v9 = k0[r * T * 80 + j] / v8;
            k3[r * T * 80 + j] = v9;
            const real v10 = f1_[j] * v9;
            const real v11 = m0[r * T * 80 + j] + v10;
            n11[r * PAD(80) + j] = v11;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v13 = u_sigmoid((n11 + 60)[r * PAD(80) + j]);
            k4[r * T * 20 + j] = v13;
            const real v15 = u_sigmoid((n11 + 20)[r * PAD(80) + j]);
            k5[r * T * 20 + j] = v15;
            const real v16 = v15 * s1[r * PAD(20) + j];
            const real v18 = u_sigmoid(n11[r * PAD(80) + j]);
            k6[r * T * 20 + j] = v18;
            const real v20 = u_tanh((n11 + 40)[r * PAD(80) + j]);
            k7[r * T * 20 + j] = v20;
            const real v21 = v18 * v20;
            const real v22 = v16 + v21;
            k8[r * T * 20 + j] = v22;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 20; j++) total += k8[r * T * 20 + j];
            n23[r * PAD(1) + 0] = total / 20;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v24 = n23[r * PAD(1) + 0];
            const real v25 = k8[r * T * 20 + j] - v24;
            k9[r * T * 20 + j] = v25;
            const real v26 = v25 * v25;
            n26[r * PAD(20) + j] = v26;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 20; j++) total += n26[r * PAD(20) + j];
            n27[r * PAD(1) + 0] = total / 20;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v28 = f0_[0] + n27[r * PAD(1) + 0];
            const real v29 = u_sqrt(v28);
            k10[r * T * 1 + j] = v29;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v30 = k10[r * T * 1 + 0];
            k11[r * T * 20 + j] = v30;
            const real v31 = k9[r * T * 20 + j] / v30;
            k12[r * T * 20 + j] = v31;
            const real v32 = f2_[j] * v31;
            const real v33 = f3_[j] + v32;
            const real v34 = u_tanh(v33);
            k13[r * T * 20 + j] = v34;
            const real v35 = k4[r * T * 20 + j] * v34;
            k14[r * T * 20 + j] = v35;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = k14[r * T * 20 + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = k8[r * T * 20 + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end1_[(b + r) * 20 + j] = s1[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(80) + PAD(1) + PAD(20) + PAD(1)); }

static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {
    real *const m0_ = p[0];
    real *const m1_ = p[1];
    real *const m2_ = p[2];
    real *const m3_ = p[3];
    real *const m4_ = p[4];
    real *const m5_ = p[5];
    real *const m6_ = p[6];
    real *const m7_ = p[7];
    real *const m8_ = p[8];
    real *const m9_ = p[9];
    real *const m10_ = p[10];
    real *const m11_ = p[11];
    real *const m12_ = p[12];
    real *const m13_ = p[13];
    real *const m14_ = p[14];
    real *const m15_ = p[15];
    real *const m16_ = p[16];
    real *const m17_ = p[17];
    real *const m18_ = p[18];
    real *const m19_ = p[19];
    real *const m20_ = p[20];
    real *const f0_ = p[21];
    real *const f1_ = p[22];
    real *const f2_ = p[23];
    real *const f3_ = p[24];
    real *const w0_ = p[25];
    real *const start0_ = p[26];
    real *const start1_ = p[27];
    real *const k0_ = p[28];
    real *const k1_ = p[29];
    real *const k2_ = p[30];
    real *const end0_ = p[31];
    real *const end1_ = p[32];
    real *const s0 = scratch + R * (0);
    real *const s1 = scratch + R * (PAD(20));
    real *const n0 = scratch + R * (PAD(20) + PAD(20));
    real *const n5 = scratch + R * (PAD(20) + PAD(20) + PAD(20));
    real *const n8 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n9 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n11 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1));
    real *const n16 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1));
    real *const n17 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20));
    real *const n18 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20));
    real *const n19 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1));
    real *const n23 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1));
    real *const n25 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20));
    real *const n27 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20));
    real *const n29 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20));
    real *const n30 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n32 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80));
    real *const n35 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80));
    real *const n36 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80));
    real *const n38 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1));
    real *const n42 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1));
    real *const n43 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80));
    real *const n44 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80) + PAD(80));
    real *const n45 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80) + PAD(80) + PAD(1));
    real *const n48 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80) + PAD(80) + PAD(1) + PAD(1));
    real *const n49 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(20));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = start1_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = T - 1 - i;
        real *const m0 = m0_ + (b * T + t) * 20;
        real *const m1 = m1_ + (b * T + t) * 20;
        real *const m2 = m2_ + (b * T + t) * 20;
        real *const m3 = m3_ + (b * T + t) * 20;
        real *const m4 = m4_ + (b * T + t) * 20;
        real *const m5 = m5_ + (b * T + t) * 20;
        real *const m6 = m6_ + (b * T + t) * 1;
        real *const m7 = m7_ + (b * T + t) * 20;
        real *const m8 = m8_ + (b * T + t) * 20;
        real *const m9 = m9_ + (b * T + t) * 20;
        real *const m10 = m10_ + (b * T + t) * 20;
        real *const m11 = m11_ + (b * T + t) * 20;
        real *const m12 = m12_ + (b * T + t) * 20;
        real *const m13 = m13_ + (b * T + t) * 20;
        real *const m14 = m14_ + (b * T + t) * 20;
        real *const m15 = m15_ + (b * T + t) * 20;
        real *const m16 = m16_ + (b * T + t) * 80;
        real *const m17 = m17_ + (b * T + t) * 80;
        real *const m18 = m18_ + (b * T + t) * 1;
        real *const m19 = m19_ + (b * T + t) * 80;
        real *const m20 = m20_ + (b * T + t) * 20;
        real *const k0 = k0_ + (b * T + t) * 20;
        real *const k1 = k1_ + (b * T + t) * 80;
        real *const k2 = k2_ + (b * T + t) * 80;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v0 = m0[r * T * 20 + j] + s1[r * PAD(20) + j];
            n0[r * PAD(20) + j] = v0;
            const real v1 = m1[r * T * 20 + j] + s0[r * PAD(20) + j];
            const real v2 = m2[r * T * 20 + j] * v1;
            const real v3 = m3[r * T * 20 + j] * v2;
            k0[r * T * 20 + j] = v3;
            const real v4 = f0_[j] * v3;
            const real v5 = v4 / m4[r * T * 20 + j];
            n5[r * PAD(20) + j] = v5;
            const real v6 = m5[r * T * 20 + j] * v4;
            const real v7 = v6 / m4[r * T * 20 + j];
            const real v8 = -v7;
            n8[r * PAD(20) + j] = v8;
            const real v28 = m14[r * T * 20 + j] * v1;
            const real v29 = m15[r * T * 20 + j] * v28;
            n29[r * PAD(20) + j] = v29;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 20; j++) total += n8[r * PAD(20) + j];
            n9[r * PAD(1) + 0] = total;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v10 = n9[r * PAD(1) + 0] / m6[r * T * 1 + 0];
            const real v11 = v10 / f1_[0];
            n11[r * PAD(1) + j] = v11;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v12 = n11[r * PAD(1) + 0];
            const real v13 = m7[r * T * 20 + j] * v12;
            const real v14 = n5[r * PAD(20) + j] + v13;
            const real v15 = v14 + v13;
            const real v16 = n0[r * PAD(20) + j] + v15;
            n16[r * PAD(20) + j] = v16;
            const real v17 = -v15;
            n17[r * PAD(20) + j] = v17;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 20; j++) total += n17[r * PAD(20) + j];
            n18[r * PAD(1) + 0] = total;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v19 = n18[r * PAD(1) + 0] / f1_[0];
            n19[r * PAD(1) + j] = v19;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v20 = n19[r * PAD(1) + 0];
            const real v21 = n16[r * PAD(20) + j] + v20;
            const real v22 = m8[r * T * 20 + j] * v21;
            const real v23 = m9[r * T * 20 + j] * v22;
            n23[r * PAD(20) + j] = v23;
            const real v24 = m10[r * T * 20 + j] * v21;
            const real v25 = m11[r * T * 20 + j] * v24;
            n25[r * PAD(20) + j] = v25;
            const real v26 = m12[r * T * 20 + j] * v21;
            const real v27 = m13[r * T * 20 + j] * v26;
            n27[r * PAD(20) + j] = v27;
            const real v49 = m20[r * T * 20 + j] * v21;
            n49[r * PAD(20) + j] = v49;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { n30[r * PAD(80) + j] = n23[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n30 + 20)[r * PAD(80) + j] = n25[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n30 + 40)[r * PAD(80) + j] = n27[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n30 + 60)[r * PAD(80) + j] = n29[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) { k1[r * T * 80 + j] = n30[r * PAD(80) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v31 = f2_[j] * n30[r * PAD(80) + j];
            const real v32 = v31 / m16[r * T * 80 + j];
            n32[r * PAD(80) + j] = v32;
            const real v33 = m17[r * T * 80 + j] * v31;
            const real v34 = v33 / m16[r * T * 80 + j];
            const real v35 = -v34;
            n35[r * PAD(80) + j] = v35;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n35[r * PAD(80) + j];
            n36[r * PAD(1) + 0] = total;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v37 = n36[r * PAD(1) + 0] / m18[r * T * 1 + 0];
            const real v38 = v37 / f3_[0];
            n38[r * PAD(1) + j] = v38;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v39 = n38[r * PAD(1) + 0];
            const real v40 = m19[r * T * 80 + j] * v39;
            const real v41 = n32[r * PAD(80) + j] + v40;
            const real v42 = v41 + v40;
            n42[r * PAD(80) + j] = v42;
            const real v43 = -v42;
            n43[r * PAD(80) + j] = v43;
        }
        for (int r = 0; r < R; r++) {
            real total = 0;
            ADDED for (int j = 0; j < 80; j++) total += n43[r * PAD(80) + j];
            n44[r * PAD(1) + 0] = total;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 1; j++) {
            const real v45 = n44[r * PAD(1) + 0] / f3_[0];
            n45[r * PAD(1) + j] = v45;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v46 = n45[r * PAD(1) + 0];
            const real v47 = n42[r * PAD(80) + j] + v46;
            k2[r * T * 80 + j] = v47;
        }
        product(R, 20, 80, w0_, k2, T * 80, n48, PAD(20));
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = n48[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = n49[r * PAD(20) + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end1_[(b + r) * 20 + j] = s1[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(1) + PAD(1) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(80) + PAD(80) + PAD(1) + PAD(1) + PAD(20) + PAD(20)); }
