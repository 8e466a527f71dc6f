#include "engine/worker/import_vocabulary.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/format/model_text.h"

/* What fastai 0.7 called them. */
static const struct {
    const char *name, *old;
} old_names[] = {
    {"xxunk", "_unk_"},  {"xxpad", "_pad_"},    {"xxbos", "xbos"}, {"xxfld", "xfld"},
    {"xxrep", "tk_rep"}, {"xxwrep", "tk_wrep"}, {"xxup", "t_up"},
};

static const char *old_name(const char *special)
{
    for (size_t i = 0; i < ARRAY_LEN(old_names); i++)
        if (strcmp(old_names[i].name, special) == 0)
            return old_names[i].old;
    return NULL;
}

static int64_t find(const char *const *words, int64_t n, const char *wanted)
{
    for (int64_t i = 0; wanted && i < n; i++)
        if (strcmp(words[i], wanted) == 0)
            return i;
    return -1;
}

static void place(struct vocabulary_order *order, const char *word, int64_t row)
{
    json_add_string(order->words, word);
    order->same &= row == order->n;
    order->rows[order->n++] = row;
}

static void place_specials(struct vocabulary_order *order, const char *const *words, bool *taken)
{
    struct buf added;
    buf_init(&added, sizeof order->added - 1);
    for (size_t i = 0; i < N_SPECIALS; i++) {
        const char *special = special_name((enum special)i);
        int64_t row = find(words, order->n_theirs, special);
        if (row < 0)
            row = find(words, order->n_theirs, old_name(special));
        if (row < 0)
            buf_printf(&added, "%s%s", added.len ? ", " : "", special);
        else
            taken[row] = true;
        place(order, special, row);
    }
    snprintf(order->added, sizeof order->added, "%s", added.data);
    buf_deinit(&added);
}

enum status vocabulary_order(const struct json *theirs, struct vocabulary_order *order,
                             struct err *err)
{
    size_t n = json_len(theirs), i = 0;
    *order =
        (struct vocabulary_order){.words = json_new_array(), .n_theirs = (int64_t)n, .same = true};
    const char **words = mem_alloc((n + 1) * sizeof *words);
    bool *taken = mem_alloc(n + 1);
    order->rows = mem_alloc((n + N_SPECIALS) * sizeof *order->rows);
    json_each(word, theirs) words[i++] = json_as_string(word, "");
    place_specials(order, words, taken);
    for (i = 0; i < n; i++)
        if (!taken[i])
            place(order, words[i], (int64_t)i);
    mem_free(words);
    mem_free(taken);
    enum status status = model_text_check_vocabulary(order->words, err);
    if (status != OK)
        vocabulary_order_deinit(order);
    return status;
}

void vocabulary_order_deinit(struct vocabulary_order *order)
{
    json_free(order->words);
    mem_free(order->rows);
    *order = (struct vocabulary_order){0};
}

static void mean_row(const float *rows, int64_t n, int64_t width, float *mean)
{
    for (int64_t column = 0; column < width; column++) {
        double sum = 0;
        for (int64_t row = 0; row < n; row++)
            sum += (double)rows[row * width + column];
        mean[column] = (float)(sum / (double)n);
    }
}

void vocabulary_order_rows(const struct vocabulary_order *order, const float *theirs, int64_t width,
                           float *ours)
{
    float *mean = mem_alloc((size_t)width * sizeof *mean);
    if (order->added[0])
        mean_row(theirs, order->n_theirs, width, mean);
    for (int64_t i = 0; i < order->n; i++) {
        const float *row = order->rows[i] < 0 ? mean : theirs + order->rows[i] * width;
        memcpy(ours + i * width, row, (size_t)width * sizeof *ours);
    }
    mem_free(mean);
}
