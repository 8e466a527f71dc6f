#include "engine/train/logistic.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define MEMORY         10   /* pairs that L-BFGS keeps */
#define SMALL_GRADIENT 1e-9 /* of the mean loss: there it ends */
#define SUFFICIENT     1e-4 /* decrease of a step, of what the slope promised */
#define MAX_HALVINGS   40

struct problem {
    const struct sparse_rows *rows;
    const uint32_t *labels;
    uint32_t n_classes, n_outputs; /* vectors of weights: 1 for two classes */
    double penalty;                /* 1 / (C n): the mean loss is minimised, not the sum */
    size_t n;                      /* weights and biases */
    double *scores;                /* owned; n_classes */
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* to += scale * from */
static void add(double *to, double scale, const double *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += scale * from[i];
}

static double largest(const double *values, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(values[i]));
    return most;
}

/* --- the function ----------------------------------------------------------------------------- */

/* scores[n_classes] of a row: of two classes, 0 and what the one vector says. */
static void score(const double *weights, uint32_t n_outputs, const struct sparse_rows *rows,
                  uint32_t row, uint32_t n_columns, double *scores)
{
    double *out = n_outputs == 1 ? scores + 1 : scores;
    scores[0] = 0;
    for (uint32_t k = 0; k < n_outputs; k++) {
        const double *w = weights + (size_t)k * n_columns;
        double sum = weights[(size_t)n_outputs * n_columns + k];
        for (size_t i = rows->begins[row]; i < rows->begins[row + 1]; i++)
            sum += rows->columns[i] < n_columns ? w[rows->columns[i]] * rows->values[i] : 0;
        out[k] = sum;
    }
}

/* Scores become probabilities; returns the cross-entropy. */
static double soften(double *scores, uint32_t n, uint32_t label)
{
    double most = scores[0], wanted = scores[label];
    for (uint32_t k = 1; k < n; k++)
        most = fmax(most, scores[k]);
    double sum = scores[0] = exp(scores[0] - most);
    for (uint32_t k = 1; k < n; k++)
        sum += scores[k] = exp(scores[k] - most);
    for (uint32_t k = 0; k < n; k++)
        scores[k] /= sum;
    return log(sum) + most - wanted;
}

/* The value at `weights`, and its gradient. */
static double evaluate(const struct problem *problem, const double *weights, double *gradient)
{
    const struct sparse_rows *rows = problem->rows;
    uint32_t n_columns = rows->n_columns, first = problem->n_classes - problem->n_outputs;
    size_t n_weights = (size_t)problem->n_outputs * n_columns;
    double loss = 0, share = 1.0 / rows->n_rows;
    memset(gradient, 0, problem->n * sizeof *gradient);
    for (uint32_t row = 0; row < rows->n_rows; row++) {
        score(weights, problem->n_outputs, rows, row, n_columns, problem->scores);
        loss += soften(problem->scores, problem->n_classes, problem->labels[row]);
        for (uint32_t k = 0; k < problem->n_outputs; k++) {
            double *g = gradient + (size_t)k * n_columns;
            double miss = problem->scores[k + first] - (problem->labels[row] == k + first);
            for (size_t i = rows->begins[row]; i < rows->begins[row + 1]; i++)
                g[rows->columns[i]] += share * miss * rows->values[i];
            gradient[n_weights + k] += share * miss;
        }
    }
    add(gradient, problem->penalty, weights, n_weights);
    return loss * share + problem->penalty / 2 * dot(weights, weights, n_weights);
}

/* --- L-BFGS ----------------------------------------------------------------------------------- */

struct search {
    size_t n;
    double *steps[MEMORY], *changes[MEMORY]; /* owned; of the weights, of the gradient */
    double products[MEMORY];                 /* of the two */
    int kept, next;
    double *weights, *gradient, *direction, *tried, *tried_gradient; /* owned */
};

static enum status search_init(struct search *search, size_t n, struct err *err)
{
    double **vectors[] = {&search->weights, &search->gradient, &search->direction, &search->tried,
                          &search->tried_gradient};
    void *block;
    *search = (struct search){.n = n};
    for (size_t i = 0; i < ARRAY_LEN(vectors) + 2 * MEMORY; i++) {
        if (mem_try_aligned(n, sizeof(double), "the baseline", &block, err) != OK)
            return err->status;
        if (i < ARRAY_LEN(vectors))
            *vectors[i] = block;
        else if (i % 2)
            search->steps[(i - ARRAY_LEN(vectors)) / 2] = block;
        else
            search->changes[(i - ARRAY_LEN(vectors)) / 2] = block;
    }
    return OK;
}

static void search_deinit(struct search *search)
{
    for (int i = 0; i < MEMORY; i++) {
        mem_free(search->steps[i]);
        mem_free(search->changes[i]);
    }
    mem_free(search->weights);
    mem_free(search->gradient);
    mem_free(search->direction);
    mem_free(search->tried);
    mem_free(search->tried_gradient);
}

