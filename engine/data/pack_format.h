/* pack_format.h -- the index's header, for pack.c (reads) and pack_writer.c (writes) alone. */
#ifndef THAW_ENGINE_DATA_PACK_FORMAT_H
#define THAW_ENGINE_DATA_PACK_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/data/pack.h"

#define PACK_MAGIC   "THAWIDX" /* and its NUL: 8 bytes */
#define PACK_VERSION 3         /* the newest that is read; 1 is written where it can say all */

enum { PACK_ONE_LABEL = 1, PACK_LABEL_SETS = 2, PACK_TEXTS = 3 }; /* versions */

struct pack_header {
    char magic[8];
    uint32_t version, record_bytes;
    uint32_t n_items, n_classes;
    uint64_t pack_bytes;
    uint64_t classes_offset, records_offset;
    uint64_t strings_offset, strings_len;
    uint64_t index_bytes; /* of the whole file: a cut one is seen at once */
    /* from version 2 on */
    uint64_t label_sets_offset, label_sets_len; /* a count of u32 */
    uint64_t groups_offset, n_groups;           /* as many as items, or none */
};

#define PACK_HEADER_BYTES_1 72

struct pack_class {
    uint64_t offset, len; /* in the strings */
};

_Static_assert(sizeof(struct pack_header) == 104, "the index header is 104 bytes");
_Static_assert(offsetof(struct pack_header, label_sets_offset) == PACK_HEADER_BYTES_1,
               "version 1 ends where version 2 goes on");
_Static_assert(sizeof(struct pack_class) == 16, "a class entry is 16 bytes");
_Static_assert(sizeof(struct pack_record) == 80, "a record is 80 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the index is mapped as it stands");

#endif
