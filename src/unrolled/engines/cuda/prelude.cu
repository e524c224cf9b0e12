/* Used by all CUDA text, after the definitions of LANES, WIDTH and DEPTH. `real` is float, or double if REAL_IS_DOUBLE. */

#ifdef __CUDACC_RTC__
#define EXPORT extern "C" __global__
typedef long long int64_t;
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

#ifdef REAL_IS_DOUBLE
typedef double real;
#define REAL(function) function
#else
typedef float real;
#define REAL(function) function##f
#endif

#define INLINE __device__ static __forceinline__

/* A block takes LANES sequences through all their steps. Each lane belongs to WIDTH threads, which share its entries, and
   DEPTH lanes are computed at the same time. */
#define OF_LANE threadIdx.x
#define FIRST_LANE threadIdx.y
#define ENTRIES(j, count) for (int j = OF_LANE; j < (count); j += WIDTH)
#define ROWS(k, count) ENTRIES(k, count)
#define ONE_BY_ONE(j, count) for (int j = 0; j < (count); j++)
#define OF_THREAD (LANES / DEPTH) /* lanes of a thread: DEPTH divides LANES */
#define LANES_OF_THREAD(q, r) for (int q = 0, r = FIRST_LANE; q < OF_THREAD; q++, r += DEPTH)
#define EACH_LANE for (int r = FIRST_LANE; r < live; r += DEPTH)
#define OF_THE_LANE(r)                                                                                                 \
    const int64_t length = lanes[3 * (r) + 1], of = lanes[3 * (r) + 2];                                                \
    const int64_t row = lanes[3 * (r)] + (REVERSE ? length - 1 - t : t);                                               \
    const int fresh = a.fresh && a.fresh[row]
#define ALONE if (OF_LANE == 0)
#define PARTS(count) ((count) < WIDTH ? (count) : WIDTH) /* threads that have entries */

/* Numbers between one lane and the next. */
#define ROW(n) (((n) + 3) / 4 * 4)
#define TOKEN_ROW 2

/* In functions that one thread computes, or each thread for itself. */
#define EACH
#define UNROLL
#define PRAGMA(text)
#define ADDING(...)
#define ROUNDED(product) (product) /* nothing is fused but where fma is written */
#define FMA(a, b, c) REAL(fma)(a, b, c)

INLINE real u_abs(real x) { return REAL(fabs)(x); }
INLINE real u_exp(real x) { return REAL(exp)(x); }
INLINE real u_tanh(real x) { return REAL(tanh)(x); }
INLINE real u_sigmoid(real x) { return 1 / (1 + REAL(exp)(-x)); }
INLINE real u_softplus(real x) { return (x < 0 ? 0 : x) + REAL(log1p)(REAL(exp)(-u_abs(x))); }

/* lanes: first row, length and number of each sequence, the longest first. fresh: by row, whether the sequence is reset
   there; null if none is. room: scratch memory of all blocks. p: see render.py. */
typedef struct {
    const int64_t *lanes;
    const unsigned char *fresh;
    char *room;
    int64_t count;
    void *p[POINTERS];
} arguments;
