#include "engine/core/simd.h"

#include <omp.h>

void simd_share(int64_t n, int64_t *begin, int64_t *end)
{
    int64_t threads = omp_get_num_threads(), self = omp_get_thread_num();
    *begin = n * self / threads;
    *end = n * (self + 1) / threads;
}
