/* The compiler's vectors, as wide as the machine's. Without them (not GCC or Clang), one number at a time. */
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#if defined(__GNUC__)
typedef float u_vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#endif
