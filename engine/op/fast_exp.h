/* fast_exp.h -- loops over the row of a softmax, to be inlined into SIMD functions.
 *
 * exp as Cephes' expf: x = n ln 2 + r, a polynomial in r, times 2^n; within 2 units in the last
 * place, 0 below -87.3, no number for no number. Sums and maxima go in LANES lanes, whatever the
 * machine's vectors hold, so that every machine finds the same. */
#ifndef THAW_ENGINE_OP_FAST_EXP_H
#define THAW_ENGINE_OP_FAST_EXP_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES     16
#define EXP_BLOCK 1024 /* floats that are summed in single precision */

/* exp(x) for x <= 0. */
static inline __attribute__((always_inline)) float fast_exp(float x)
{
    const float magic = 12582912.f; /* 1.5 * 2^23: adding it rounds to an integer */
    float in = x < -87.3f ? -87.3f : x;
    float n = (in * 1.44269504f + magic) - magic;
    float r = in - n * 0.693359375f + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.f;
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x < -87.3f ? 0.f : y * power;
}

/* row += bias; the largest of it. */
static inline __attribute__((always_inline)) float add_and_max(float *row, const float *bias,
                                                               int64_t n)
{
    float lanes[LANES], top;
    int64_t i = 0;
    for (int k = 0; k < LANES; k++)
        lanes[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float value = row[i + k] + bias[i + k];
            row[i + k] = value;
            lanes[k] = value > lanes[k] ? value : lanes[k];
        }
    top = lanes[0];
    for (int k = 1; k < LANES; k++)
        top = lanes[k] > top ? lanes[k] : top;
    for (; i < n; i++) {
        row[i] += bias[i];
        top = row[i] > top ? row[i] : top;
    }
    return top;
}

/* row = exp(row - top), and the sum. */
static inline __attribute__((always_inline)) double exp_and_sum(float *row, float top, int64_t n)
{
    double sum = 0;
    for (int64_t begin = 0; begin < n; begin += EXP_BLOCK) {
        int64_t end = begin + EXP_BLOCK < n ? begin + EXP_BLOCK : n, i = begin;
        float lanes[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; k++) {
                row[i + k] = fast_exp(row[i + k] - top);
                lanes[k] += row[i + k];
            }
        for (; i < end; i++) {
            row[i] = fast_exp(row[i] - top);
            lanes[0] += row[i];
        }
        for (int k = 0; k < LANES; k++)
            sum += (double)lanes[k];
    }
    return sum;
}

#endif