/* Two-loop recursion: the direction of descent from the pairs kept. */
static void find_direction(struct search *search)
{
    double factors[MEMORY] = {0}, *d = search->direction;
    for (size_t i = 0; i < search->n; i++)
        d[i] = -search->gradient[i];
    for (int back = 1; back <= search->kept; back++) {
        int i = (search->next - back + MEMORY) % MEMORY;
        factors[i] = dot(search->steps[i], d, search->n) / search->products[i];
        add(d, -factors[i], search->changes[i], search->n);
    }
    if (search->kept > 0) {
        int last = (search->next - 1 + MEMORY) % MEMORY;
        double scale =
            search->products[last] / dot(search->changes[last], search->changes[last], search->n);
        for (size_t i = 0; i < search->n; i++)
            d[i] *= scale;
    }
    for (int back = search->kept; back >= 1; back--) {
        int i = (search->next - back + MEMORY) % MEMORY;
        double factor = dot(search->changes[i], d, search->n) / search->products[i];
        add(d, factors[i] - factor, search->steps[i], search->n);
    }
}

static void keep_pair(struct search *search)
{
    double *step = search->steps[search->next], *change = search->changes[search->next];
    for (size_t i = 0; i < search->n; i++) {
        step[i] = search->tried[i] - search->weights[i];
        change[i] = search->tried_gradient[i] - search->gradient[i];
    }
    double product = dot(step, change, search->n);
    if (product <= 1e-16 * dot(change, change, search->n))
        return; /* rounding alone: it would say nothing of the curvature */
    search->products[search->next] = product;
    search->next = (search->next + 1) % MEMORY;
    search->kept += search->kept < MEMORY;
}

/* Halves the step until the value falls enough. false: it does not any more. */
static bool walk(const struct problem *problem, struct search *search, double *value)
{
    double slope = dot(search->direction, search->gradient, search->n);
    double length = search->kept > 0 ? 1 : 1 / (largest(search->gradient, search->n) + 1e-300);
    for (int halvings = 0; halvings < MAX_HALVINGS && slope < 0; halvings++, length /= 2) {
        memcpy(search->tried, search->weights, search->n * sizeof(double));
        add(search->tried, length, search->direction, search->n);
        double tried = evaluate(problem, search->tried, search->tried_gradient);
        if (tried > *value + SUFFICIENT * length * slope)
            continue;
        *value = tried;
        keep_pair(search);
        memcpy(search->weights, search->tried, search->n * sizeof(double));
        memcpy(search->gradient, search->tried_gradient, search->n * sizeof(double));
        return true;
    }
    return false;
}

static enum status minimise(const struct problem *problem, struct search *search,
                            const struct logistic_options *options, int *steps, struct err *err)
{
    double value = evaluate(problem, search->weights, search->gradient);
    for (*steps = 0; *steps < options->max_steps; ++*steps) {
        if (options->go_on && !options->go_on(options->context))
            return err_set(err, E_CANCELLED, "The baseline was told to stop.");
        if (largest(search->gradient, search->n) < SMALL_GRADIENT)
            break;
        find_direction(search);
        if (walk(problem, search, &value))
            continue;
        if (search->kept == 0)
            break;
        search->kept = 0; /* once more, straight down */
    }
    return OK;
}

enum status logistic_fit(const struct sparse_rows *rows, const uint32_t *labels, uint32_t n_classes,
                         const struct logistic_options *options, struct logistic *model,
                         struct err *err)
{
    struct problem problem = {.rows = rows, .labels = labels, .n_classes = n_classes};
    struct search search;
    problem.n_outputs = n_classes == 2 ? 1 : n_classes;
    problem.penalty = 1 / (options->c * rows->n_rows);
    problem.n = (size_t)problem.n_outputs * (rows->n_columns + (size_t)1);
    problem.scores = mem_alloc(n_classes * sizeof(double));
    *model = (struct logistic){.n_classes = n_classes, .n_columns = rows->n_columns};
    enum status status = search_init(&search, problem.n, err);
    if (status == OK)
        status = minimise(&problem, &search, options, &model->steps, err);
    if (status == OK) {
        model->weights = search.weights;
        search.weights = NULL;
    }
    search_deinit(&search);
    mem_free(problem.scores);
    return status;
}

void logistic_deinit(struct logistic *model)
{
    mem_free(model->weights);
    *model = (struct logistic){0};
}

void logistic_scores(const struct logistic *model, const struct sparse_rows *rows, uint32_t row,
                     double *scores)
{
    score(model->weights, model->n_classes == 2 ? 1 : model->n_classes, rows, row, model->n_columns,
          scores);
}
