static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {
    real *const m0_ = p[0];
    real *const w0_ = p[1];
    real *const start0_ = p[2];
    real *const k0_ = p[3];
    real *const k1_ = p[4];
    real *const end0_ = p[5];
    real *const s0 = scratch + R * (0);
    real *const n0 = scratch + R * (PAD(20));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = i;
        real *const m0 = m0_ + (b * T + t) * 20;
        real *const k0 = k0_ + (b * T + t) * 20;
        real *const k1 = k1_ + (b * T + t) * 20;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { k1[r * T * 20 + j] = s0[r * PAD(20) + j]; }
        product(R, 20, 20, w0_, s0, PAD(20), n0, PAD(20));
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v1 = m0[r * T * 20 + j] + n0[r * PAD(20) + j];
            const real v2 = u_tanh(v1);
            k0[r * T * 20 + j] = v2;
        }
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = k0[r * T * 20 + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20)); }

static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {
    real *const m0_ = p[0];
    real *const m1_ = p[1];
    real *const w0_ = p[2];
    real *const start0_ = p[3];
    real *const k0_ = p[4];
    real *const end0_ = p[5];
    real *const s0 = scratch + R * (0);
    real *const n2 = scratch + R * (PAD(20));
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = start0_[(b + r) * 20 + j]; }
    for (int64_t i = 0; i < T; i++) { const int64_t t = T - 1 - i;
        real *const m0 = m0_ + (b * T + t) * 20;
        real *const m1 = m1_ + (b * T + t) * 20;
        real *const k0 = k0_ + (b * T + t) * 20;
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) {
            const real v0 = m0[r * T * 20 + j] + s0[r * PAD(20) + j];
            const real v1 = m1[r * T * 20 + j] * v0;
            k0[r * T * 20 + j] = v1;
        }
        product(R, 20, 20, w0_, k0, T * 20, n2, PAD(20));
        for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { s0[r * PAD(20) + j] = n2[r * PAD(20) + j]; }
    }
    for (int r = 0; r < R; r++) EACH for (int j = 0; j < 20; j++) { end0_[(b + r) * 20 + j] = s0[r * PAD(20) + j]; }
}

/* Sequences first ... last - 1 of the batch. */
void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {
    for (int64_t b = first; b < last; b += 32)
        rows(last - b < 32 ? (int)(last - b) : 32, b, T, p, scratch);
}

int64_t scratch_size(void) { return 32 * (PAD(20) + PAD(20)); }
