/* fixture.h -- what the tests of file formats share: a scratch folder, whole files, small zips. */
#ifndef THAW_TESTS_UNIT_ENGINE_FORMAT_FIXTURE_H
#define THAW_TESTS_UNIT_ENGINE_FORMAT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/status.h"
#include "engine/format/tensor_source.h"

/* A new folder under /tmp, remembered; removed with all in it by scratch_remove. */
const char *scratch_make(void);
void scratch_remove(void);
/* FOLDER/name; valid until the next call. */
const char *scratch_path(const char *name);

/* A file of tests/golden/torch; valid until the next call. */
const char *golden_path(const char *name);
void read_file(const char *path, struct buf *out);

/* Asserts that a call fails with E_INVALID and a sentence that holds `words`. */
#define assert_refused(call, why, words)                                                           \
    do {                                                                                           \
        *(why) = (struct err){0};                                                                  \
        assert_int_equal(call, E_INVALID);                                                         \
        assert_sentence(why, words);                                                               \
    } while (0)
void assert_sentence(const struct err *err, const char *words);
#define assert_ok(call, why)                                                                       \
    do {                                                                                           \
        *(why) = (struct err){0};                                                                  \
        if ((call) != OK)                                                                          \
            fail_msg("%s", (why)->detail);                                                         \
    } while (0)

/* A little-endian number appended, n bytes of it. */
void put(struct buf *out, uint64_t value, int n);

/* A zip of stored entries as torch writes one; fields of `twist` make it wrong in one way. */
struct zip_part {
    const char *name;
    const void *bytes;
    size_t len;
};
struct zip_twist {
    int method;             /* 8: claims to be deflated */
    int flags;              /* 1: encrypted */
    int64_t size_added;     /* to every size in the directory */
    int64_t offset_added;   /* to every offset in the directory */
    bool same_offset;       /* all entries at the first one's place */
    const char *local_name; /* in local headers, of the same length */
    bool zip64;             /* sizes and offsets in zip64 fields, zip64 end record */
    bool wrong_crc;
    int entries_added; /* to the count in the end record */
};
void make_zip(const struct zip_part *parts, size_t n, const struct zip_twist *twist,
              struct buf *out);

#endif
