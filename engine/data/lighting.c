/* lighting.c -- see lighting.h. The C library's logarithm and exponential do not vectorise, so the
 * loop has its own: log2 and exp2 by splitting off the float's exponent and a polynomial for the
 * rest (Cephes' logf and exp2f), right to about 1e-7. */
#include "engine/data/lighting.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/simd.h"

#define CLAMP 1e-7f

bool lighting_is_plain(const struct augment *augment)
{
    return augment->brightness == 0.5 && augment->contrast == 1;
}

static inline int32_t bits_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Natural, of a positive normal number. */
static inline float logarithm(float x)
{
    /* x = m 2^e with m in [sqrt(1/2), sqrt(2)): 0x3f3504f3 is sqrt(1/2). */
    int32_t offset = bits_of(x) - 0x3f3504f3;
    int32_t exponent = offset >> 23;
    float m = float_of((offset & 0x7fffff) + 0x3f3504f3) - 1, z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float e = (float)exponent; /* ln 2 in two parts, the first exact */
    return e * 0.693359375f + (m - 0.5f * z + (m * z * p + e * -2.12194440e-4f));
}

/* 2^x; x is held within the exponents of a float. */
static inline float power_of_two(float x)
{
    x = x < -126 ? -126 : x > 126 ? 126 : x;
    float whole = floorf(x + 0.5f), t = x - whole;
    float p = 1.535336188319500e-4f;
    p = p * t + 1.339887440266574e-3f;
    p = p * t + 9.618437357674640e-3f;
    p = p * t + 5.550332471162809e-2f;
    p = p * t + 2.402264791363012e-1f;
    p = p * t + 6.931472028550421e-1f;
    return (p * t + 1) * float_of(((int32_t)whole + 127) << 23);
}

SIMD static void apply(float *values, size_t n, float scale, float shift)
{
    for (size_t i = 0; i < n; i++) {
        float v = values[i];
        v = v < CLAMP ? CLAMP : v;
        v = v > 1 - CLAMP ? 1 - CLAMP : v;
        values[i] = 1 / (1 + power_of_two(scale * logarithm((1 - v) / v) + shift));
    }
}

void lighting_apply(const struct augment *augment, float *values, size_t n)
{
    /* e^(-contrast (logit v + logit b)) = 2^(scale ln((1 - v) / v) + shift) */
    double b = fmin(fmax(augment->brightness, CLAMP), 1 - CLAMP);
    double scale = augment->contrast / log(2);
    apply(values, n, (float)scale, (float)(scale * log(1 / b - 1)));
}
