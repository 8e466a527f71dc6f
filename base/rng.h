/* rng.h -- counter-based random numbers (Philox4x32-10, Salmon et al. 2011).
 *
 * A stream is a pure function of its name and numbers: rng("augment", seed, epoch, index) yields
 * the same values in whatever order, on whatever thread it is asked. There is no global state, so a
 * run that is killed and resumed draws what it would have drawn. */
#ifndef THAW_BASE_RNG_H
#define THAW_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint32_t key[2];
    uint64_t stream[1]; /* upper half of the counter */
    uint64_t counter;   /* lower half: blocks drawn so far */
    uint32_t block[4];
    int used; /* words of `block` already handed out */
};

/* The stream `purpose` of `seed`, for the item (a, b); unused numbers are 0. */
struct rng rng_stream(const char *purpose, uint64_t seed, uint64_t a, uint64_t b);

uint32_t rng_u32(struct rng *rng);
uint64_t rng_u64(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t n); /* uniform in 0..n-1, without bias; n > 0 */
float rng_float(struct rng *rng);                /* uniform in [0,1), 24 bits */
/* The next n numbers of rng_float, many at a time. */
void rng_floats(struct rng *rng, float *to, size_t n);
double rng_uniform(struct rng *rng, double low, double high);
double rng_normal(struct rng *rng);                           /* mean 0, variance 1 (Box-Muller) */
void rng_shuffle(struct rng *rng, uint32_t *items, size_t n); /* Fisher-Yates */

#endif
