/* ingest_texts.c -- see ingest.h: tables, JSON lines and lines of text become a pack, by themselves
 * or as members of an archive. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/data/text_set.h"
#include "engine/data/text_sniff.h"
#include "engine/worker/ingest.h"

struct texts {
    struct ingest *ingest;       /* borrowed */
    struct text_options options; /* owned */
    struct text_set *set;        /* owned */
    const char *file;            /* that is being read: "" where it has no name */
    struct source_file upload;
    struct archive_reader *reader; /* owned; NULL: the upload is the file */
};

/* --- What the reader says --------------------------------------------------------------------- */

static void reject_at(void *context, const char *path, int64_t line, const char *reason)
{
    const struct texts *texts = context;
    char *where;
    if (line == 0)
        where = mem_strdup(path);
    else if (*path)
        where = mem_printf("%s:%lld", path, (long long)line);
    else
        where = mem_printf("line %lld", (long long)line);
    ingest_reject(texts->ingest, where, reason);
    mem_free(where);
}

static void on_rejected(void *context, int64_t line, const char *reason)
{
    const struct texts *texts = context;
    reject_at(context, texts->file, line, reason);
}

static enum status on_row(void *context, const struct text_row *row, struct err *err)
{
    const struct texts *texts = context;
    return text_set_add(texts->set, row, err);
}

static void on_warning(void *context, const char *sentence)
{
    const struct texts *texts = context;
    json_add_string(texts->ingest->warnings, sentence);
}

/* The upload, piece by piece; in between the parent hears and is heard. */
static enum status read_upload(void *context, void *bytes, size_t size, size_t *got,
                               struct err *err)
{
    struct texts *texts = context;
    struct ingest *ingest = texts->ingest;
    struct source file = source_of_file(&texts->upload);
    enum status status = report_check(ingest->report, err);
    if (!status && texts->reader)
        status = archive_reader_read(texts->reader, bytes, size, got, err);
    else if (!status)
        status = file.read(file.context, bytes, size, got, err);
    off_t at = lseek(texts->upload.fd, 0, SEEK_CUR);
    report_progress(ingest->report, at > 0 ? (int64_t)at : 0, (int64_t)ingest->upload_bytes);
    return status;
}

/* --- All of it -------------------------------------------------------------------------------- */

static enum status nothing_usable(const struct ingest *ingest, struct err *err)
{
    if (ingest->n_rejected == 0)
        err_set(err, E_INVALID, "The upload holds no text.");
    else
        err_set(err, E_INVALID,
                "The upload holds no usable text; %lld rows were rejected, the first was %s",
                (long long)ingest->n_rejected, ingest->first_rejected.detail);
    err_name(err, "no_texts", NULL);
    return E_INVALID;
}

static enum status finish(struct texts *texts, struct ingested *ingested, struct err *err)
{
    struct text_set_ears ears = {reject_at, on_warning, texts};
    if (text_set_n_items(texts->set) == 0)
        return nothing_usable(texts->ingest, err);
    enum status status = text_set_finish(texts->set, &ears, &ingested->arrangement, err);
    ingested->bytes = text_set_bytes(texts->set);
    return status;
}

/* Bytes that say by themselves what they are need no option, but the sandbox is shut by now. */
static enum status check_width(const struct ingest *ingest, const struct text_options *options,
                               struct err *err)
{
    char head[4096];
    ssize_t n = pread(ingest->upload_fd, head, sizeof head, 0);
    const char *wide = n > 0 ? text_wide_encoding(head, (size_t)n) : NULL;
    if (!wide || options->encoding)
        return OK;
    err_set(err, E_INVALID,
            "The upload looks like %s text, and no encoding was named: say ?encoding=%s, or save "
            "it as UTF-8.",
            wide, wide);
    err_name(err, "bad_encoding", NULL);
    return E_INVALID;
}

/* trec-train.txt, valid.csv: the one word of a file's name that is a split's. */
static enum pack_split split_of(const char *path)
{
    enum pack_split split = SPLIT_TRAIN;
    const char *slash = strrchr(path, '/');
    for (const char *at = slash ? slash + 1 : path; *at; at += strspn(at, "-_. ")) {
        size_t len = strcspn(at, "-_. ");
        if (len > 1 && isalpha((unsigned char)*at) && text_split_named(at, len, &split))
            return split;
        at += len;
    }
    return SPLIT_TRAIN;
}

static enum status read_file(struct texts *texts, struct err *err)
{
    struct text_sink sink = {on_row, on_rejected, texts};
    enum status status = text_set_file(texts->set, texts->file, split_of(texts->file), err);
    if (!status)
        status = text_table_read((struct source){read_upload, texts}, &texts->options, &sink, err);
    if (status == E_INVALID && *texts->file)
        err_prefix(err, "%.200s: ", texts->file);
    return status;
}

/* Finds the member, from the archive's start: the order of reading is not the archive's. */
static enum status read_member(struct texts *texts, struct err *err)
{
    struct ingest *ingest = texts->ingest;
    struct archive_member *member;
    enum status status =
        archive_reader_open(ingest->upload_fd, &ingest->limits, &texts->reader, err);
    while (!status && !(status = archive_reader_next(texts->reader, &member, err)) && member) {
        if (!member->ignored && !member->refusal[0] && strcmp(member->name, texts->file) == 0) {
            status = read_file(texts, err);
            break;
        }
        status = ingest_pass_over(ingest, texts->reader, err);
    }
    archive_reader_close(texts->reader);
    texts->reader = NULL;
    return status;
}

enum status ingest_tables(struct ingest *ingest, const char *const *members, size_t n,
                          struct ingested *ingested, struct err *err)
{
    struct texts texts = {.ingest = ingest, .file = "", .upload = {ingest->upload_fd}};
    ingested->kind = "text";
    enum status status =
        text_options_init(&texts.options, json_get(ingest->document, "options"), err);
    if (!status && n == 0)
        status = check_width(ingest, &texts.options, err);
    texts.set = text_set_new(ingest->pack_fd, ingest->index_fd);
    if (!status && n == 0)
        status = read_file(&texts, err);
    for (size_t i = 0; i < n && !status; i++) {
        texts.file = members[i];
        status = read_member(&texts, err);
    }
    if (!status)
        status = finish(&texts, ingested, err);
    text_set_free(texts.set);
    text_options_deinit(&texts.options);
    return status;
}
