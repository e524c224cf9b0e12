/* y = W x for 16 rows of W, stored column after column. Eight vectors of sums are added up side by side, because an
   addition takes longer than the machine needs to begin the next one. */
static void u_panel(float y[16], const NUMBER *restrict W, const float *restrict x, int columns) {
#if defined(__GNUC__)
    const int together = LANES / 2, whole = columns / together * together; /* columns */
    const NUMBER *w = W;
    u_vector sums[8];
    UNROLL for (int q = 0; q < 8; q++) sums[q] = (u_vector){0};
    for (int k = 0; k < whole; k += together, w += 16 * together) {
        UNROLL for (int q = 0; q < 8; q++) sums[q] += LOAD(w + q * LANES) * x[k + q * LANES / 16];
    }
    for (int k = whole; k < columns; k++, w += 16) {
        UNROLL for (int q = 0; q < 16 / LANES; q++) sums[q] += LOAD(w + q * LANES) * x[k];
    }
    UNROLL for (int q = 16 / LANES; q < 8; q++) sums[q % (16 / LANES)] += sums[q];
    UNROLL for (int q = 0; q < 16 / LANES; q++) *(u_vector *)(y + q * LANES) = sums[q];
#else
    for (int j = 0; j < 16; j++) y[j] = 0;
    for (int k = 0; k < columns; k++) {
        for (int j = 0; j < 16; j++) y[j] += PLAIN(W[16 * k + j]) * x[k];
    }
#endif
}

/* y = W x, with W (rows, columns) in panels of 16 rows, and zeros below its last row. */
static void u_multiply(float *restrict y, const NUMBER *restrict W, SCALES const float *restrict x, int rows, int columns) {
    float panel[16];
    for (int i = 0; i < rows; i += 16) {
        u_panel(panel, W + i * columns, x, columns);
        for (int j = 0; j < 16 && i + j < rows; j++) y[i + j] = panel[j] SCALED;
    }
}
