/* archive.c -- see archive.h. */
#include "engine/data/archive.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/member_name.h"

#define READ_BLOCK (256u << 10)
/* libarchive's archive_errno for "no format of those that are enabled". */
#define UNRECOGNISED EILSEQ
#define ZIP_TAIL     (66u << 10) /* a zip's last record and the comment behind it are shorter */

static const char repack[] = "Pack and upload it again.";

struct archive_reader {
    struct archive *archive; /* owned */
    int fd;                  /* borrowed */
    locale_t locale;         /* owned: names are UTF-8 whatever the environment says */
    struct archive_limits limits;
    uint64_t size;     /* of the upload */
    uint64_t unpacked; /* of members, in all */
    int64_t n_members;
    struct archive_member member;
    char name[ARCHIVE_MAX_NAME + 1];
    uint8_t *bytes; /* owned */
    size_t capacity;
    bool ended; /* the current member has no more bytes */
};

struct archive_limits archive_default_limits(void)
{
    return (struct archive_limits){.max_bytes = 1ull << 40,
                                   .max_ratio = 100,
                                   .free_bytes = 64u << 20,
                                   .max_entries = 4000000,
                                   .max_item_bytes = 256u << 20};
}

static enum status damaged(struct archive_reader *reader, struct err *err)
{
    const char *reason = archive_error_string(reader->archive);
    err_set(err, E_INVALID, "The archive is damaged or cut off after %lld members: %s.",
            (long long)reader->n_members, reason ? reason : "unknown reason");
    err_name(err, "archive_damaged", repack);
    return E_INVALID;
}

static enum status not_an_archive(struct err *err)
{
    err_set(err, E_INVALID,
            "The upload is not an archive: a zip, tar, tar.gz or tar.zst was expected.");
    err_name(err, "not_an_archive",
             "If it is a table of texts, remove the NUL bytes and other control characters from "
             "it, or name its encoding by ?encoding=.");
    return E_INVALID;
}

/* A zip ends with its directory, and that with a record which a file that was cut off lacks. */
static enum status check_zip_end(const struct archive_reader *reader, struct err *err)
{
    static const char begin[2] = {'P', 'K'}, end[4] = {'P', 'K', 5, 6};
    char first[2] = {0};
    if (reader->size < sizeof first || pread(reader->fd, first, sizeof first, 0) < 2 ||
        memcmp(first, begin, sizeof begin) != 0)
        return OK;
    size_t len = reader->size < ZIP_TAIL ? (size_t)reader->size : ZIP_TAIL;
    char *tail = mem_alloc(len);
    enum status status = fs_read_at(reader->fd, tail, len, reader->size - len, err);
    if (!status && !memmem(tail, len, end, sizeof end)) {
        status = err_set(err, E_INVALID,
                         "The zip archive is cut off: the directory at its end is missing.");
        err_name(err, "archive_damaged", repack);
    }
    mem_free(tail);
    return status;
}

