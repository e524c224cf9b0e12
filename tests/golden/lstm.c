static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {
    real *const m0_ = p[0];
    real *const w0_ = p[1];
    real *const start0_ = p[2];
    real *const start1_ = p[3];
    real *const k0_ = p[4];
    real *const k1_ = p[5];
    real *const k2_ = p[6];
    real *const k3_ = p[7];
    real *const k4_ = p[8];
    real *const k5_ = p[9];
    real *const k6_ = p[10];
    real *const k7_ = p[11];
    real *const k8_ = p[12];
    real *const end0_ = p[13];
    real *const end1_ = p[14];
    real *const s0 = scratch + R * (0);
    real *const s1 = scratch + R * (PAD(20));
    real *const n0 = scratch + R * (PAD(20) + PAD(20));
    real *const n1 = scratch + R * (PAD(20) + PAD(20) + PAD(80));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = start1_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = i;
        real *const m0 = m0_ + (b * T + t) * 80;
        real *const k0 = k0_ + (b * T + t) * 20;
        real *const k1 = k1_ + (b * T + t) * 20;
        real *const k2 = k2_ + (b * T + t) * 20;
        real *const k3 = k3_ + (b * T + t) * 20;
        real *const k4 = k4_ + (b * T + t) * 20;
        real *const k5 = k5_ + (b * T + t) * 20;
        real *const k6 = k6_ + (b * T + t) * 20;
        real *const k7 = k7_ + (b * T + t) * 20;
        real *const k8 = k8_ + (b * T + t) * 20;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { k7[r * T * 20 + j] = s0[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { k8[r * T * 20 + j] = s1[r * PAD(20) + j]; }
        product(R, 80, 20, w0_, s0, PAD(20), n0, PAD(80));
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) {
            const real v1 = m0[r * T * 80 + j] + n0[r * PAD(80) + j];
            n1[r * PAD(80) + j] = v1;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v3 = u_sigmoid((n1 + 60)[r * PAD(80) + j]);
            k0[r * T * 20 + j] = v3;
            const real v5 = u_sigmoid((n1 + 20)[r * PAD(80) + j]);
            k1[r * T * 20 + j] = v5;
            const real v6 = v5 * s1[r * PAD(20) + j];
            const real v8 = u_sigmoid(n1[r * PAD(80) + j]);
            k2[r * T * 20 + j] = v8;
            const real v10 = u_tanh((n1 + 40)[r * PAD(80) + j]);
            k3[r * T * 20 + j] = v10;
            const real v11 = v8 * v10;
            const real v12 = v6 + v11;
            k4[r * T * 20 + j] = v12;
            const real v13 = u_tanh(v12);
            k5[r * T * 20 + j] = v13;
            const real v14 = v3 * v13;
            k6[r * T * 20 + j] = v14;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = k6[r * T * 20 + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = k4[r * T * 20 + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end1_[(b + r) * 20 + j] = s1[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20) + PAD(80) + PAD(80)); }

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
    real *const w0_ = p[13];
    real *const start0_ = p[14];
    real *const start1_ = p[15];
    real *const k0_ = p[16];
    real *const end0_ = p[17];
    real *const end1_ = p[18];
    real *const s0 = scratch + R * (0);
    real *const s1 = scratch + R * (PAD(20));
    real *const n6 = scratch + R * (PAD(20) + PAD(20));
    real *const n8 = scratch + R * (PAD(20) + PAD(20) + PAD(20));
    real *const n10 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n12 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n13 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20));
    real *const n14 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80));
    real *const n15 = scratch + R * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(20));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = start1_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = T - 1 - i;
        real *const m0 = m0_ + (b * T + t) * 20;
        real *const m1 = m1_ + (b * T + t) * 20;
        real *const m2 = m2_ + (b * T + t) * 20;
        real *const m3 = m3_ + (b * T + t) * 20;
        real *const m4 = m4_ + (b * T + t) * 20;
        real *const m5 = m5_ + (b * T + t) * 20;
        real *const m6 = m6_ + (b * T + t) * 20;
        real *const m7 = m7_ + (b * T + t) * 20;
        real *const m8 = m8_ + (b * T + t) * 20;
        real *const m9 = m9_ + (b * T + t) * 20;
        real *const m10 = m10_ + (b * T + t) * 20;
        real *const m11 = m11_ + (b * T + t) * 20;
        real *const m12 = m12_ + (b * T + t) * 20;
        real *const k0 = k0_ + (b * T + t) * 80;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v0 = m0[r * T * 20 + j] + s1[r * PAD(20) + j];
            const real v1 = m1[r * T * 20 + j] + s0[r * PAD(20) + j];
            const real v2 = m2[r * T * 20 + j] * v1;
            const real v3 = m3[r * T * 20 + j] * v2;
            const real v4 = v0 + v3;
            const real v5 = m4[r * T * 20 + j] * v4;
            const real v6 = m5[r * T * 20 + j] * v5;
            n6[r * PAD(20) + j] = v6;
            const real v7 = m6[r * T * 20 + j] * v4;
            const real v8 = m7[r * T * 20 + j] * v7;
            n8[r * PAD(20) + j] = v8;
            const real v9 = m8[r * T * 20 + j] * v4;
            const real v10 = m9[r * T * 20 + j] * v9;
            n10[r * PAD(20) + j] = v10;
            const real v11 = m10[r * T * 20 + j] * v1;
            const real v12 = m11[r * T * 20 + j] * v11;
            n12[r * PAD(20) + j] = v12;
            const real v15 = m12[r * T * 20 + j] * v4;
            n15[r * PAD(20) + j] = v15;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { n13[r * PAD(80) + j] = n6[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n13 + 20)[r * PAD(80) + j] = n8[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n13 + 40)[r * PAD(80) + j] = n10[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { (n13 + 60)[r * PAD(80) + j] = n12[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 80; j++) { k0[r * T * 80 + j] = n13[r * PAD(80) + j]; }
        product(R, 20, 80, w0_, n13, PAD(80), n14, PAD(20));
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = n14[r * PAD(20) + j]; }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s1[r * PAD(20) + j] = n15[r * PAD(20) + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end1_[(b + r) * 20 + j] = s1[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(20) + PAD(80) + PAD(20) + PAD(20)); }
