/* rng.c -- Philox4x32-10: ten rounds of multiply and xor over a 128-bit counter.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#include "base/rng.h"

#include <math.h>

#include "base/simd.h"

#define LANES 16 /* blocks drawn at once by rng_floats: a loop over them becomes vectors */

static uint64_t mix(uint64_t x) /* the finalizer of splitmix64: a bijection that stirs well */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_text(const char *text) /* FNV-1a, 64 bits */
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

struct rng rng_stream(const char *purpose, uint64_t seed, uint64_t a, uint64_t b)
{
    /* (a, b) below 2^32 are the counter's upper half as they are: two items never share a stream.
     * What does not fit goes into the key. */
    uint64_t high = (a & 0xffffffff00000000u) | (b >> 32);
    uint64_t key = mix(hash_text(purpose) ^ mix(seed));
    if (high)
        key = mix(key ^ mix(high));
    return (struct rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .stream = {a << 32 | (b & 0xffffffffu)},
        .used = 4,
    };
}

/* One block of four words. Written so that a loop over blocks becomes vectors. */
static inline __attribute__((always_inline)) void philox(const uint32_t key[2], uint64_t low,
                                                         uint64_t high, uint32_t out[4])
{
    uint32_t a = (uint32_t)low, b = (uint32_t)(low >> 32), c = (uint32_t)high,
             d = (uint32_t)(high >> 32), k0 = key[0], k1 = key[1];
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * a, p1 = (uint64_t)0xcd9e8d57u * c;
        a = (uint32_t)(p1 >> 32) ^ b ^ k0;
        b = (uint32_t)p1;
        c = (uint32_t)(p0 >> 32) ^ d ^ k1;
        d = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

uint32_t rng_u32(struct rng *rng)
{
    if (rng->used == 4) {
        philox(rng->key, rng->counter++, rng->stream[0], rng->block);
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t low = rng_u32(rng);
    return (uint64_t)rng_u32(rng) << 32 | low;
}

uint32_t rng_below(struct rng *rng, uint32_t n)
{
    /* Lemire 2019: the upper half of a product, redrawn where it would be biased. */
    uint64_t product = (uint64_t)rng_u32(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t biased = -n % n;
        while ((uint32_t)product < biased)
            product = (uint64_t)rng_u32(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

static float unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

float rng_float(struct rng *rng)
{
    return unit(rng_u32(rng));
}

/* The next LANES blocks. */
SIMD static void draw_blocks(const struct rng *rng, float *restrict to)
{
    for (size_t i = 0; i < LANES; i++) {
        uint32_t block[4];
        philox(rng->key, rng->counter + i, rng->stream[0], block);
        to[4 * i] = unit(block[0]);
        to[4 * i + 1] = unit(block[1]);
        to[4 * i + 2] = unit(block[2]);
        to[4 * i + 3] = unit(block[3]);
    }
}

void rng_floats(struct rng *rng, float *to, size_t n)
{
    for (; n && rng->used < 4; n--)
        *to++ = rng_float(rng);
    for (; n >= 4 * LANES; n -= 4 * LANES, to += 4 * LANES) {
        draw_blocks(rng, to);
        rng->counter += LANES;
    }
    for (; n; n--)
        *to++ = rng_float(rng);
}

double rng_uniform(struct rng *rng, double low, double high)
{
    return low + (high - low) * ((double)(rng_u64(rng) >> 11) * 0x1p-53);
}

double rng_normal(struct rng *rng)
{
    double u = ((double)(rng_u64(rng) >> 11) + 1) * 0x1p-53; /* (0,1]: its logarithm is finite */
    double angle = 2 * 3.14159265358979323846 * rng_uniform(rng, 0, 1);
    return sqrt(-2 * log(u)) * cos(angle);
}

void rng_shuffle(struct rng *rng, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(rng, (uint32_t)i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[k];
        items[k] = item;
    }
}
