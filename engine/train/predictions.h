/* predictions.h -- predictions.csv and predictions.ndjson, written as the rows come.
 *
 *   CSV     path,label,predicted,probability:NAME,... one column a class; RFC 4180: lines end with
 *           CR LF, a cell with a comma, a quote or a line break is quoted. A cell that a
 *           spreadsheet would take for a formula (begins with = + - @, a tab or CR) gets a ' before
 *           it and is quoted.
 *   NDJSON  {"path", "label", "predicted", "probabilities": {NAME: p, ...}}
 *
 * A label that is not known is an empty cell, or null. Several labels are joined by ";", as in
 * labels.csv. Of classes with the same name the second is called "NAME (2)", and so on. */
#ifndef THAW_ENGINE_TRAIN_PREDICTIONS_H
#define THAW_ENGINE_TRAIN_PREDICTIONS_H

#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "engine/train/part_file.h"

struct predictions {
    struct part_file csv, ndjson;
    char **keys; /* owned; (classes): each name as a JSON string */
    int64_t classes;
};

struct prediction_row {
    const char *path, *label, *predicted; /* label NULL: not known */
    const float *probabilities;           /* (classes) */
};

enum status predictions_open(struct predictions *predictions, const char *folder,
                             const struct json *classes, struct err *err);
enum status predictions_add(struct predictions *predictions, const struct prediction_row *row,
                            struct err *err);
/* Both files are complete, on disk and under their names. */
enum status predictions_commit(struct predictions *predictions, struct err *err);
void predictions_close(struct predictions *predictions); /* removes what was not committed */

#endif
