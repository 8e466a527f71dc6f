/* folder.h -- the data directory: made, checked, locked.
 *
 * Refused: a folder that belongs to another user or that others may write to, and a network file
 * system (SQLite's WAL needs shared memory and locks that those do not give). */
#ifndef THAW_STORE_FOLDER_H
#define THAW_STORE_FOLDER_H

#include "base/status.h"

/* *path is the absolute path (owned by the caller); *lock is the descriptor whose flock says that
 * the folder is in use, until it is closed. E_CONFLICT when a running server has it. */
enum status folder_open(const char *data, char **path, int *lock, struct err *err);

#endif
