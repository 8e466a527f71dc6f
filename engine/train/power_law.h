/* power_law.h -- error = a + b * n^-c, the shape that learning curves have (Hestness et al. 2017).
 *
 * Least squares on the errors themselves, within 0 <= a, 0 <= b, .05 <= c <= 2. For a given c the
 * best a and b are a line's, or lie on the border; c is searched on a fine grid and then by golden
 * section, so the answer depends on no starting point. */
#ifndef THAW_ENGINE_TRAIN_POWER_LAW_H
#define THAW_ENGINE_TRAIN_POWER_LAW_H

#define POWER_LAW_POINTS 4 /* fewer say nothing about three numbers */

struct power_law {
    double a, b, c;
};

/* n_points training-set sizes, all above 0, and the errors there. */
struct power_law power_law_fit(const double *n, const double *error, int n_points);

double power_law_error(const struct power_law *law, double n);

#endif
