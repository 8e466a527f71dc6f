/* archive_writer.c -- see archive_writer.h. */
#include "engine/data/archive_writer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/fs.h"
#include "base/mem.h"

struct archive_writer {
    char *target;            /* owned */
    char *part;              /* owned; the unfinished file; NULL for a folder */
    char *last_folder;       /* owned; the folder made last */
    struct archive *archive; /* owned; NULL for a folder */
};

static int set_tar(struct archive *archive)
{
    return archive_write_set_format_ustar(archive);
}

static int set_tar_gzip(struct archive *archive)
{
    int result = archive_write_add_filter_gzip(archive);
    return result != ARCHIVE_OK
               ? result
               : archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
}

static int set_zip(struct archive *archive) /* pictures do not get smaller: stored */
{
    int result = archive_write_set_format_zip(archive);
    return result != ARCHIVE_OK ? result : archive_write_zip_set_compression_store(archive);
}

static int set_tgz(struct archive *archive)
{
    int result = set_tar(archive);
    return result != ARCHIVE_OK ? result : set_tar_gzip(archive);
}

static int set_tar_zstd(struct archive *archive)
{
    int result = set_tar(archive);
    return result != ARCHIVE_OK ? result : archive_write_add_filter_zstd(archive);
}

static const struct {
    const char *ending;
    int (*set)(struct archive *);
} kinds[] = {{".zip", set_zip},
             {".tar", set_tar},
             {".tar.gz", set_tgz},
             {".tgz", set_tgz},
             {".tar.zst", set_tar_zstd}};

static size_t find_kind(const char *target)
{
    size_t len = strlen(target), kind = 0;
    for (; kind < ARRAY_LEN(kinds); kind++) {
        size_t ending = strlen(kinds[kind].ending);
        if (len > ending && strcmp(target + len - ending, kinds[kind].ending) == 0)
            break;
    }
    return kind;
}

static enum status failed(const struct archive_writer *writer, struct err *err)
{
    const char *reason = archive_error_string(writer->archive);
    return err_set(err, E_IO, "The archive %s cannot be written: %s.", writer->target,
                   reason ? reason : "unknown reason");
}

enum status archive_writer_open(const char *target, struct archive_writer **out, struct err *err)
{
    struct archive_writer *writer = mem_alloc(sizeof *writer);
    size_t kind = find_kind(target);
    enum status status = OK;
    writer->target = mem_strdup(target);
    if (kind == ARRAY_LEN(kinds)) {
        status = fs_make_folders(target, err);
    } else {
        writer->part = mem_printf("%s.part", target);
        writer->archive = archive_write_new();
        if (!writer->archive || kinds[kind].set(writer->archive) != ARCHIVE_OK ||
            archive_write_open_filename(writer->archive, writer->part) != ARCHIVE_OK)
            status = failed(writer, err);
    }
    if (status)
        archive_writer_close(writer);
    else
        *out = writer;
    return status;
}

static enum status add_member(struct archive_writer *writer, const char *name, const void *bytes,
                              size_t len, struct err *err)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(err, E_NO_SPACE, "There is no memory to write an archive.");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)len);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 315532800, 0); /* 1980: where zip's time begins */
    enum status status = OK;
    if (archive_write_header(writer->archive, entry) != ARCHIVE_OK ||
        archive_write_data(writer->archive, bytes, len) != (la_ssize_t)len)
        status = failed(writer, err);
    archive_entry_free(entry);
    return status;
}

/* Makes the folder of `path`, unless it was made for the file before. */
static enum status make_folder_of(struct archive_writer *writer, const char *path, struct err *err)
{
    char *folder = mem_strdup(path);
    *strrchr(folder, '/') = '\0';
    enum status status = OK;
    if (writer->last_folder && strcmp(writer->last_folder, folder) == 0) {
        mem_free(folder);
    } else if ((status = fs_make_folders(folder, err))) {
        mem_free(folder);
    } else {
        mem_free(writer->last_folder);
        writer->last_folder = folder;
    }
    return status;
}

static enum status add_file(struct archive_writer *writer, const char *name, const void *bytes,
                            size_t len, struct err *err)
{
    char *path = mem_printf("%s/%s", writer->target, name);
    int fd = -1;
    enum status status = make_folder_of(writer, path, err);
    if (!status && (fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        status = err_errno(err, "The file %s cannot be made", path);
    if (!status)
        status = fs_write_all(fd, bytes, len, err);
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return status;
}

enum status archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                               size_t len, struct err *err)
{
    return writer->archive ? add_member(writer, name, bytes, len, err)
                           : add_file(writer, name, bytes, len, err);
}

enum status archive_writer_finish(struct archive_writer *writer, struct err *err)
{
    if (!writer->archive)
        return OK;
    if (archive_write_close(writer->archive) != ARCHIVE_OK)
        return failed(writer, err);
    enum status status = fs_commit(writer->part, writer->target, err);
    if (!status) {
        mem_free(writer->part);
        writer->part = NULL;
    }
    return status;
}

void archive_writer_close(struct archive_writer *writer)
{
    if (!writer)
        return;
    if (writer->archive)
        archive_write_free(writer->archive);
    if (writer->part)
        unlink(writer->part);
    mem_free(writer->last_folder);
    mem_free(writer->target);
    mem_free(writer->part);
    mem_free(writer);
}
