/* Archives: formats, refused members, damage, bombs. */
#include "tests/unit/engine/data/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/data/archive.h"
#include "engine/data/archive_writer.h"

/* What reading a whole archive came to. */
struct outcome {
    enum status status;
    struct err err;
    int members, ignored, refused;
    char last_refusal[256];
    size_t bytes;
};

static struct outcome read_with(const char *path, const struct archive_limits *limits)
{
    struct outcome outcome = {0};
    struct archive_reader *reader = NULL;
    struct archive_member *member = NULL;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    outcome.status = archive_reader_open(fd, limits, &reader, &outcome.err);
    while (!outcome.status &&
           !(outcome.status = archive_reader_next(reader, &member, &outcome.err)) && member) {
        assert_int_equal(member->ordinal, outcome.members);
        outcome.members++;
        outcome.ignored += member->ignored;
        if (!member->ignored && !member->refusal[0])
            outcome.status = archive_reader_fill(reader, ARCHIVE_WHOLE, &outcome.err);
        outcome.bytes += member->len;
        if (member->refusal[0]) {
            outcome.refused++;
            memcpy(outcome.last_refusal, member->refusal, sizeof outcome.last_refusal);
        }
    }
    archive_reader_close(reader);
    close(fd);
    return outcome;
}

static struct outcome read_file(const char *path)
{
    struct archive_limits limits = archive_default_limits();
    return read_with(path, &limits);
}

static struct outcome read_bytes(void **state, const void *bytes, size_t len)
{
    char *path = fixture_path(state, "upload");
    fixture_write(path, bytes, len);
    struct outcome outcome = read_file(path);
    mem_free(path);
    return outcome;
}

/* An archive with three files of 1, 5000 and 0 bytes; free the path with mem_free. */
static char *write_archive(void **state, const char *name)
{
    static const char letters[5000] = {'x'};
    struct archive_writer *writer;
    struct err err = {0};
    char *path = fixture_path(state, name);
    assert_int_equal(archive_writer_open(path, &writer, &err), OK);
    assert_int_equal(archive_writer_add(writer, "a/1", "1", 1, &err), OK);
    assert_int_equal(archive_writer_add(writer, "a/2", letters, sizeof letters, &err), OK);
    assert_int_equal(archive_writer_add(writer, "b/3", "", 0, &err), OK);
    assert_int_equal(archive_writer_finish(writer, &err), OK);
    archive_writer_close(writer);
    return path;
}

static const char *const kinds[] = {"x.zip", "x.tar", "x.tar.gz", "x.tgz", "x.tar.zst"};

static void zip_tar_gzip_and_zstd_are_read_whole(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char *path = write_archive(state, kinds[i]);
        struct outcome outcome = read_file(path);
        assert_int_equal(outcome.status, OK);
        assert_int_equal(outcome.members, 3);
        assert_int_equal(outcome.refused, 0);
        assert_int_equal(outcome.bytes, 5001);
        mem_free(path);
    }
}

static void a_member_is_filled_by_and_by(void **state)
{
    struct archive_limits limits = archive_default_limits();
    struct archive_reader *reader;
    struct archive_member *member;
    struct err err = {0};
    char *path = write_archive(state, "x.zip");
    int fd = open(path, O_RDONLY);
    assert_int_equal(archive_reader_open(fd, &limits, &reader, &err), OK);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_string_equal(member->name, "a/2");
    assert_int_equal(archive_reader_fill(reader, 10, &err), OK);
    assert_int_equal(member->len, 10);
    assert_int_equal(archive_reader_fill(reader, 300, &err), OK);
    assert_int_equal(member->len, 300);
    assert_int_equal(member->bytes[0], 'x');
    assert_int_equal(archive_reader_fill(reader, ARCHIVE_WHOLE, &err), OK);
    assert_int_equal(member->len, 5000);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_null(member);
    archive_reader_close(reader);
    close(fd);
    mem_free(path);
}

