/* simd.h -- SIMD (base/simd.h) and how a parallel region shares out the rows of such a kernel. */
#ifndef THAW_ENGINE_CORE_SIMD_H
#define THAW_ENGINE_CORE_SIMD_H

#include <stdint.h>

#include "base/simd.h"

/* This thread's share [*begin, *end) of n items: contiguous, the same for the same thread count. */
void simd_share(int64_t n, int64_t *begin, int64_t *end);

#endif