static enum status open_archive(struct archive_reader *reader, struct err *err)
{
    struct archive *archive = reader->archive;
    if (!archive || archive_read_support_format_zip(archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(archive) != ARCHIVE_OK)
        return err_set(err, E_INTERNAL, "libarchive has no zip, tar, gzip or zstd.");
    enum status status = check_zip_end(reader, err);
    if (status)
        return status;
    if (lseek(reader->fd, 0, SEEK_SET) != 0)
        return err_errno(err, "The upload cannot be read");
    if (archive_read_open_fd(archive, reader->fd, READ_BLOCK) != ARCHIVE_OK)
        return archive_errno(archive) == UNRECOGNISED ? not_an_archive(err) : damaged(reader, err);
    return OK;
}

enum status archive_reader_open(int fd, const struct archive_limits *limits,
                                struct archive_reader **out, struct err *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return err_errno(err, "The upload cannot be read");
    if (!S_ISREG(stat.st_mode))
        return err_set(err, E_INVALID, "The upload is not a regular file.");
    if (stat.st_size == 0) {
        err_set(err, E_INVALID, "The upload is empty; send a zip, tar, tar.gz or tar.zst.");
        err_name(err, "empty_upload", NULL);
        return E_INVALID;
    }
    struct archive_reader *reader = mem_alloc(sizeof *reader);
    reader->fd = fd;
    reader->limits = *limits;
    reader->size = (uint64_t)stat.st_size;
    reader->member.name = reader->name;
    reader->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    reader->archive = archive_read_new();
    enum status status = open_archive(reader, err);
    if (status)
        archive_reader_close(reader);
    else
        *out = reader;
    return status;
}

void archive_reader_close(struct archive_reader *reader)
{
    if (!reader)
        return;
    if (reader->archive)
        archive_read_free(reader->archive);
    if (reader->locale)
        freelocale(reader->locale);
    mem_free(reader->bytes);
    mem_free(reader);
}

bool archive_is_known(const void *bytes, size_t len)
{
    static const struct {
        size_t at, len;
        const char *signature;
    } known[] = {
        {0, 4, "PK\3\4"},
        {0, 4, "PK\5\6"},
        {0, 2, "\x1f\x8b"},
        {0, 6, "7z\xbc\xaf\x27\x1c"},
        {0, 4, "Rar!"},
        {0, 6,
         "\xfd"
         "7zXZ\0"},
        {0, 3, "BZh"},
        {257, 5, "ustar"},
        {0, 4, "\x28\xb5\x2f\xfd"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (len >= known[i].at + known[i].len &&
            memcmp((const char *)bytes + known[i].at, known[i].signature, known[i].len) == 0)
            return true;
    return false;
}

uint64_t archive_reader_size(const struct archive_reader *reader)
{
    return reader->size;
}

uint64_t archive_reader_position(const struct archive_reader *reader)
{
    off_t position = lseek(reader->fd, 0, SEEK_CUR);
    return position > 0 ? (uint64_t)position : 0;
}

static void refuse(struct archive_member *member, const char *reason)
{
    snprintf(member->refusal, sizeof member->refusal, "%s", reason);
}

static const char *refused_kind(struct archive_entry *entry)
{
    if (archive_entry_is_encrypted(entry))
        return "It is encrypted.";
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK)
        return "It is a link.";
    if (archive_entry_filetype(entry) != AE_IFREG)
        return "It is a device or another special file.";
    return NULL;
}

static void describe(struct archive_reader *reader, struct archive_entry *entry)
{
    struct archive_member *member = &reader->member;
    const char *raw = archive_entry_pathname(entry);
    const char *refusal = member_name_clean(raw ? raw : "", reader->name, sizeof reader->name);
    if (!refusal && archive_entry_filetype(entry) == AE_IFDIR)
        member->ignored = true;
    else if (!refusal && member_name_is_litter(reader->name))
        member->ignored = true;
    else if (!refusal)
        refusal = refused_kind(entry);
    if (refusal)
        refuse(member, refusal);
}

/* A tar that was cut between two members has no end marker, which libarchive takes for its end
 * all the same: nothing is read where the marker should stand. */
static enum status check_end(struct archive_reader *reader, struct err *err)
{
    int format = archive_format(reader->archive) & ARCHIVE_FORMAT_BASE_MASK;
    if (format != ARCHIVE_FORMAT_TAR ||
        archive_filter_bytes(reader->archive, 0) > archive_read_header_position(reader->archive))
        return OK;
    err_set(err, E_INVALID,
            "The tar archive is cut off: its end marker is missing after %lld members.",
            (long long)reader->n_members);
    err_name(err, "archive_damaged", repack);
    return E_INVALID;
}

/* libarchive's next header; the locale is set only around it, where names are converted. */
static int next_header(struct archive_reader *reader, struct archive_entry **entry)
{
    locale_t before = reader->locale ? uselocale(reader->locale) : (locale_t)0;
    int result = archive_read_next_header(reader->archive, entry);
    if (result == ARCHIVE_OK || result == ARCHIVE_WARN)
        describe(reader, *entry);
    if (before)
        uselocale(before);
    return result;
}

enum status archive_reader_next(struct archive_reader *reader, struct archive_member **member,
                                struct err *err)
{
    struct archive_entry *entry;
    *member = NULL;
    memset(&reader->member, 0, sizeof reader->member);
    reader->member.name = reader->name;
    reader->member.ordinal = reader->n_members;
    reader->ended = false;
    int result = next_header(reader, &entry);
    if (result == ARCHIVE_EOF)
        return check_end(reader, err);
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return damaged(reader, err);
    if ((uint64_t)++reader->n_members > reader->limits.max_entries) {
        err_set(err, E_TOO_LARGE, "The archive has more than %llu members.",
                (unsigned long long)reader->limits.max_entries);
        err_name(err, "archive_limit", NULL);
        return E_TOO_LARGE;
    }
    *member = &reader->member;
    return OK;
}

/* What was unpacked so far, members that are skipped included where the filter unpacked them. */
static enum status check_unpacked(struct archive_reader *reader, struct err *err)
{
    int64_t filtered = archive_filter_bytes(reader->archive, 0);
    uint64_t unpacked = reader->unpacked;
    if (filtered > 0 && (uint64_t)filtered > unpacked)
        unpacked = (uint64_t)filtered;
    if (unpacked > reader->limits.max_bytes) {
        err_set(err, E_TOO_LARGE, "The archive unpacks to more than %llu bytes.",
                (unsigned long long)reader->limits.max_bytes);
    } else if (unpacked > reader->limits.free_bytes &&
               (unpacked - reader->limits.free_bytes) / reader->limits.max_ratio > reader->size) {
        err_set(err, E_TOO_LARGE,
                "The archive of %llu bytes unpacks to more than %llu times as much, which no "
                "pictures or texts do.",
                (unsigned long long)reader->size, (unsigned long long)reader->limits.max_ratio);
    } else {
        return OK;
    }
    err_name(err, "archive_limit", NULL);
    return E_TOO_LARGE;
}

static enum status reserve(struct archive_reader *reader, size_t n, struct err *err)
{
    if (n <= reader->capacity)
        return OK;
    size_t capacity = reader->capacity * 2 > n ? reader->capacity * 2 : n;
    void *larger;
    enum status status = mem_try_alloc(capacity, 1, "a member of the archive", &larger, err);
    if (status)
        return status;
    if (reader->member.len)
        memcpy(larger, reader->bytes, reader->member.len);
    mem_free(reader->bytes);
    reader->bytes = larger;
    reader->capacity = capacity;
    return OK;
}

/* One read of at most `n` bytes behind those that are there. */
static enum status fill_some(struct archive_reader *reader, size_t n, struct err *err)
{
    struct archive_member *member = &reader->member;
    enum status status = reserve(reader, member->len + n, err);
    if (status)
        return status;
    la_ssize_t got = archive_read_data(reader->archive, reader->bytes + member->len, n);
    if (got == ARCHIVE_FATAL || got == ARCHIVE_RETRY)
        return damaged(reader, err);
    if (got < 0) { /* a wrong checksum, a method that is not compiled in: this member's alone */
        const char *reason = archive_error_string(reader->archive);
        snprintf(member->refusal, sizeof member->refusal, "It cannot be unpacked: %s.",
                 reason ? reason : "unknown reason");
        return OK;
    }
    member->len += (size_t)got;
    reader->unpacked += (uint64_t)got;
    reader->ended = got == 0;
    return check_unpacked(reader, err);
}

enum status archive_reader_fill(struct archive_reader *reader, size_t n, struct err *err)
{
    struct archive_member *member = &reader->member;
    enum status status = OK;
    while (!status && !reader->ended && !member->refusal[0] && member->len < n) {
        size_t left = n - member->len;
        status = fill_some(reader, left < READ_BLOCK ? left : READ_BLOCK, err);
        if (!status && member->len > reader->limits.max_item_bytes)
            snprintf(member->refusal, sizeof member->refusal,
                     "It is larger than the %llu bytes that one item may have.",
                     (unsigned long long)reader->limits.max_item_bytes);
    }
    member->bytes = reader->bytes;
    return status;
}

enum status archive_reader_read(struct archive_reader *reader, void *bytes, size_t size,
                                size_t *got, struct err *err)
{
    la_ssize_t n = reader->ended ? 0 : archive_read_data(reader->archive, bytes, size);
    *got = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return damaged(reader, err);
    reader->unpacked += (uint64_t)n;
    reader->ended = n == 0;
    return check_unpacked(reader, err);
}

enum status archive_reader_drain(struct archive_reader *reader, uint64_t n, bool *done,
                                 struct err *err)
{
    int format = archive_format(reader->archive) & ARCHIVE_FORMAT_BASE_MASK;
    enum status status = OK;
    /* A zip's members are found by its directory: nothing needs to be unpacked to get past one. */
    *done = reader->ended || format == ARCHIVE_FORMAT_ZIP;
    for (uint64_t passed = 0; !*done && !status && passed < n;) {
        const void *block;
        size_t len = 0;
        la_int64_t offset;
        int result = archive_read_data_block(reader->archive, &block, &len, &offset);
        *done = result != ARCHIVE_OK; /* the next header will say what is wrong, if anything */
        passed += len;
        reader->unpacked += len;
        status = check_unpacked(reader, err);
    }
    return status;
}

enum status archive_reader_save(struct archive_reader *reader, int fd, struct err *err)
{
    struct archive_member *member = &reader->member;
    uint64_t written = 0;
    enum status status = OK;
    while (!status && !reader->ended && !member->refusal[0]) {
        member->len = 0; /* the same room for each piece */
        status = fill_some(reader, READ_BLOCK, err);
        if (!status)
            status = fs_write_all(fd, reader->bytes, member->len, err);
        written += member->len;
        if (!status && written > reader->limits.max_item_bytes)
            snprintf(member->refusal, sizeof member->refusal,
                     "It is larger than the %llu bytes that one item may have.",
                     (unsigned long long)reader->limits.max_item_bytes);
    }
    member->len = 0;
    return status;
}
