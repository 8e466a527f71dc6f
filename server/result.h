/* result.h -- what an engine left in result.json, read as a stranger's file: a regular file of its
 * folder, bounded, strictly parsed, every field of the known kind and length. Only what the tables
 * of result.c name goes on into rows. */
#ifndef THAW_SERVER_RESULT_H
#define THAW_SERVER_RESULT_H

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "store/datasets.h"
#include "store/models.h"

/* *result is owned by the caller. */
enum status result_read(const char *folder, struct json **result, struct err *err);

/* Fills kind, items, classes, splits and rejected; strings are in the arena. */
enum status result_dataset(const struct json *result, struct arena *arena, struct dataset_row *row,
                           struct err *err);

/* Fills kind, architecture, classes, groups, parameters, text and weights_sha256. */
enum status result_model(const struct json *result, struct arena *arena, struct model_row *row,
                         struct err *err);

#endif
