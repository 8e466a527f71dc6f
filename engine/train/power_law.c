#include "engine/train/power_law.h"

#include <math.h>

#define LEAST_C 0.05
#define MOST_C  2.0
#define GRID    64
#define GOLDEN  0.6180339887498949
#define ROUNDS  48 /* of golden section: the interval shrinks by 1e10 */

/* The data as fits see them: sizes as shares of the largest, so that no power overflows. */
struct points {
    const double *n, *error;
    int count;
    double largest;
};

static double squares(const struct points *points, double a, double b, double c)
{
    double sum = 0;
    for (int i = 0; i < points->count; i++) {
        double miss = a + b * pow(points->n[i] / points->largest, -c) - points->error[i];
        sum += miss * miss;
    }
    return sum;
}

/* The best a and b for this c; returns their squares. Where the line's best lies outside, the best
 * is on the border a = 0 or b = 0. */
static double best_line(const struct points *points, double c, double *a, double *b)
{
    double x = 0, y = 0, xx = 0, xy = 0, count = points->count;
    for (int i = 0; i < points->count; i++) {
        double power = pow(points->n[i] / points->largest, -c);
        x += power;
        y += points->error[i];
        xx += power * power;
        xy += power * points->error[i];
    }
    double spread = xx - x * x / count;
    *b = spread > 0 ? (xy - x * y / count) / spread : 0;
    *a = (y - *b * x) / count;
    if (*a >= 0 && *b >= 0)
        return squares(points, *a, *b, c);
    double flat = squares(points, y / count, 0, c), steep = squares(points, 0, xy / xx, c);
    *a = flat <= steep ? y / count : 0;
    *b = flat <= steep ? 0 : xy / xx;
    return fmin(flat, steep);
}

static double squares_at(const struct points *points, double c)
{
    double a, b;
    return best_line(points, c, &a, &b);
}

static double grid_c(int i)
{
    return LEAST_C * pow(MOST_C / LEAST_C, (double)i / (GRID - 1));
}

static double search_c(const struct points *points)
{
    int best = 0;
    double least = INFINITY;
    for (int i = 0; i < GRID; i++) {
        double sum = squares_at(points, grid_c(i));
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    double low = grid_c(best > 0 ? best - 1 : 0), high = grid_c(best < GRID - 1 ? best + 1 : best);
    for (int i = 0; i < ROUNDS; i++) {
        double left = high - GOLDEN * (high - low), right = low + GOLDEN * (high - low);
        if (squares_at(points, left) <= squares_at(points, right))
            high = right;
        else
            low = left;
    }
    double c = (low + high) / 2;
    return squares_at(points, c) <= least ? c : grid_c(best);
}

struct power_law power_law_fit(const double *n, const double *error, int n_points)
{
    struct points points = {.n = n, .error = error, .count = n_points};
    for (int i = 0; i < n_points; i++)
        points.largest = fmax(points.largest, n[i]);
    struct power_law law = {.c = search_c(&points)};
    best_line(&points, law.c, &law.a, &law.b);
    law.b *= pow(points.largest, law.c);
    return law;
}

double power_law_error(const struct power_law *law, double n)
{
    return law->a + law->b * pow(n, -law->c);
}
