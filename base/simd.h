/* simd.h -- loops of our own in the widest vectors the machine has, chosen when a program starts.
 *
 * SIMD before a function makes gcc compile it several times and pick one at load time; the plain
 * version is the portable fallback. Such a function must hold the loop itself: an OpenMP region
 * inside it would be compiled once, for the oldest machine. So kernels work on a range of rows and
 * are called from the parallel region. -ffp-contract=off (part of -std=c11) keeps all versions'
 * roundings equal. */
#ifndef THAW_BASE_SIMD_H
#define THAW_BASE_SIMD_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SIMD
#endif

#endif
