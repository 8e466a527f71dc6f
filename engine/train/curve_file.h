/* curve_file.h -- one fraction's answers as they lie on disk; between curve.c and curve_file.c. */
#ifndef THAW_ENGINE_TRAIN_CURVE_FILE_H
#define THAW_ENGINE_TRAIN_CURVE_FILE_H

#include "base/buf.h"
#include "engine/train/curve.h"

struct curve_file {
    struct curve_point point;
    int64_t items;
    struct buf bytes;    /* owned: the whole file */
    const uint8_t *bits; /* within it */
};

/* FOLDER/curve-INDEX.bits, checked. It is to be closed after a failure, too. */
enum status curve_file_read(struct curve_file *file, const char *folder, const char *run_sha256,
                            int index, struct err *err);
void curve_file_close(struct curve_file *file);

bool curve_file_bit(const struct curve_file *file, int64_t item); /* the answer was right */

#endif
