#include "engine/train/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/* A schedule scales both: the rate as a share of the maximum, the momentum as it is. */
struct point {
    double rate, momentum;
};

static double cos_anneal(double start, double end, double p)
{
    return start + (1 + cos(M_PI * (1 - p))) * (end - start) / 2;
}

static struct point cos_between(struct point a, struct point b, double p)
{
    return (struct point){cos_anneal(a.rate, b.rate, p), cos_anneal(a.momentum, b.momentum, p)};
}

/* The cycle at share `q` of its rise, or of its fall. */
static struct point cycle_rise(const struct schedule *s, double q)
{
    return cos_between((struct point){1 / s->div, s->momentum[0]},
                       (struct point){1, s->momentum[1]}, q);
}

static struct point cycle_fall(const struct schedule *s, double q)
{
    return cos_between((struct point){1, s->momentum[1]},
                       (struct point){1 / s->div_final, s->momentum[2]}, q);
}

static struct point one_cycle_v1(const struct schedule *s, int64_t step)
{
    int64_t share = (int64_t)((double)s->steps * s->pct_start);
    int64_t rise = share > 1 ? share : 1;
    int64_t fall = s->steps - share > 1 ? s->steps - share : 1;
    if (step <= rise)
        return cycle_rise(s, (double)step / (double)rise);
    return cycle_fall(s, (double)(step - rise) / (double)fall);
}

static struct point one_cycle_v2(const struct schedule *s, int64_t step)
{
    double p = (double)step / (double)s->steps;
    if (p < s->pct_start)
        return cycle_rise(s, p / s->pct_start);
    return cycle_fall(s, (p - s->pct_start) / (1 - s->pct_start));
}

static struct point one_cycle(const struct schedule *s, int64_t step)
{
    return s->form == FORM_V1 ? one_cycle_v1(s, step) : one_cycle_v2(s, step);
}

static struct point flat(const struct schedule *s, int64_t step)
{
    (void)step;
    return (struct point){1, s->momentum[0]};
}

static struct point flat_cos(const struct schedule *s, int64_t step)
{
    double p = (double)step / (double)s->steps;
    double rate = 1;
    if (p >= s->pct_start)
        rate = cos_anneal(1, 1 / s->div_final, (p - s->pct_start) / (1 - s->pct_start));
    return (struct point){rate, s->momentum[0]};
}

static struct point sgdr(const struct schedule *s, int64_t step)
{
    int64_t length = s->cycle_len * s->steps_per_epoch;
    while (step >= length && length < s->steps) {
        step -= length;
        length *= s->cycle_mult;
    }
    return (struct point){cos_anneal(1, 0, (double)step / (double)length), s->momentum[0]};
}

static struct point triangular(const struct schedule *s, int64_t step)
{
    int64_t share = (int64_t)((double)s->steps * s->cut_frac);
    double cut = share > 1 ? (double)share : 1;
    double p = (double)step / cut;
    if (p >= 1)
        p = 1 - ((double)step - cut) / (cut * (1 / s->cut_frac - 1));
    p = p > 0 ? p : 0;
    return (struct point){(1 + p * (s->ratio - 1)) / s->ratio, s->momentum[0]};
}

/* Their defaults; momentum[0] alone counts for all but one_cycle (Adam's .9). */
#define CONSTANT_MOMENTUM .momentum = {.9, .9, .9}, .div = 1, .div_final = 1

static const struct {
    const char *name;
    struct point (*at)(const struct schedule *schedule, int64_t step);
    struct schedule defaults;
    double v1_pct_start, v1_div_final; /* where fastai v1 differs */
} kinds[] = {
    [SCHEDULE_ONE_CYCLE] =
        {"one_cycle",
         one_cycle,
         {.pct_start = .25, .div = 25, .div_final = 1e5, .momentum = {.95, .85, .95}},
         .v1_pct_start = .3,
         .v1_div_final = 25e4},
    [SCHEDULE_FLAT] = {"flat", flat, {CONSTANT_MOMENTUM}},
    [SCHEDULE_FLAT_COS] =
        {"flat_cos",
         flat_cos,
         {.pct_start = .75, .div = 1, .div_final = 1e5, .momentum = {.9, .9, .9}}},
    [SCHEDULE_SGDR] = {"sgdr", sgdr, {CONSTANT_MOMENTUM, .cycle_len = 1, .cycle_mult = 2}},
    [SCHEDULE_TRIANGULAR] = {"triangular",
                             triangular,
                             {CONSTANT_MOMENTUM, .cut_frac = .1, .ratio = 32}},
};

static enum status find_kind(const char *name, enum schedule_kind *kind, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *kind = (enum schedule_kind)i;
            return OK;
        }
    }
    return err_set(err, E_INVALID,
                   "There is no schedule \"%.40s\": use one_cycle, flat, flat_cos, sgdr or "
                   "triangular.",
                   name);
}

