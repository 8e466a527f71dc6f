/* arrange.h -- gives every item of a pack that is being written its split and its class.
 *
 * Nothing of it depends on the order of the archive, except which of two members with one name
 * stays (the first). Classes are those that have training pictures, sorted. */
#ifndef THAW_ENGINE_DATA_ARRANGE_H
#define THAW_ENGINE_DATA_ARRANGE_H

#include <stdint.h>

#include "base/status.h"
#include "engine/data/labelling.h"
#include "engine/data/pack.h"

struct arrangement {
    char **class_names;    /* owned; sorted */
    uint64_t *class_items; /* owned; of all splits */
    uint32_t n_classes;
    uint64_t split_items[N_SPLITS];
};

/* Sets split, labels and group of every item of `writer`; N_SPLITS for those that have no place:
 * `rejected` hears of them.
 * E_INVALID: no usable picture (err->code no_images), none to train on (no_training_images), or one
 * class only (one_class). */
enum status arrange(struct pack_writer *writer, struct labelling *labelling,
                    label_table_rejected *rejected, void *context, struct arrangement *arrangement,
                    struct err *err);
void arrangement_deinit(struct arrangement *arrangement);

#endif
