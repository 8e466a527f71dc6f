#include "engine/train/metrics.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define BETA .98

void smooth_loss_add(struct smooth_loss *loss, double value)
{
    loss->average = BETA * loss->average + (1 - BETA) * value;
    loss->count++;
}

double smooth_loss_value(const struct smooth_loss *loss)
{
    if (loss->count == 0)
        return NAN;
    return loss->average / (1 - pow(BETA, (double)loss->count));
}

struct scores scores_unknown(void)
{
    return (struct scores){NAN, NAN, NAN, NAN, NAN};
}

struct scores scores_from(const struct smooth_loss *train, const struct evaluation *valid)
{
    struct scores scores = scores_unknown();
    scores.train_loss = smooth_loss_value(train);
    if (valid->rows > 0) {
        double rows = (double)valid->rows;
        scores.valid_loss = loss_sum_mean(&valid->loss);
        scores.accuracy = (double)valid->correct / rows;
        scores.error_rate = (double)(valid->rows - valid->correct) / rows;
        if (valid->of_words)
            scores.perplexity = exp(scores.valid_loss);
    }
    return scores;
}

static const struct metric {
    const char *name;
    size_t offset;
    bool more_is_better;
    bool of_words; /* said where it is known alone */
} metrics[] = {
    {"train_loss", offsetof(struct scores, train_loss), false, false},
    {"valid_loss", offsetof(struct scores, valid_loss), false, false},
    {"accuracy", offsetof(struct scores, accuracy), true, false},
    {"error_rate", offsetof(struct scores, error_rate), false, false},
    {"perplexity", offsetof(struct scores, perplexity), false, true},
};

static const struct metric *find_metric(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

static double *field(struct scores *scores, const struct metric *metric)
{
    return (double *)(void *)((char *)scores + metric->offset);
}

static double value_of(const struct scores *scores, const struct metric *metric)
{
    struct scores copy = *scores;
    return *field(&copy, metric);
}

void scores_set(const struct scores *scores, struct json *object)
{
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
        double value = value_of(scores, &metrics[i]);
        if (!metrics[i].of_words || !isnan(value))
            json_set_number(object, metrics[i].name, value);
    }
}

struct scores scores_parse(const struct json *object)
{
    struct scores scores = scores_unknown();
    for (size_t i = 0; i < ARRAY_LEN(metrics); i++)
        *field(&scores, &metrics[i]) = json_number(object, metrics[i].name, NAN);
    return scores;
}

bool scores_knows(const char *name)
{
    return find_metric(name) != NULL;
}

double scores_get(const struct scores *scores, const char *name)
{
    const struct metric *metric = find_metric(name);
    return metric ? value_of(scores, metric) : NAN;
}

bool scores_is_better_by(const char *name, double a, double b, double more_than)
{
    const struct metric *metric = find_metric(name);
    if (!metric || isnan(a))
        return false;
    return isnan(b) || (metric->more_is_better ? a - more_than > b : a + more_than < b);
}

bool scores_is_better(const char *name, double a, double b)
{
    return scores_is_better_by(name, a, b, 0);
}
