/* pack_index.h -- the index of a data set's pack, as it lies on disk: the engine writes, proves and
 * maps it (engine/data/pack.h), the store looks up single items (store/items.h).
 *
 * Index, little-endian, every part at a multiple of 8:
 *
 *     header   magic "THAWIDX\0", version, record size, counts, sizes and offsets
 *     classes  n_classes x {u64 offset, u64 length} into the strings
 *     records  n_items x struct pack_record, sorted by path and line
 *     labels   version 2: sets of labels, u32 each: how many, then the classes, ascending
 *     groups   from version 2 on: none, or n_items x u64: items with one number belong together
 *     strings  UTF-8, each followed by a NUL that its length does not count
 *
 * Version 2 is written only where items have several labels, or may have none (the record then says
 * where the item's set is), or groups. Version 1 has a header of 72 bytes and one label an item.
 * Version 3 is text: an item is a row of a table, or a line, and its path is that of the file,
 * which all its rows share, or a file as a whole. Ten million rows need no names of their own. */
#ifndef THAW_BASE_PACK_INDEX_H
#define THAW_BASE_PACK_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define PACK_MAX_ITEMS      (1u << 26)
#define PACK_MAX_CLASSES    65536
#define PACK_MAX_NAME       1024 /* bytes of a path or class name */
#define PACK_MAX_STRINGS    (512u << 20)
#define PACK_MAX_ITEM_BYTES (256u << 20)
#define PACK_MAX_LABELS     1024 /* of one item */
#define PACK_NO_LABEL       (-1)
#define PACK_TEXT_JOINT     0x1f /* stands between the columns of a text, and nowhere else in it */

/* What an item's bytes are; engine/data/image.h has the same numbers. */
enum pack_format { PACK_JPEG, PACK_PNG, PACK_WEBP, PACK_TEXT = 16 };

enum pack_split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLIT_UNLABELLED, N_SPLITS };

struct pack_record {
    uint64_t offset, size; /* in the pack */
    int32_t label;         /* PACK_NO_LABEL exactly when SPLIT_UNLABELLED; the first of the set,
                              PACK_NO_LABEL of an empty one, where the item has a set. In a pack
                              without classes every item is PACK_NO_LABEL, whatever its split */
    uint8_t split, format; /* enum pack_split, enum pack_format */
    uint8_t orientation;   /* EXIF, 1..8; 0 of a text */
    uint8_t reserved;      /* 0 */
    union {
        uint32_t width; /* of a picture, as stored */
        uint32_t line;  /* of a text: where it begins in its file, from 1; 0: it is the file */
    };
    uint32_t height;      /* as stored; 0 of a text */
    uint64_t path_offset; /* in the strings */
    uint32_t path_len;    /* 0 of a text whose file has no name */
    uint32_t label_set; /* 1 + where the item's set begins in the sets of labels; 0 = it has none */
    uint8_t sha256[32]; /* of the item's bytes */
};

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
