/* finder.c -- see finder.h. */
#include "engine/train/finder.h"

#include <math.h>

#include "base/mem.h"

#define DIVERGED   4.0  /* times the best smoothed loss */
#define CUT_END    5    /* points left out at the end */
#define SLIDE_STEP 15   /* points between the ends of the sliding interval */
#define SLIDE_FLAT .005 /* slopes that differ by no more are equal */

void finder_init(struct finder *finder, const struct finder_options *options)
{
    size_t n = (size_t)options->steps;
    *finder = (struct finder){.options = *options, .best = INFINITY};
    finder->rates = mem_alloc(n * sizeof *finder->rates);
    finder->losses = mem_alloc(n * sizeof *finder->losses);
    finder->smoothed = mem_alloc(n * sizeof *finder->smoothed);
}

void finder_deinit(struct finder *finder)
{
    mem_free(finder->rates);
    mem_free(finder->losses);
    mem_free(finder->smoothed);
    *finder = (struct finder){0};
}

double finder_rate(const struct finder *finder)
{
    const struct finder_options *o = &finder->options;
    return o->start * pow(o->end / o->start, (double)finder->n / (double)o->steps);
}

bool finder_add(struct finder *finder, double loss)
{
    if (!isfinite(loss))
        return false;
    smooth_loss_add(&finder->average, loss);
    double smoothed = smooth_loss_value(&finder->average);
    finder->rates[finder->n] = finder_rate(finder);
    finder->losses[finder->n] = loss;
    finder->smoothed[finder->n] = smoothed;
    finder->n++;
    finder->best = fmin(finder->best, smoothed);
    return smoothed <= DIVERGED * finder->best && finder->n < finder->options.steps;
}

/* --- suggestions: each from n rates and losses, or NaN ---------------------------------------- */

/* lengths[i]: of the longest decreasing subsequence that ends at i. O(n^2), as is fastai's. */
static double valley(const double *rates, const double *losses, int64_t n)
{
    if (n < 2)
        return NAN;
    int64_t *lengths = mem_alloc((size_t)n * sizeof *lengths), end = 0;
    for (int64_t i = 0; i < n; i++) {
        lengths[i] = 1;
        for (int64_t k = 0; k < i; k++)
            if (losses[i] < losses[k] && lengths[i] < lengths[k] + 1)
                lengths[i] = lengths[k] + 1;
        if (lengths[i] > lengths[end])
            end = i;
    }
    int64_t len = lengths[end], at = end - len + len / 3 + len / 6;
    mem_free(lengths);
    return rates[at < 0 ? 0 : at];
}

static double steep(const double *rates, const double *losses, int64_t n)
{
    double least = INFINITY, rate = NAN;
    for (int64_t i = 0; i + 1 < n; i++) {
        double slope = (losses[i + 1] - losses[i]) / (log(rates[i + 1]) - log(rates[i]));
        if (slope < least) {
            least = slope;
            rate = rates[i];
        }
    }
    return rate;
}

static double minimum(const double *rates, const double *losses, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (losses[i] < losses[at])
            at = i;
    return n > 0 ? rates[at] / 10 : NAN;
}

/* numpy.gradient: central differences, one-sided at the ends. */
static double slope_at(const double *losses, int64_t n, int64_t i)
{
    if (i == 0)
        return losses[1] - losses[0];
    if (i == n - 1)
        return losses[n - 1] - losses[n - 2];
    return (losses[i + 1] - losses[i - 1]) / 2;
}

static double slide(const double *rates, const double *losses, int64_t n)
{
    int64_t right = n - 1, left = right - SLIDE_STEP;
    if (left < 0)
        return NAN;
    double rate = rates[left];
    while (left >= 0 && fabs(slope_at(losses, n, right) - slope_at(losses, n, left)) > SLIDE_FLAT) {
        rate = rates[left];
        left--;
        right--;
    }
    return rate;
}

struct finder_suggestions finder_suggest(const struct finder *finder)
{
    int64_t skip = finder->options.steps / 10, n = finder->n - CUT_END - skip;
    if (n <= 0)
        return (struct finder_suggestions){NAN, NAN, NAN, NAN};
    const double *rates = finder->rates + skip, *losses = finder->smoothed + skip;
    return (struct finder_suggestions){
        .valley = valley(rates, losses, n),
        .steep = steep(rates, losses, n),
        .minimum = minimum(rates, losses, n),
        .slide = slide(rates, losses, n),
    };
}

/* --- as JSON ---------------------------------------------------------------------------------- */

static void set_numbers(struct json *object, const char *key, const double *numbers, int64_t n)
{
    struct json *list = json_set_array(object, key);
    for (int64_t i = 0; i < n; i++)
        json_add_number(list, numbers[i]);
}

struct json *finder_json(const struct finder *finder)
{
    struct finder_suggestions suggested = finder_suggest(finder);
    struct json *json = json_new_object();
    set_numbers(json, "learning_rates", finder->rates, finder->n);
    set_numbers(json, "losses", finder->losses, finder->n);
    set_numbers(json, "smoothed", finder->smoothed, finder->n);
    struct json *suggestions = json_set_object(json, "suggestions");
    json_set_number(suggestions, "valley", suggested.valley);
    json_set_number(suggestions, "steep", suggested.steep);
    json_set_number(suggestions, "minimum", suggested.minimum);
    json_set_number(suggestions, "slide", suggested.slide);
    return json;
}
