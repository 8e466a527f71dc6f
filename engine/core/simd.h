/* simd.h -- our own loops in the widest vectors the machine has, chosen when the program starts.
 *
 * SIMD before a function makes gcc compile it several times and pick one at load time; the plain
 * version is the portable fallback. Such a function must hold the loop itself: an OpenMP region
 * inside it would be compiled once, for the oldest machine. So kernels work on a range of rows and
 * are called from the parallel region. -ffp-contract=off keeps all versions' roundings equal. */
#ifndef THAW_ENGINE_CORE_SIMD_H
#define THAW_ENGINE_CORE_SIMD_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SIMD
#endif

/* This thread's share [*begin, *end) of n items: contiguous, the same for the same thread count. */
void simd_share(int64_t n, int64_t *begin, int64_t *end);

#endif
