/* import_archive.h -- weights and their vocabulary in one archive, as fastai publishes them. */
#ifndef THAW_ENGINE_WORKER_IMPORT_ARCHIVE_H
#define THAW_ENGINE_WORKER_IMPORT_ARCHIVE_H

#include <stdbool.h>

#include "base/status.h"

/* Whether the file is an archive of files. A torch file, which is a zip as well, is none. */
enum status import_archive_is_one(const char *path, bool *is_one, struct err *err);

struct import_pair {
    char *weights, *vocabulary; /* owned paths; NULL where there is none */
};

/* Unpacks the one weights file (.pth, .h5, ...) and the one vocabulary (.pkl, .json) into `folder`,
 * under names of ours; what else the archive holds is passed over. E_INVALID when there are none or
 * several. On failure nothing is left. */
enum status import_archive_unpack(const char *path, const char *folder, struct import_pair *pair,
                                  struct err *err);

/* Removes the files, frees the paths. */
void import_pair_remove(struct import_pair *pair);

#endif
