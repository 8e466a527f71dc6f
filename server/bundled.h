/* bundled.h -- weights that come with the program: embedded, and put into the store at each start.
 *
 * They are pretrained on drawn pictures (weights/README.md). Jobs that start from them carry a
 * warning, because their metadata say so (lineage.origin, engine/format/model_file.h). */
#ifndef THAW_SERVER_BUNDLED_H
#define THAW_SERVER_BUNDLED_H

#include "store/db.h"

/* Each becomes the weights of the base model of its name, where those are others or gone. What an
 * older program brought stays with the jobs that started from it. */
enum status bundled_install(struct store *store, struct err *err);

#endif
