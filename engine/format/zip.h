/* zip.h -- a zip file in memory, for torch's: stored entries only, found by name, never copied.
 *
 * torch maps its files, so it stores entries uncompressed and aligned; what is needed is random
 * access to views. libarchive streams and copies, and DESIGN keeps it behind the archives of
 * datasets, so this reads the central directory itself: bounded, zip64 included. Refused:
 * compression, encryption, several disks, entries that overlap or leave the file, duplicate names,
 * local headers that tell another story than the directory. */
#ifndef THAW_ENGINE_FORMAT_ZIP_H
#define THAW_ENGINE_FORMAT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ZIP_MAX_ENTRIES 131072
#define ZIP_MAX_NAME    1024

struct zip_entry {
    const char *name; /* borrowed from the file; not terminated; no NUL inside */
    size_t name_len;
    const uint8_t *data; /* borrowed from the file */
    size_t size;
    uint32_t crc32;
};

struct zip {
    struct zip_entry *entries; /* owned; sorted by name */
    size_t n_entries;
};

bool zip_recognise(const uint8_t *bytes, size_t len);
enum status zip_open(const uint8_t *bytes, size_t len, struct zip *zip, struct err *err);
void zip_close(struct zip *zip);

const struct zip_entry *zip_find(const struct zip *zip, const char *name); /* NULL if none */
/* E_INVALID when the entry's bytes are not those that were stored. */
enum status zip_check(const struct zip_entry *entry, struct err *err);

#endif