static void what_is_cut_off_is_damaged_wherever_it_is_cut(void **state)
{
    static const char *const damaged_kinds[] = {"x.zip", "x.tar.gz", "x.tar.zst"};
    for (size_t i = 0; i < ARRAY_LEN(damaged_kinds); i++) {
        struct buf whole;
        char *path = write_archive(state, damaged_kinds[i]);
        fixture_read(path, &whole);
        for (size_t len = 1; len < whole.len; len += i == 0 ? 97 : 5) {
            struct outcome outcome = read_bytes(state, whole.data, len);
            if (outcome.status != E_INVALID)
                fail_msg("%s cut at %zu of %zu was taken", damaged_kinds[i], len, whole.len);
        }
        buf_deinit(&whole);
        mem_free(path);
    }
}

static void a_tar_is_cut_off_even_between_two_members(void **state)
{
    struct buf tar;
    buf_init(&tar, 1 << 20);
    fixture_tar_add(&tar, "a/1", '0', "abc", 3);
    size_t one = tar.len;
    fixture_tar_add(&tar, "a/2", '0', "abc", 3);
    for (size_t len = one; len <= tar.len; len += 128) {
        struct outcome outcome = read_bytes(state, tar.data, len);
        assert_int_equal(outcome.status, E_INVALID);
        assert_string_equal(outcome.err.code, "archive_damaged");
    }
    fixture_tar_end(&tar);
    assert_int_equal(read_bytes(state, tar.data, tar.len).status, OK);
    buf_append(&tar, "trailing words", 14); /* what follows the end is nobody's business */
    assert_int_equal(read_bytes(state, tar.data, tar.len).status, OK);
    buf_deinit(&tar);
}

static void what_is_no_archive_is_said_to_be_none(void **state)
{
    static const char *const contents[] = {"hello, world\n", "\x1f\x8b garbage", "Rar!\x1a\7\1",
                                           "BZh91AY&SY bzip2", "{\"a\": 1}"};
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        struct outcome outcome = read_bytes(state, contents[i], strlen(contents[i]));
        assert_int_equal(outcome.status, E_INVALID);
        assert_string_equal(outcome.err.code, "not_an_archive");
    }
    struct outcome outcome = read_bytes(state, "", 0);
    assert_int_equal(outcome.status, E_INVALID);
    assert_string_equal(outcome.err.code, "empty_upload");
}

static void links_devices_and_names_that_lead_out_are_refused_one_by_one(void **state)
{
    static const struct {
        const char *name;
        char kind;
        const char *word;
    } members[] = {
        {"../../etc/cron.d/x", '0', "leads out"},
        {"/etc/passwd", '0', "absolute"},
        {"a/../../b", '0', "leads out"},
        {"a/link", '2', "link"},
        {"a/hard", '1', "link"},
        {"a/null", '3', "device"},
        {"a/disk", '4', "device"},
        {"a/pipe", '6', "device"},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct buf tar;
        buf_init(&tar, 1 << 20);
        fixture_tar_add(&tar, "a/good", '0', "abc", 3);
        fixture_tar_add(&tar, members[i].name, members[i].kind, "", 0);
        fixture_tar_add(&tar, "b/good", '0', "abc", 3);
        fixture_tar_end(&tar);
        struct outcome outcome = read_bytes(state, tar.data, tar.len);
        assert_int_equal(outcome.status, OK);
        assert_int_equal(outcome.members, 3);
        assert_int_equal(outcome.refused, 1);
        assert_int_equal(outcome.bytes, 6);
        assert_non_null(strstr(outcome.last_refusal, members[i].word));
        buf_deinit(&tar);
    }
}

static void folders_and_litter_are_passed_over_in_silence(void **state)
{
    struct buf tar;
    buf_init(&tar, 1 << 20);
    fixture_tar_add(&tar, "a/", '5', "", 0);
    fixture_tar_add(&tar, "__MACOSX/a/._1.jpg", '0', "abc", 3);
    fixture_tar_add(&tar, "a/.DS_Store", '0', "abc", 3);
    fixture_tar_end(&tar);
    struct outcome outcome = read_bytes(state, tar.data, tar.len);
    assert_int_equal(outcome.status, OK);
    assert_int_equal(outcome.ignored, 3);
    assert_int_equal(outcome.refused, 0);
    buf_deinit(&tar);
}