static enum status check(const struct schedule *s, struct err *err)
{
    if (!(s->pct_start >= 0 && s->pct_start < 1))
        return err_set(err, E_INVALID, "A schedule's pct_start is %g; it must be in [0, 1).",
                       s->pct_start);
    if (!(s->div >= 1 && s->div_final >= 1))
        return err_set(err, E_INVALID,
                       "A schedule's div and div_final are %g and %g; each must be at least 1.",
                       s->div, s->div_final);
    bool cycles = s->kind == SCHEDULE_SGDR, cut = s->kind == SCHEDULE_TRIANGULAR;
    if (cycles && (s->cycle_len < 1 || s->cycle_mult < 1))
        return err_set(err, E_INVALID,
                       "A schedule's cycle_len and cycle_mult are %lld and %lld; each must be at "
                       "least 1.",
                       (long long)s->cycle_len, (long long)s->cycle_mult);
    if (cut && !(s->cut_frac > 0 && s->cut_frac < 1 && s->ratio >= 1))
        return err_set(err, E_INVALID,
                       "A schedule's cut_frac and ratio are %g and %g; they must be in (0, 1) and "
                       "at least 1.",
                       s->cut_frac, s->ratio);
    for (size_t i = 0; i < ARRAY_LEN(s->momentum); i++)
        if (!(s->momentum[i] >= 0 && s->momentum[i] < 1))
            return err_set(err, E_INVALID, "A schedule's momentum is %g; it must be in [0, 1).",
                           s->momentum[i]);
    return OK;
}

/* A number for all three, or a list of three. */
static void parse_momentum(const struct json *json, double momentum[3])
{
    for (size_t i = 0; i < 3; i++) {
        const struct json *value = json_type(json) == JSON_ARRAY ? json_at(json, i) : json;
        momentum[i] = json_as_number(value, momentum[i]);
    }
}

static struct schedule defaults_of(enum schedule_kind kind, enum recipe_form form)
{
    struct schedule s = kinds[kind].defaults;
    s.kind = kind;
    s.form = form;
    s.steps = s.steps_per_epoch = 1;
    if (form == FORM_V1 && kinds[kind].v1_div_final > 0) {
        s.pct_start = kinds[kind].v1_pct_start;
        s.div_final = kinds[kind].v1_div_final;
    }
    return s;
}

enum status schedule_parse(const struct json *json, enum recipe_form form,
                           struct schedule *schedule, struct err *err)
{
    const char *name = json_as_string(json, json_string(json, "name", "one_cycle"));
    enum schedule_kind kind = SCHEDULE_ONE_CYCLE;
    enum status status = find_kind(name, &kind, err);
    if (status != OK)
        return status;
    const char *form_name = json_string(json, "form", form == FORM_V1 ? "v1" : "v2");
    form = strcmp(form_name, "v1") == 0 ? FORM_V1 : FORM_V2;
    struct schedule s = defaults_of(kind, form);
    s.pct_start = json_number(json, "pct_start", s.pct_start);
    s.div = json_number(json, "div", s.div);
    s.div_final = json_number(json, "div_final", s.div_final);
    s.cycle_len = json_integer(json, "cycle_len", s.cycle_len);
    s.cycle_mult = json_integer(json, "cycle_mult", s.cycle_mult);
    s.cut_frac = json_number(json, "cut_frac", s.cut_frac);
    s.ratio = json_number(json, "ratio", s.ratio);
    parse_momentum(json_get(json, "momentum"), s.momentum);
    if ((status = check(&s, err)) == OK)
        *schedule = s;
    return status;
}

double schedule_rate(const struct schedule *schedule, int64_t step)
{
    return kinds[schedule->kind].at(schedule, step).rate;
}

double schedule_momentum(const struct schedule *schedule, int64_t step)
{
    return kinds[schedule->kind].at(schedule, step).momentum;
}

static enum status bad_rate(struct err *err)
{
    return err_set(err, E_INVALID,
                   "A stage's lr must be a positive number, {\"slice\": [a, b]}, "
                   "{\"slice\": [null, b]} or {\"groups\": [one number per layer group]}.");
}

static bool is_rate(const struct json *value)
{
    double rate = json_as_number(value, NAN);
    return isfinite(rate) && rate > 0;
}

static enum status parse_slice(const struct json *slice, int n_groups, double *rates,
                               struct err *err)
{
    const struct json *low = json_at(slice, 0), *high = json_at(slice, 1);
    if (json_len(slice) != 2 || !is_rate(high) || (json_type(low) != JSON_NULL && !is_rate(low)))
        return bad_rate(err);
    double a = json_as_number(low, 0), b = json_as_number(high, 0);
    for (int i = 0; i < n_groups; i++) {
        if (i == n_groups - 1)
            rates[i] = b;
        else
            rates[i] = a > 0 ? a * pow(b / a, (double)i / (n_groups - 1)) : b / 10;
    }
    return OK;
}

static enum status parse_groups(const struct json *groups, int n_groups, double *rates,
                                struct err *err)
{
    if (json_len(groups) != (size_t)n_groups)
        return err_set(err, E_INVALID,
                       "A stage's lr lists %zu rates, but the network has %d layer groups.",
                       json_len(groups), n_groups);
    for (int i = 0; i < n_groups; i++) {
        rates[i] = json_as_number(json_at(groups, (size_t)i), NAN);
        if (!(isfinite(rates[i]) && rates[i] >= 0))
            return bad_rate(err);
    }
    return OK;
}

enum status schedule_parse_rates(const struct json *lr, int n_groups, double *rates,
                                 struct err *err)
{
    const struct json *slice = json_get(lr, "slice"), *groups = json_get(lr, "groups");
    if (json_type(slice) != JSON_NULL)
        return parse_slice(slice, n_groups, rates, err);
    if (json_type(groups) != JSON_NULL)
        return parse_groups(groups, n_groups, rates, err);
    if (!is_rate(lr))
        return bad_rate(err);
    for (int i = 0; i < n_groups; i++)
        rates[i] = json_as_number(lr, 0);
    return OK;
}
