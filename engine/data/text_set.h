/* text_set.h -- the rows of an upload of text become a data set: labels become classes, rows items.
 *
 * Classes are the labels that training rows have, sorted, spelt as they stand. Rows without a label
 * are unlabelled, for language models; where no row has one, each keeps the split that it names. */
#ifndef THAW_ENGINE_DATA_TEXT_SET_H
#define THAW_ENGINE_DATA_TEXT_SET_H

#include "engine/data/arrange.h"
#include "engine/data/text_table.h"

struct text_set; /* owns its writer and the labels; borrows the descriptors */

struct text_set *text_set_new(int pack_fd, int index_fd);
void text_set_free(struct text_set *set);

/* The rows that follow are of this file ("": no name), and of `split` where they do not say. Files
 * come in ascending order. */
enum status text_set_file(struct text_set *set, const char *path, enum pack_split split,
                          struct err *err);
enum status text_set_add(struct text_set *set, const struct text_row *row, struct err *err);
uint32_t text_set_n_items(const struct text_set *set);
uint64_t text_set_bytes(const struct text_set *set);

struct text_set_ears {
    /* Rows whose label no training row has; line 0: a file as a whole. */
    void (*rejected)(void *context, const char *path, int64_t line, const char *reason);
    /* What looks like a mistake in the data: one sentence. */
    void (*warn)(void *context, const char *sentence);
    void *context;
};

/* Writes the index. E_INVALID: one class only (err->code one_class), labels but none to train on
 * (no_training_texts). */
enum status text_set_finish(struct text_set *set, const struct text_set_ears *ears,
                            struct arrangement *arrangement, struct err *err);

/* Warns of classes whose names differ by case and spaces alone. */
void text_set_compare_classes(char *const *names, uint32_t n, const struct text_set_ears *ears);

#endif
