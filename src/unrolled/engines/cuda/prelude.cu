/* Used by all CUDA text, after the definition of the shape of a launch (shape.py). `real` is float, or double if
   REAL_IS_DOUBLE. */

#ifdef __CUDACC_RTC__
#define EXPORT extern "C" __global__
typedef long long int64_t;
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#define SPIN __nanosleep(20)
#define SOME_AT_ONCE _Pragma("unroll 4") /* NVRTC would unroll a loop of known size whole, and take seconds */
#endif

#ifdef REAL_IS_DOUBLE
typedef double real;
#define REAL(function) function
#else
typedef float real;
#define REAL(function) function##f
#endif

#define INLINE __device__ static __forceinline__
#define CALLED __device__ static __noinline__ /* otherwise NVRTC unrolls loops over whole matrices, and takes minutes */
#ifdef __CUDACC_RTC__
extern __shared__ __align__(16) char shared[];
#endif

/* The threads of a launch. Those with one threadIdx.y share the entries of a lane, THREADS of each of BLOCKS blocks; DEPTH
   lanes are computed at the same time. In a tile, a block takes LANES sequences, and BLOCKS is 1. In a GRID, all blocks
   take all sequences, and neighbouring entries belong to different blocks. */
#define WIDTH (THREADS * BLOCKS)
#define FIRST_LANE ((int)threadIdx.y)
#ifdef GRID
#define OF_BLOCK ((int)blockIdx.x)
#define WAIT wait_for_all(a.arrived)
#define SEQUENCES                                                                                                      \
    const int64_t *const lanes = a.lanes, padded = (a.count + LANES - 1) / LANES * LANES;                              \
    int64_t live = a.count
#define EACH_GROUP(base) for (int64_t base = 0; base < live; base += LANES)
#else
#define OF_BLOCK 0
#define WAIT __syncthreads()
#define SEQUENCES                                                                                                      \
    const int64_t first = (int64_t)blockIdx.x * LANES, *const lanes = a.lanes + 3 * first;                             \
    int64_t live = a.count - first < LANES ? a.count - first : LANES
#define EACH_GROUP(base) for (int64_t base = 0; base < 1; base++)
#endif
#define OF_LANE ((int)threadIdx.x * BLOCKS + OF_BLOCK)
#define ENTRIES(j, count) for (int j = OF_LANE; j < (count); j += WIDTH)
#define ROWS(k, count) ENTRIES(k, count)
#define ONE_BY_ONE(j, count) for (int j = 0; j < (count); j++)
#define OF_THREAD (LANES / DEPTH) /* lanes of a thread: DEPTH divides LANES */
#define LANES_OF_THREAD(q, r) for (int64_t q = 0, r = base + FIRST_LANE; q < OF_THREAD; q++, r += DEPTH)
#define EACH_LANE for (int64_t r = FIRST_LANE; r < live; r += DEPTH)
#define OF_THE_LANE(r)                                                                                                 \
    const int64_t length = lanes[3 * (r) + 1], of = lanes[3 * (r) + 2];                                                \
    const int64_t row = lanes[3 * (r)] + (REVERSE ? length - 1 - t : t);                                               \
    const int fresh = a.fresh && a.fresh[row]
#define ALONE if (OF_LANE == 0)
#define PARTS(count) ((count) < WIDTH ? (count) : WIDTH) /* threads that have entries */

/* Entry (j, k) of a matrix that is stored column by column. A block stages the rows of its own threads. */
#define WEIGHT(matrix, rows) matrix[(int64_t)k * (rows) + j]
#define ROWS_OF_BLOCK(rows) (((rows) + BLOCKS - 1) / BLOCKS)
#define STAGED(matrix, rows) matrix##_staged[k * ROWS_OF_BLOCK(rows) + j / BLOCKS]
#define STAGE(matrix, rows, columns)                                                                                   \
    for (int n = threadIdx.y * THREADS + threadIdx.x; n < ROWS_OF_BLOCK(rows) * (columns); n += THREADS * DEPTH) {     \
        const int k = n / ROWS_OF_BLOCK(rows), j = n % ROWS_OF_BLOCK(rows) * BLOCKS + OF_BLOCK;                        \
        if (j < (rows)) matrix##_staged[n] = WEIGHT(matrix, rows);                                                     \
    }

/* Numbers between one lane and the next. */
#define ROW(n) (((n) + 3) / 4 * 4)
#define TOKEN_ROW 2

/* In functions that one thread computes, or each thread for itself. */
#define EACH
#define UNROLL
#define PRAGMA(text)
#define ADDING(...) SOME_AT_ONCE
#define ROUNDED(product) (product) /* nothing is fused but where fma is written */
#define FMA(a, b, c) REAL(fma)(a, b, c)

INLINE real u_abs(real x) { return REAL(fabs)(x); }
INLINE real u_exp(real x) { return REAL(exp)(x); }
INLINE real u_tanh(real x) { return REAL(tanh)(x); }
INLINE real u_sigmoid(real x) { return 1 / (1 + REAL(exp)(-x)); }
INLINE real u_softplus(real x) { return (x < 0 ? 0 : x) + REAL(log1p)(REAL(exp)(-u_abs(x))); }

/* lanes: first row, length and number of each sequence, the longest first. fresh: by row, whether the sequence is reset
   there; null if none is. room: scratch memory. arrived: of a grid, how often blocks have arrived at a barrier; zero at first. p: see
   render.py. */
typedef struct {
    const int64_t *lanes;
    const unsigned char *fresh;
    char *room;
    unsigned long long *arrived;
    int64_t count;
    void *p[POINTERS];
} arguments;

#ifdef GRID
/* All threads of all blocks wait for each other. What they have written is then visible to all. */
INLINE void wait_for_all(unsigned long long *arrived) {
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        __threadfence();
        const unsigned long long turn = atomicAdd(arrived, 1ull) / BLOCKS;
        while (*(volatile unsigned long long *)arrived < (turn + 1) * BLOCKS) SPIN;
        __threadfence();
    }
    __syncthreads();
}
#endif