/* --- Zips tampered with --------------------------------------------------------------------- */

/* Sets or clears bits of a byte at `offset` of every local (PK12 -> 3,4) and central header. */
static void change_headers(struct buf *zip, size_t local_offset, size_t central_offset, char mask)
{
    for (size_t at = 0; at + 46 < zip->len; at++) {
        if (memcmp(zip->data + at, "PK\3\4", 4) == 0)
            zip->data[at + local_offset] ^= mask;
        else if (memcmp(zip->data + at, "PK\1\2", 4) == 0)
            zip->data[at + central_offset] ^= mask;
    }
}

static void encrypted_members_are_refused(void **state)
{
    struct buf zip;
    char *path = write_archive(state, "x.zip");
    fixture_read(path, &zip);
    change_headers(&zip, 6, 8, 1);
    struct outcome outcome = read_bytes(state, zip.data, zip.len);
    assert_int_equal(outcome.status, OK);
    assert_int_equal(outcome.refused, 3);
    assert_non_null(strstr(outcome.last_refusal, "encrypted"));
    buf_deinit(&zip);
    mem_free(path);
}

static void a_wrong_checksum_is_its_members_fault_alone(void **state)
{
    struct buf zip;
    char *path = write_archive(state, "x.zip");
    fixture_read(path, &zip);
    char *letters = memchr(zip.data, 'x', zip.len); /* the content of a/2 */
    assert_non_null(letters);
    letters[2000] ^= 1;
    struct outcome outcome = read_bytes(state, zip.data, zip.len);
    assert_int_equal(outcome.status, OK);
    assert_int_equal(outcome.members, 3);
    assert_int_equal(outcome.refused, 1);
    assert_non_null(strstr(outcome.last_refusal, "cannot be unpacked"));
    buf_deinit(&zip);
    mem_free(path);
}

/* --- Limits --------------------------------------------------------------------------------- */

static char *write_bomb(void **state)
{
    static const char zeros[1 << 20];
    struct archive_writer *writer;
    struct err err = {0};
    char *path = fixture_path(state, "bomb.tar.gz");
    assert_int_equal(archive_writer_open(path, &writer, &err), OK);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "a/%d", i);
        assert_int_equal(archive_writer_add(writer, name, zeros, sizeof zeros, &err), OK);
    }
    assert_int_equal(archive_writer_finish(writer, &err), OK);
    archive_writer_close(writer);
    return path;
}

static void a_bomb_ends_at_its_ratio_even_when_members_are_skipped(void **state)
{
    struct archive_limits limits = archive_default_limits();
    char *path = write_bomb(state);
    assert_int_equal(read_with(path, &limits).status, OK);
    limits.free_bytes = 1 << 20;
    struct outcome outcome = read_with(path, &limits);
    assert_int_equal(outcome.status, E_TOO_LARGE);
    assert_string_equal(outcome.err.code, "archive_limit");
    assert_true(outcome.bytes < 4u << 20);
    mem_free(path);
}

static void every_limit_holds(void **state)
{
    struct archive_limits limits = archive_default_limits();
    char *path = write_bomb(state);
    limits.max_bytes = 3 << 20;
    assert_int_equal(read_with(path, &limits).status, E_TOO_LARGE);
    limits = archive_default_limits();
    limits.max_entries = 7;
    assert_int_equal(read_with(path, &limits).status, E_TOO_LARGE);
    limits.max_entries = 8;
    assert_int_equal(read_with(path, &limits).status, OK);
    limits.max_item_bytes = (1 << 20) - 1;
    struct outcome outcome = read_with(path, &limits);
    assert_int_equal(outcome.status, OK);
    assert_int_equal(outcome.refused, 8);
    assert_non_null(strstr(outcome.last_refusal, "larger than"));
    mem_free(path);
}

