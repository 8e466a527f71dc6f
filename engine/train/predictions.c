#include "engine/train/predictions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/train/report.h"

#define NUMBER   "%.7g" /* what a float holds, without digits that are none */
#define CSV_LINE "\r\n"

/* --- The names of the columns ----------------------------------------------------------------- */

struct name {
    const char *text;
    int64_t index;
};

static int compare_names(const void *left, const void *right)
{
    const struct name *a = left, *b = right;
    int order = strcmp(a->text, b->text);
    return order ? order : a->index < b->index ? -1 : a->index > b->index;
}

/* One text a class, each a different one; freed by free_names. */
static char **column_names(const struct json *classes, int64_t n)
{
    struct name *sorted = mem_alloc((size_t)n * sizeof *sorted);
    char **names = mem_alloc((size_t)n * sizeof *names);
    int64_t i = 0;
    json_each(class, classes)
    {
        sorted[i] = (struct name){json_as_string(class, ""), i};
        i++;
    }
    qsort(sorted, (size_t)n, sizeof *sorted, compare_names);
    int copy = 1;
    for (i = 0; i < n; i++) {
        copy = i > 0 && strcmp(sorted[i].text, sorted[i - 1].text) == 0 ? copy + 1 : 1;
        names[sorted[i].index] =
            copy == 1 ? mem_strdup(sorted[i].text) : mem_printf("%s (%d)", sorted[i].text, copy);
    }
    mem_free(sorted);
    return names;
}

static void free_names(char **names, int64_t n)
{
    for (int64_t i = 0; names && i < n; i++)
        mem_free(names[i]);
    mem_free(names);
}

/* --- Cells ------------------------------------------------------------------------------------ */

/* `before` stands inside the quotes too, if any are needed. */
static void put_csv_cell(FILE *file, const char *before, const char *text)
{
    bool formula = !*before && *text && strchr("=+-@\t\r", *text);
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        fprintf(file, "%s%s", before, text);
        return;
    }
    fprintf(file, "\"%s%s", formula ? "'" : "", before);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', file);
        putc(*text, file);
    }
    putc('"', file);
}

/* A JSON string of `text`, to be freed. */
static char *json_quoted(const char *text)
{
    struct json *list = json_new_array();
    json_add_string(list, text);
    char *array = json_text(list); /* ["..."] */
    char *quoted = mem_printf("%.*s", (int)strlen(array) - 2, array + 1);
    mem_free(array);
    json_free(list);
    return quoted;
}

static void put_csv_head(FILE *file, char *const *names, int64_t classes)
{
    fputs("path,label,predicted", file);
    for (int64_t i = 0; i < classes; i++) {
        putc(',', file);
        put_csv_cell(file, "probability:", names[i]);
    }
    fputs(CSV_LINE, file);
}

static void put_csv_row(FILE *file, const struct prediction_row *row, int64_t classes)
{
    put_csv_cell(file, "", row->path);
    putc(',', file);
    put_csv_cell(file, "", row->label ? row->label : "");
    putc(',', file);
    put_csv_cell(file, "", row->predicted);
    for (int64_t i = 0; i < classes; i++)
        fprintf(file, "," NUMBER, (double)row->probabilities[i]);
    fputs(CSV_LINE, file);
}

static void put_ndjson_row(FILE *file, const struct prediction_row *row, char *const *keys,
                           int64_t classes)
{
    struct json *json = json_new_object();
    json_set_string(json, "path", row->path);
    json_set_string(json, "label", row->label);
    json_set_string(json, "predicted", row->predicted);
    char *text = json_text(json);
    fprintf(file, "%.*s,\"probabilities\":{", (int)strlen(text) - 1, text);
    for (int64_t i = 0; i < classes; i++)
        fprintf(file, "%s%s:" NUMBER, i ? "," : "", keys[i], (double)row->probabilities[i]);
    fputs("}}\n", file);
    mem_free(text);
    json_free(json);
}

/* --- Rows ------------------------------------------------------------------------------------ */

enum status predictions_open(struct predictions *predictions, const char *folder,
                             const struct json *classes, struct err *err)
{
    *predictions = (struct predictions){.classes = (int64_t)json_len(classes)};
    enum status status = part_file_open(&predictions->csv, folder, REPORT_CSV, err);
    if (status == OK)
        status = part_file_open(&predictions->ndjson, folder, REPORT_NDJSON, err);
    if (status != OK)
        return status;
    char **names = column_names(classes, predictions->classes);
    put_csv_head(predictions->csv.file, names, predictions->classes);
    predictions->keys = mem_alloc((size_t)predictions->classes * sizeof *predictions->keys);
    for (int64_t i = 0; i < predictions->classes; i++)
        predictions->keys[i] = json_quoted(names[i]);
    free_names(names, predictions->classes);
    return OK;
}

enum status predictions_add(struct predictions *predictions, const struct prediction_row *row,
                            struct err *err)
{
    put_csv_row(predictions->csv.file, row, predictions->classes);
    put_ndjson_row(predictions->ndjson.file, row, predictions->keys, predictions->classes);
    enum status status = part_file_check(&predictions->csv, err);
    return status == OK ? part_file_check(&predictions->ndjson, err) : status;
}

enum status predictions_commit(struct predictions *predictions, struct err *err)
{
    enum status status = part_file_commit(&predictions->csv, err);
    return status == OK ? part_file_commit(&predictions->ndjson, err) : status;
}

void predictions_close(struct predictions *predictions)
{
    part_file_close(&predictions->csv);
    part_file_close(&predictions->ndjson);
    free_names(predictions->keys, predictions->classes);
    *predictions = (struct predictions){0};
}
