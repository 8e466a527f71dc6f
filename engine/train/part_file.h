/* part_file.h -- a file that is written in pieces and gets its name when it is complete.
 *
 * For what is too large to hold: NAME.part while it grows; then fsynced and renamed (base/fs.h).
 * What is printed is checked once, at the commit. */
#ifndef THAW_ENGINE_TRAIN_PART_FILE_H
#define THAW_ENGINE_TRAIN_PART_FILE_H

#include <stdio.h>

#include "base/status.h"

struct part_file {
    FILE *file;       /* owned; NULL unless open */
    char *path, *end; /* owned: its name while unfinished, and its final one */
};

enum status part_file_open(struct part_file *part, const char *folder, const char *name,
                           struct err *err);
enum status part_file_check(const struct part_file *part, struct err *err); /* so far */
enum status part_file_commit(struct part_file *part, struct err *err);
void part_file_close(struct part_file *part); /* removes what was not committed */

#endif
