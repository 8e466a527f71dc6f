#include "tests/unit/engine/format/fixture.h"

#include <string.h>

#include "engine/format/zip.h"

static const struct zip_part parts[] = {
    {"net/data.pkl", "pickle", 6}, {"net/data/0", "0123456789", 10}, {"net/data/1", "", 0}};
#define N_PARTS (sizeof parts / sizeof *parts)

static void assert_zip_refused(const struct zip_twist *twist, const char *words)
{
    struct buf bytes;
    struct zip zip;
    struct err err;
    make_zip(parts, N_PARTS, twist, &bytes);
    assert_refused(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), &err, words);
    buf_deinit(&bytes);
}

static void assert_entries_found(const struct zip_twist *twist)
{
    struct buf bytes;
    struct zip zip;
    struct err err;
    make_zip(parts, N_PARTS, twist, &bytes);
    assert_true(zip_recognise((const uint8_t *)bytes.data, bytes.len));
    assert_ok(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), &err);
    assert_int_equal(zip.n_entries, N_PARTS);
    for (size_t i = 0; i < N_PARTS; i++) {
        const struct zip_entry *entry = zip_find(&zip, parts[i].name);
        assert_non_null(entry);
        assert_int_equal(entry->size, parts[i].len);
        assert_memory_equal(entry->data, parts[i].bytes, parts[i].len);
        assert_ok(zip_check(entry, &err), &err);
    }
    assert_null(zip_find(&zip, "net/data/2"));
    zip_close(&zip);
    buf_deinit(&bytes);
}

static void stored_entries_are_found_by_name(void **state)
{
    (void)state;
    assert_entries_found(NULL);
}

static void zip64_fields_are_read(void **state)
{
    (void)state;
    assert_entries_found(&(struct zip_twist){.zip64 = true});
}

static void a_changed_byte_fails_the_checksum(void **state)
{
    (void)state;
    struct buf bytes;
    struct zip zip;
    struct err err;
    make_zip(parts, N_PARTS, &(struct zip_twist){.wrong_crc = true}, &bytes);
    assert_ok(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), &err);
    assert_refused(zip_check(zip_find(&zip, "net/data/0"), &err), &err, "checksum");
    zip_close(&zip);
    buf_deinit(&bytes);
}

static void compressed_and_encrypted_entries_are_refused(void **state)
{
    (void)state;
    assert_zip_refused(&(struct zip_twist){.method = 8}, "is compressed");
    assert_zip_refused(&(struct zip_twist){.flags = 1}, "is encrypted");
}

static void entries_that_leave_the_file_or_overlap_are_refused(void **state)
{
    (void)state;
    assert_zip_refused(&(struct zip_twist){.offset_added = 1 << 20}, "lies outside the file");
    assert_zip_refused(&(struct zip_twist){.size_added = 1, .zip64 = true}, "");
    assert_zip_refused(&(struct zip_twist){.size_added = 1 << 20, .zip64 = true},
                       "reaches beyond the file");
    assert_zip_refused(&(struct zip_twist){.size_added = INT64_MIN, .zip64 = true},
                       "reaches beyond the file");
}

static void a_local_header_that_contradicts_is_refused(void **state)
{
    (void)state;
    assert_zip_refused(&(struct zip_twist){.local_name = "net/data.pk_"}, "contradicts");
    assert_zip_refused(&(struct zip_twist){.size_added = -1}, "two different sizes");
    assert_zip_refused(&(struct zip_twist){.offset_added = 1}, "no local header");
}

static void names_that_occur_twice_are_refused(void **state)
{
    (void)state;
    const struct zip_part twice[] = {{"a", "1", 1}, {"a", "2", 1}};
    const struct zip_part alike[] = {{"a", "1", 1}, {"b", "2", 1}};
    struct buf bytes;
    struct zip zip;
    struct err err;
    make_zip(twice, 2, NULL, &bytes);
    assert_refused(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), &err, "twice");
    buf_deinit(&bytes);
    make_zip(alike, 2, &(struct zip_twist){.same_offset = true, .local_name = "b"}, &bytes);
    assert_int_equal(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), E_INVALID);
    buf_deinit(&bytes);
}

static void entries_that_share_bytes_are_refused(void **state)
{
    (void)state;
    /* The second entry's local header lies inside the first one's data. */
    struct buf inner, bytes;
    make_zip(&(struct zip_part){"b", "x", 1}, 1, NULL, &inner);
    struct zip_part outer[] = {{"a", inner.data, inner.len}, {"b", "x", 1}};
    make_zip(outer, 2, NULL, &bytes);
    char *directory = memmem(bytes.data + 100, bytes.len - 100, "PK\1\2", 4);
    char *second =
        memmem(directory + 4, bytes.len - (size_t)(directory + 4 - bytes.data), "PK\1\2", 4);
    assert_non_null(second);
    const uint32_t inside = 31; /* behind the local header of "a" */
    memcpy(second + 42, &inside, sizeof inside);
    struct zip zip;
    struct err err;
    assert_refused(zip_open((const uint8_t *)bytes.data, bytes.len, &zip, &err), &err, "overlaps");
    buf_deinit(&inner);
    buf_deinit(&bytes);
}

static void counts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_zip_refused(&(struct zip_twist){.entries_added = 1}, "claims 4 entries");
    assert_zip_refused(&(struct zip_twist){.entries_added = 1 << 30, .zip64 = true}, "claims");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct buf bytes;
    struct zip zip;
    struct err err;
    make_zip(parts, N_PARTS, &(struct zip_twist){.zip64 = true}, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *exact = test_malloc(len + 1); /* so that a sanitizer sees each byte too many */
        memcpy(exact, bytes.data, len);
        assert_int_equal(zip_open(exact, len, &zip, &err), E_INVALID);
        test_free(exact);
    }
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_entries_are_found_by_name),
        cmocka_unit_test(zip64_fields_are_read),
        cmocka_unit_test(a_changed_byte_fails_the_checksum),
        cmocka_unit_test(compressed_and_encrypted_entries_are_refused),
        cmocka_unit_test(entries_that_leave_the_file_or_overlap_are_refused),
        cmocka_unit_test(a_local_header_that_contradicts_is_refused),
        cmocka_unit_test(names_that_occur_twice_are_refused),
        cmocka_unit_test(entries_that_share_bytes_are_refused),
        cmocka_unit_test(counts_that_do_not_fit_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
