/* ingest_documents.c -- see ingest.h: an archive of files of text becomes a pack, a file an item.
 *
 * Labels are the folders', a table's or the file names', as with pictures (labelling.h). */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/data/encoding.h"
#include "engine/data/pack.h"
#include "engine/data/text_set.h"
#include "engine/worker/ingest.h"

struct documents {
    struct ingest *ingest;         /* borrowed */
    struct archive_reader *reader; /* owned */
    struct pack_writer *writer;    /* owned */
    struct labelling labelling;    /* owned */
    const char *encoding;          /* borrowed, or NULL */
};

/* The member's bytes in UTF-8 into `out`. */
static enum status decode(const char *encoding, const struct archive_member *member,
                          struct buf *out, struct err *err)
{
    struct source_memory memory = {(const char *)member->bytes, member->len};
    struct decoder *decoder = NULL;
    char piece[8192];
    size_t got = 1;
    enum status status = OK;
    if (!encoding_is_utf8(encoding))
        status = decoder_new(encoding, source_of_memory(&memory), &decoder, err);
    struct source source = decoder ? decoder_source(decoder) : source_of_memory(&memory);
    while (!status && got) {
        status = source.read(source.context, piece, sizeof piece, &got, err);
        if (!status && !buf_append(out, piece, got))
            status = err_set(err, E_INVALID, "It is longer than the 64 MiB that a text may have.");
    }
    decoder_free(decoder);
    return status;
}

/* Where it is wrong, as an editor counts lines. */
static enum status check_utf8(const char *text, size_t len, struct err *err)
{
    int64_t line = 1;
    if (utf8_is_valid(text, len))
        return OK;
    for (size_t step; len && (step = utf8_sequence(text, len)); text += step, len -= step)
        line += *text == '\n';
    return err_set(err, E_INVALID,
                   "Line %lld is not in UTF-8: name the encoding by ?encoding= (latin-1, "
                   "windows-1252, utf-16, ...).",
                   (long long)line);
}

static enum status check(struct buf *text, struct err *err)
{
    if (text->len >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0)
        buf_consume(text, 3);
    if (strspn(text->data, " \t\r\n\v\f\x1f") == text->len)
        return err_set(err, E_INVALID, "Its text is empty.");
    if (memchr(text->data, 0, text->len))
        return err_set(err, E_INVALID, "There is a NUL byte in it.");
    for (char *at = text->data; (at = strchr(at, PACK_TEXT_JOINT));)
        *at = ' ';
    return check_utf8(text->data, text->len, err);
}

static enum status take_text(struct documents *documents, const struct archive_member *member,
                             struct err *err)
{
    struct buf text;
    struct err why = {0};
    buf_init(&text, TEXT_MAX_BYTES);
    enum status status = decode(documents->encoding, member, &text, &why);
    if (!status)
        status = check(&text, &why);
    struct pack_record record = {
        .label = PACK_NO_LABEL, .split = N_SPLITS, .format = PACK_TEXT, .line = 0};
    if (status) {
        ingest_reject(documents->ingest, member->name, why.detail);
        status = OK;
    } else {
        status =
            pack_writer_add(documents->writer, &record, member->name, text.data, text.len, err);
    }
    buf_deinit(&text);
    return status;
}

static enum status take_member(struct documents *documents, struct archive_member *member,
                               struct err *err)
{
    struct ingest *ingest = documents->ingest;
    struct label_table *table = documents->labelling.table;
    enum status status = OK;
    if (member->ignored)
        return OK;
    report_item(ingest->report, member->ordinal);
    const char *reason = ingest_is_skipped(ingest, member->ordinal)
                             ? "Reading it crashed or did not come to an end."
                             : NULL;
    if (!reason && !member->refusal[0])
        status = archive_reader_fill(documents->reader, ARCHIVE_WHOLE, err);
    if (!status && !reason && member->refusal[0])
        reason = member->refusal;
    if (!status && !reason && member->len == 0)
        reason = "It is empty.";
    if (status || reason) {
        if (!status)
            ingest_reject(ingest, member->name, reason);
        return status;
    }
    if (table && label_table_is_named(member->name))
        return label_table_add(table, member->name, member->bytes, member->len, ingest_reject,
                               ingest, err);
    return take_text(documents, member, err);
}

static enum status take_members(struct documents *documents, struct err *err)
{
    struct archive_member *member;
    enum status status;
    while (!(status = archive_reader_next(documents->reader, &member, err)) && member)
        if ((status = take_member(documents, member, err)) ||
            (status = ingest_pass_over(documents->ingest, documents->reader, err)))
            return status;
    return status;
}

static void on_warning(void *context, const char *sentence)
{
    const struct ingest *ingest = context;
    json_add_string(ingest->warnings, sentence);
}

static enum status arrange_all(struct documents *documents, struct ingested *ingested,
                               struct err *err)
{
    struct ingest *ingest = documents->ingest;
    struct arrangement *arrangement = &ingested->arrangement;
    if (pack_writer_n_items(documents->writer) == 0) {
        err_set(err, E_INVALID,
                "The archive holds no usable text; %lld members were rejected, the first was %s",
                (long long)ingest->n_rejected, ingest->first_rejected.detail);
        err_name(err, "no_texts", NULL);
        return E_INVALID;
    }
    enum status status =
        arrange(documents->writer, &documents->labelling, ingest_reject, ingest, arrangement, err);
    if (status)
        return status;
    status = pack_writer_finish(documents->writer, (const char *const *)arrangement->class_names,
                                arrangement->n_classes, err);
    ingested->bytes = pack_writer_bytes(documents->writer);
    const struct text_set_ears ears = {.warn = on_warning, .context = ingest};
    if (!status)
        text_set_compare_classes(arrangement->class_names, arrangement->n_classes, &ears);
    else
        arrangement_deinit(arrangement);
    return status;
}

enum status ingest_documents(struct ingest *ingest, struct ingested *ingested, struct err *err)
{
    const struct json *options = json_get(ingest->document, "options");
    struct documents documents = {.ingest = ingest,
                                  .encoding = json_string(options, "encoding", NULL)};
    struct archive_limits limits = ingest->limits;
    if (limits.max_item_bytes > TEXT_MAX_BYTES)
        limits.max_item_bytes = TEXT_MAX_BYTES;
    ingested->kind = "text";
    enum status status = documents.encoding ? encoding_check(documents.encoding, err) : OK;
    if (!status)
        status = labelling_init(&documents.labelling, options, err);
    if (status)
        return status;
    documents.labelling.text = true;
    status = archive_reader_open(ingest->upload_fd, &limits, &documents.reader, err);
    if (!status) {
        documents.writer = pack_writer_new(ingest->pack_fd, ingest->index_fd);
        status = take_members(&documents, err);
    }
    if (!status)
        status = arrange_all(&documents, ingested, err);
    archive_reader_close(documents.reader);
    pack_writer_free(documents.writer);
    labelling_deinit(&documents.labelling);
    return status;
}
