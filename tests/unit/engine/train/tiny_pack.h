/* tiny_pack.h -- packs of items without pictures, for what only looks at labels. */
#ifndef THAW_TESTS_TRAIN_TINY_PACK_H
#define THAW_TESTS_TRAIN_TINY_PACK_H

#include "engine/data/pack.h"

/* Item i has the label labels[i]; classes are called "a", "b", ... */
struct pack *tiny_pack(const int *labels, uint32_t n, uint32_t n_classes);
/* Item i has the labels whose bits are set in sets[i]. */
struct pack *tiny_multilabel_pack(const int *sets, uint32_t n, uint32_t n_classes);

#endif
