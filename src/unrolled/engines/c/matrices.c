/* Matrices that differ from row to row of the batch: M rows and N columns, one after another. Part of each compiled pass
   that has such matrices, in C and CUDA. Sums are in the order of the rows, or as u_sum adds. */

/* Loops over independent entries of a row, and over independent rows or columns. In CUDA, threads share them. */
#ifndef ENTRIES
#define ENTRIES(j, count) EACH for (int j = 0; j < (count); j++)
#define ROWS(k, count) for (int k = 0; k < (count); k++)
#endif

/* y = A x */
INLINE void u_product(real *y, const real *A, const real *x, const int M, const int N) {
    ROWS(k, M) {
        real total = 0;
        ADDING(total) for (int j = 0; j < N; j++) total += A[k * N + j] * x[j];
        y[k] = total;
    }
}

/* y = transpose of A, times x */
INLINE void u_turned_product(real *y, const real *A, const real *x, const int M, const int N) {
    ENTRIES(j, N) y[j] = A[j] * x[0];
    for (int k = 1; k < M; k++) {
        const real factor = x[k];
        ENTRIES(j, N) y[j] += A[k * N + j] * factor;
    }
}

/* Y = A B, (M, N), where entry (i, k) of A is A[i a + k b], and entry (k, j) of B is B[k c + j d] */
INLINE void u_matrix_product(real *Y, const real *A, const int a, const int b, const real *B, const int c, const int d,
                             const int M, const int K, const int N) {
    for (int i = 0; i < M; i++) {
        ENTRIES(j, N) Y[i * N + j] = A[i * a] * B[j * d];
        for (int k = 1; k < K; k++) {
            const real factor = A[i * a + k * b];
            ENTRIES(j, N) Y[i * N + j] += factor * B[k * c + j * d];
        }
    }
}

/* Y = transpose of A */
INLINE void u_transpose(real *Y, const real *A, const int M, const int N) {
    for (int k = 0; k < M; k++) {
        ENTRIES(j, N) Y[j * M + k] = A[k * N + j];
    }
}

#define EVERY_ROW(name)                                                                                                \
    INLINE void u_##name##_over_1(real *y, const real *A, const int M, const int N) {                                  \
        ROWS(k, M) y[k] = u_##name(A + k * N, N);                                                                      \
    }
EVERY_ROW(sum)
EVERY_ROW(mean)
EVERY_ROW(max)
EVERY_ROW(min)
EVERY_ROW(logsumexp)

INLINE void u_softmax_over_1(real *Y, const real *A, const int M, const int N) {
    ROWS(k, M) u_softmax(Y + k * N, A + k * N, N);
}

#define EVERY_COLUMN(name, combined)                                                                                   \
    INLINE void u_##name##_over_0(real *y, const real *A, const int M, const int N) {                                  \
        ENTRIES(j, N) y[j] = A[j];                                                                                     \
        for (int k = 1; k < M; k++) {                                                                                  \
            ENTRIES(j, N) {                                                                                            \
                const real a = y[j], b = A[k * N + j];                                                                 \
                y[j] = combined;                                                                                       \
            }                                                                                                          \
        }                                                                                                              \
    }
EVERY_COLUMN(sum, a + b)
EVERY_COLUMN(max, b > a || b != b ? b : a)
EVERY_COLUMN(min, b < a || b != b ? b : a)

INLINE void u_mean_over_0(real *y, const real *A, const int M, const int N) {
    u_sum_over_0(y, A, M, N);
    ENTRIES(j, N) y[j] /= M;
}

INLINE void u_logsumexp_over_0(real *y, const real *A, const int M, const int N) {
    ROWS(j, N) {
        real top = A[j], total = 0;
        for (int k = 1; k < M; k++) top = u_maximum(top, A[k * N + j]);
        const real shift = top - top == 0 ? top : 0;
        for (int k = 0; k < M; k++) total += u_exp(A[k * N + j] - shift);
        y[j] = u_log(total) + shift;
    }
}

INLINE void u_softmax_over_0(real *Y, const real *A, const int M, const int N) {
    ROWS(j, N) {
        real top = A[j], total = 0;
        for (int k = 1; k < M; k++) top = u_maximum(top, A[k * N + j]);
        for (int k = 0; k < M; k++) total += Y[k * N + j] = u_exp(A[k * N + j] - top);
        for (int k = 0; k < M; k++) Y[k * N + j] /= total;
    }
}
