#include "engine/train/multilabel.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define SORT_BYTES (64 << 20)

/* A file that goes when it is closed, or when the process dies. */
static enum status open_unnamed(const char *folder, FILE **file, struct err *err)
{
    char *path = mem_printf("%s/scores.XXXXXX", folder);
    enum status status = OK;
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        status = err_errno(err, "A file for scores could not be made in %s", folder);
    } else {
        unlink(path);
        *file = fdopen(fd, "w+");
        if (!*file) {
            status = err_errno(err, "The file for scores in %s could not be opened", folder);
            close(fd);
        }
    }
    mem_free(path);
    return status;
}

enum status multilabel_init(struct multilabel *scores, int64_t classes, double threshold,
                            const char *folder, struct err *err)
{
    *scores = (struct multilabel){.classes = classes, .threshold = threshold};
    void *block;
    enum status status = mem_try_alloc((size_t)classes, sizeof *scores->per_class,
                                       "the counts of classes", &block, err);
    if (status != OK)
        return status;
    scores->per_class = block;
    status = mem_try_alloc((size_t)classes, sizeof *scores->row, "a row of scores", &block, err);
    if (status != OK)
        return status;
    scores->row = block;
    return open_unnamed(folder, &scores->scores, err);
}

void multilabel_deinit(struct multilabel *scores)
{
    if (scores->scores)
        fclose(scores->scores);
    mem_free(scores->per_class);
    mem_free(scores->row);
    *scores = (struct multilabel){0};
}

enum status multilabel_add(struct multilabel *scores, const float *probabilities,
                           const float *targets, struct err *err)
{
    bool exact = true;
    for (int64_t i = 0; i < scores->classes; i++) {
        bool actual = targets[i] > .5f, predicted = (double)probabilities[i] >= scores->threshold;
        scores->per_class[i].actual += actual;
        scores->per_class[i].predicted += predicted;
        scores->per_class[i].right += actual && predicted;
        exact &= actual == predicted;
        scores->row[i] = actual ? -probabilities[i] : probabilities[i];
    }
    scores->right += exact;
    scores->n++;
    size_t n = (size_t)scores->classes;
    if (fwrite(scores->row, sizeof *scores->row, n, scores->scores) != n)
        return err_errno(err, "Scores could not be written");
    return OK;
}

double multilabel_micro_f1(const struct multilabel *scores)
{
    struct class_count all = {0};
    for (int64_t i = 0; i < scores->classes; i++) {
        all.actual += scores->per_class[i].actual;
        all.predicted += scores->per_class[i].predicted;
        all.right += scores->per_class[i].right;
    }
    return class_f1(&all);
}

/* --- Average precision ------------------------------------------------------------------------ */

/* By score, highest first. */
static int compare_scores(const void *left, const void *right)
{
    float a = fabsf(*(const float *)left), b = fabsf(*(const float *)right);
    return a > b ? -1 : a < b;
}

/* Of n signed scores, which it sorts. */
static double average_precision(float *column, int64_t n, int64_t positives)
{
    qsort(column, (size_t)n, sizeof *column, compare_scores);
    double sum = 0;
    int64_t right = 0, before = 0;
    for (int64_t i = 0; i < n; i++) {
        right += signbit(column[i]) != 0;
        bool more = i + 1 < n && fabsf(column[i + 1]) == fabsf(column[i]);
        if (more)
            continue;
        sum += (double)(right - before) / (double)positives * (double)right / (double)(i + 1);
        before = right;
    }
    return sum;
}

/* Reads the scores of classes first..first+n-1 into columns (n, items). */
static enum status read_columns(struct multilabel *scores, int64_t first, int64_t n, float *columns,
                                struct err *err)
{
    rewind(scores->scores);
    for (int64_t item = 0; item < scores->n; item++) {
        size_t row = (size_t)scores->classes;
        if (fread(scores->row, sizeof *scores->row, row, scores->scores) != row)
            return err_errno(err, "Scores could not be read again");
        for (int64_t i = 0; i < n; i++)
            columns[i * scores->n + item] = scores->row[first + i];
    }
    return OK;
}

static enum status score_columns(struct multilabel *scores, int64_t at_once, float *columns,
                                 double *precision, struct err *err)
{
    enum status status = OK;
    for (int64_t first = 0; status == OK && first < scores->classes; first += at_once) {
        int64_t n = scores->classes - first < at_once ? scores->classes - first : at_once;
        status = read_columns(scores, first, n, columns, err);
        for (int64_t i = 0; status == OK && i < n; i++) {
            int64_t positives = scores->per_class[first + i].actual;
            precision[first + i] =
                positives > 0 ? average_precision(columns + i * scores->n, scores->n, positives)
                              : NAN;
        }
    }
    return status;
}

enum status multilabel_average_precision(struct multilabel *scores, double *precision, double *mean,
                                         struct err *err)
{
    int64_t at_once = scores->n > 0 ? SORT_BYTES / (int64_t)sizeof(float) / scores->n : 1;
    at_once = at_once < 1 ? 1 : at_once > scores->classes ? scores->classes : at_once;
    void *columns = NULL;
    enum status status = mem_try_alloc((size_t)(at_once * scores->n) + 1, sizeof(float),
                                       "sorting scores", &columns, err);
    if (status == OK && fflush(scores->scores) != 0)
        status = err_errno(err, "Scores could not be written");
    if (status == OK)
        status = score_columns(scores, at_once, columns, precision, err);
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; status == OK && i < scores->classes; i++) {
        sum += isnan(precision[i]) ? 0 : precision[i];
        n += !isnan(precision[i]);
    }
    *mean = n > 0 ? sum / (double)n : NAN;
    mem_free(columns);
    return status;
}