/* What nobody asks for counts all the same, piece by piece. */
static void draining_passes_over_a_member_within_the_limits(void **state)
{
    struct archive_limits limits = archive_default_limits();
    struct archive_reader *reader;
    struct archive_member *member;
    struct err err = {0};
    char *path = write_bomb(state);
    int pieces = 0, fd = open(path, O_RDONLY);
    bool done = false;
    assert_int_equal(archive_reader_open(fd, &limits, &reader, &err), OK);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_int_equal(archive_reader_fill(reader, 100, &err), OK);
    for (; !done; pieces++)
        assert_int_equal(archive_reader_drain(reader, 100000, &done, &err), OK);
    assert_in_range(pieces, 2, 20);
    assert_int_equal(archive_reader_next(reader, &member, &err), OK);
    assert_string_equal(member->name, "a/1");
    archive_reader_close(reader);

    limits.free_bytes = 1 << 18;
    enum status status = archive_reader_open(fd, &limits, &reader, &err);
    for (done = true; !status && done;) {
        status = archive_reader_next(reader, &member, &err);
        assert_true(status || member);
        for (done = false; !status && !done;)
            status = archive_reader_drain(reader, 1 << 16, &done, &err);
    }
    assert_int_equal(status, E_TOO_LARGE);
    archive_reader_close(reader);
    close(fd);
    mem_free(path);
}

/* --- Writing -------------------------------------------------------------------------------- */

static void the_same_files_give_the_same_bytes(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct buf first, again;
        char *path = write_archive(state, kinds[i]);
        fixture_read(path, &first);
        mem_free(path);
        path = write_archive(state, kinds[i]);
        fixture_read(path, &again);
        assert_int_equal(first.len, again.len);
        assert_memory_equal(first.data, again.data, first.len);
        buf_deinit(&first);
        buf_deinit(&again);
        mem_free(path);
    }
}

static void any_other_name_is_a_folder(void **state)
{
    struct buf file;
    char *path = write_archive(state, "folder"), *inside = mem_printf("%s/a/2", path);
    fixture_read(inside, &file);
    assert_int_equal(file.len, 5000);
    buf_deinit(&file);
    mem_free(inside);
    mem_free(path);
}

static void an_unfinished_archive_leaves_nothing(void **state)
{
    struct archive_writer *writer;
    struct err err = {0};
    char *path = fixture_path(state, "x.zip"), *part = fixture_path(state, "x.zip.part");
    assert_int_equal(archive_writer_open(path, &writer, &err), OK);
    assert_int_equal(archive_writer_add(writer, "a/1", "1", 1, &err), OK);
    archive_writer_close(writer);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(part, F_OK), -1);
    mem_free(path);
    mem_free(part);
}

int main(void)
{
#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(zip_tar_gzip_and_zstd_are_read_whole),
        IN_A_FOLDER(a_member_is_filled_by_and_by),
        IN_A_FOLDER(what_is_cut_off_is_damaged_wherever_it_is_cut),
        IN_A_FOLDER(a_tar_is_cut_off_even_between_two_members),
        IN_A_FOLDER(what_is_no_archive_is_said_to_be_none),
        IN_A_FOLDER(links_devices_and_names_that_lead_out_are_refused_one_by_one),
        IN_A_FOLDER(folders_and_litter_are_passed_over_in_silence),
        IN_A_FOLDER(encrypted_members_are_refused),
        IN_A_FOLDER(a_wrong_checksum_is_its_members_fault_alone),
        IN_A_FOLDER(a_bomb_ends_at_its_ratio_even_when_members_are_skipped),
        IN_A_FOLDER(every_limit_holds),
        IN_A_FOLDER(draining_passes_over_a_member_within_the_limits),
        IN_A_FOLDER(the_same_files_give_the_same_bytes),
        IN_A_FOLDER(any_other_name_is_a_folder),
        IN_A_FOLDER(an_unfinished_archive_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
