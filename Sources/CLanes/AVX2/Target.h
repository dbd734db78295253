// What the code for AVX2 has in common.
#ifndef AVX2_TARGET_H
#define AVX2_TARGET_H

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,bmi2")))
#define INLINE TARGET __attribute__((always_inline)) static inline
#define COLD TARGET __attribute__((noinline)) static
#define UNROLL _Pragma("clang loop unroll(full)")

typedef __m256i vector;

#endif
