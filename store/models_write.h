/* models_write.h -- inside store/: a model inserted as part of a transaction. */
#ifndef THAW_STORE_MODELS_WRITE_H
#define THAW_STORE_MODELS_WRITE_H

#include "store/internal.h"
#include "store/models.h"

enum status model_write(struct store *store, struct sql *sql, struct model_row *row,
                        struct arena *arena, struct err *err);

/* Where row->name is taken, gives it another one made from it and row->id. */
enum status model_pick_name(struct sql *sql, struct model_row *row, struct arena *arena,
                            struct err *err);

#endif
