/* ingest_survey.c -- see ingest.h: what an archive holds, by the first bytes of its members.
 *
 * The first picture ends the look. Without one, and with texts, it goes through all of the archive:
 *
 *     tables alone, or one file of text      rows of a table, lines
 *     files of text, each named by a split   lines (train.txt, test.txt)
 *     files of text, perhaps labels.csv      documents, a file each */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "engine/data/image.h"
#include "engine/data/text_sniff.h"
#include "engine/data/text_table.h"
#include "engine/worker/ingest.h"

struct counting {
    struct survey tables, lines; /* the first of each */
    size_t n_tables, n_lines;
    bool all_named; /* every file of text by a split */
};

static bool has_ending(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    for (; dot && *endings; endings++)
        if (strcasecmp(dot, *endings) == 0)
            return true;
    return false;
}

static void note(struct survey *survey, const char *name)
{
    if (survey->n_tables < INGEST_MAX_TABLES)
        survey->tables[survey->n_tables++] = mem_strdup(name);
}

/* Does a word of the file's own name say a split, and is it near the top? */
static bool names_a_split(const char *path)
{
    enum pack_split split;
    const char *slash = strchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strchr(name, '/'))
        return false;
    for (const char *at = name; *at; at += strspn(at, "-_. ")) {
        size_t len = strcspn(at, "-_. ");
        if (len > 2 && text_split_named(at, len, &split))
            return true;
        at += len;
    }
    return false;
}

static void count(struct counting *counting, const struct archive_member *member)
{
    static const char *const tables[] = {".csv", ".tsv", ".jsonl", ".ndjson", NULL};
    if (has_ending(member->name, tables)) {
        counting->n_tables++;
        note(&counting->tables, member->name);
    } else if (text_is_likely(member->bytes, member->len) ||
               text_wide_encoding(member->bytes, member->len)) {
        counting->n_lines++;
        counting->all_named &= names_a_split(member->name);
        note(&counting->lines, member->name);
    }
}

/* *image: it is one, or may be. */
static enum status look_at(struct archive_reader *reader, struct archive_member *member,
                           struct counting *counting, bool *image, struct err *err)
{
    if (member->ignored || member->refusal[0])
        return OK;
    enum status status = archive_reader_fill(reader, ARCHIVE_SNIFF, err);
    if (status || member->refusal[0] || member->len == 0)
        return status;
    *image = !image_refusal(member->bytes, member->len);
    if (!*image && !archive_is_known(member->bytes, member->len))
        count(counting, member);
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names ascending, each once; *from is empty afterwards. */
static void take_names(struct survey *survey, struct survey *from)
{
    qsort(from->tables, from->n_tables, sizeof(char *), compare_names);
    for (size_t i = 0; i < from->n_tables; i++) {
        bool again =
            survey->n_tables && strcmp(survey->tables[survey->n_tables - 1], from->tables[i]) == 0;
        if (again)
            mem_free(from->tables[i]);
        else
            survey->tables[survey->n_tables++] = from->tables[i];
    }
    from->n_tables = 0;
}

static enum status decide(struct counting *counting, struct survey *survey, struct err *err)
{
    bool one_file =
        counting->n_tables == 0 &&
        (counting->n_lines == 1 || (counting->all_named && counting->n_lines <= INGEST_MAX_TABLES));
    survey->images = counting->n_tables + counting->n_lines == 0;
    if (counting->n_lines == 0 && counting->n_tables > INGEST_MAX_TABLES) {
        err_set(err, E_INVALID, "The archive has %zu tables; at most %d are read as one data set.",
                counting->n_tables, INGEST_MAX_TABLES);
        err_name(err, "archive_limit", "Join them, or upload them one by one.");
        return E_INVALID;
    }
    if (counting->n_tables > 0 && counting->n_lines == 0)
        take_names(survey, &counting->tables);
    else if (one_file)
        take_names(survey, &counting->lines);
    return OK;
}

enum status ingest_survey(struct ingest *ingest, struct survey *survey, struct err *err)
{
    struct archive_reader *reader;
    struct archive_member *member;
    struct counting counting = {.all_named = true};
    bool image = false;
    *survey = (struct survey){0};
    enum status status = archive_reader_open(ingest->upload_fd, &ingest->limits, &reader, err);
    if (status)
        return status;
    while (!image && !(status = archive_reader_next(reader, &member, err)) && member) {
        status = look_at(reader, member, &counting, &image, err);
        if (!status && !image)
            status = ingest_pass_over(ingest, reader, err);
        if (status)
            break;
    }
    archive_reader_close(reader);
    survey->images = image;
    if (!status && !image)
        status = decide(&counting, survey, err);
    survey_deinit(&counting.tables);
    survey_deinit(&counting.lines);
    return status;
}

void survey_deinit(struct survey *survey)
{
    for (size_t i = 0; i < survey->n_tables; i++)
        mem_free(survey->tables[i]);
    survey->n_tables = 0;
}
