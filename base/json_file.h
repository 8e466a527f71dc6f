/* json_file.h -- JSON as a file of a folder. */
#ifndef THAW_BASE_JSON_FILE_H
#define THAW_BASE_JSON_FILE_H

#include "base/json.h"
#include "base/status.h"

/* FOLDER/NAME, whole or not at all (fs_write_file). */
enum status json_write_file(const struct json *json, const char *folder, const char *name,
                            struct err *err);

#endif
