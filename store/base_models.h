/* base_models.h -- the pretrained bodies that are known by name, seeded as rows at every start.
 *
 * To add one: a row in the table of base_models.c. A row whose weights came later keeps them. */
#ifndef THAW_STORE_BASE_MODELS_H
#define THAW_STORE_BASE_MODELS_H

#include "store/db.h"

enum status base_models_seed(struct store *store, struct err *err);

#endif
