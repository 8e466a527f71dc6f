/* label_table.c -- see label_table.h. */
#include "engine/data/label_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/data/csv.h"
#include "engine/data/layout.h"
#include "engine/data/member_name.h"

#define MAX_ROW   (16u << 20) /* bytes of a row */
#define MAX_DEPTH 2           /* folders above a table */

enum column { COLUMN_PATH, COLUMN_LABEL, COLUMN_SPLIT, COLUMN_IS_VALID, COLUMN_GROUP, N_COLUMNS };

static const char *const column_names[N_COLUMNS][8] = {
    [COLUMN_PATH] = {"path", "file_name", "filename", "fname", "name", "image", "file"},
    [COLUMN_LABEL] = {"label", "labels", "class", "category", "tags"},
    [COLUMN_SPLIT] = {"split"},
    [COLUMN_IS_VALID] = {"is_valid"},
};

struct label_table {
    const char *wanted[N_COLUMNS]; /* borrowed: the options' names of columns; NULL: the usual */
    struct arena arena;            /* of all texts */
    struct label_row *rows;        /* owned */
    uint32_t n, capacity;
};

/* The table that is being read. */
struct reading {
    struct label_table *table;
    const char *member;
    int folder_len; /* of the member's folder, slash included */
    label_table_rejected *rejected;
    void *context;
};

bool label_table_is_named(const char *member)
{
    static const char *const names[] = {"labels.csv", "metadata.csv", "metadata.jsonl"};
    int depth = 0;
    const char *name = member;
    for (const char *slash; (slash = strchr(name, '/')); name = slash + 1)
        depth++;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return depth <= MAX_DEPTH;
    return false;
}

struct label_table *label_table_new(const char *label_column, const char *group_column)
{
    struct label_table *table = mem_alloc(sizeof *table);
    table->wanted[COLUMN_LABEL] = label_column;
    table->wanted[COLUMN_GROUP] = group_column;
    arena_init(&table->arena);
    return table;
}

void label_table_free(struct label_table *table)
{
    if (!table)
        return;
    arena_deinit(&table->arena);
    mem_free(table->rows);
    mem_free(table);
}

uint32_t label_table_n(const struct label_table *table)
{
    return table->n;
}

struct label_row *label_table_row(struct label_table *table, uint32_t row)
{
    return &table->rows[row];
}

/* --- Columns -------------------------------------------------------------------------------- */

static bool is_column(const struct label_table *table, enum column column, const char *name)
{
    if (table->wanted[column])
        return strcasecmp(name, table->wanted[column]) == 0;
    for (const char *const *known = column_names[column]; *known; known++)
        if (strcasecmp(name, *known) == 0)
            return true;
    return false;
}

static void note_missing(const struct label_table *table, const bool *found, char text[160])
{
    static const char *const usual[N_COLUMNS] = {[COLUMN_PATH] = "path", [COLUMN_LABEL] = "label"};
    text[0] = 0;
    for (int i = 0; i < N_COLUMNS; i++) {
        const char *name = table->wanted[i] ? table->wanted[i] : usual[i];
        size_t len = strlen(text);
        if (name && !found[i])
            snprintf(text + len, 160 - len, "%s\"%.60s\"", len ? " and " : "", name);
    }
}

/* Whether the columns that are needed are among those found; `names` lists those that are there. */
static enum status check_columns(const struct reading *reading, const bool *found,
                                 const char *names, struct err *err)
{
    char missing[160];
    note_missing(reading->table, found, missing);
    if (!missing[0])
        return OK;
    err_set(err, E_INVALID, "%.200s has no column %s; it has: %.300s.", reading->member, missing,
            names);
    err_name(err, "bad_labels", "Its first line names the columns: path,label or path,label,split");
    return E_INVALID;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static bool parse_split(const char *const *cells, uint8_t *split)
{
    static const char *const yes[] = {"true", "1", "yes"}, *const no[] = {"false", "0", "no", ""};
    const char *text = cells[COLUMN_IS_VALID];
    *split = N_SPLITS;
    if (cells[COLUMN_SPLIT] && *cells[COLUMN_SPLIT]) {
        enum pack_split named;
        bool known = layout_split_named(cells[COLUMN_SPLIT], strlen(cells[COLUMN_SPLIT]), &named);
        *split = (uint8_t)named;
        return known;
    }
    for (size_t i = 0; text && i < ARRAY_LEN(yes); i++)
        if (strcasecmp(text, yes[i]) == 0)
            *split = SPLIT_VALID;
    for (size_t i = 0; text && i < ARRAY_LEN(no); i++)
        if (strcasecmp(text, no[i]) == 0)
            *split = SPLIT_TRAIN;
    return !text || *split != N_SPLITS;
}

static enum status reserve(struct label_table *table, struct err *err)
{
    void *larger;
    if (table->n < table->capacity)
        return OK;
    if (table->n == PACK_MAX_ITEMS)
        return err_set(err, E_TOO_LARGE, "The tables of labels have more than %u rows.",
                       PACK_MAX_ITEMS);
    uint32_t capacity = table->capacity ? table->capacity * 2 : 1024;
    enum status status = mem_try_alloc(capacity, sizeof *table->rows, "labels", &larger, err);
    if (status)
        return status;
    if (table->n)
        memcpy(larger, table->rows, table->n * sizeof *table->rows);
    mem_free(table->rows);
    table->rows = larger;
    table->capacity = capacity;
    return OK;
}

static void reject_row(const struct reading *reading, int64_t line, const char *reason)
{
    char where[PACK_MAX_NAME + 40];
    snprintf(where, sizeof where, "%.900s, line %lld", reading->member, (long long)line);
    reading->rejected(reading->context, where, reason);
}

static enum status take_row(struct reading *reading, const char *const *cells, int64_t line,
                            struct err *err)
{
    struct label_table *table = reading->table;
    struct label_row row = {.split = N_SPLITS};
    char joined[2 * PACK_MAX_NAME], path[PACK_MAX_NAME + 1], reason[200];
    const char *name = cells[COLUMN_PATH] ? cells[COLUMN_PATH] : "";
    snprintf(joined, sizeof joined, "%.*s%.1020s", reading->folder_len, reading->member, name);
    const char *refusal =
        *name ? member_name_clean(joined, path, sizeof path) : "It names no file.";
    if (!refusal && !parse_split(cells, &row.split)) {
        snprintf(reason, sizeof reason, "Its split \"%.60s\" is none of train, valid and test.",
                 cells[COLUMN_SPLIT] ? cells[COLUMN_SPLIT] : cells[COLUMN_IS_VALID]);
        refusal = reason;
    }
    if (refusal) {
        reject_row(reading, line, refusal);
        return OK;
    }
    enum status status = reserve(table, err);
    if (status)
        return status;
    const char *group = cells[COLUMN_GROUP];
    row.path = arena_strdup(&table->arena, path);
    row.labels = arena_strdup(&table->arena, cells[COLUMN_LABEL] ? cells[COLUMN_LABEL] : "");
    row.group = group && *group ? arena_strdup(&table->arena, group) : NULL;
    row.ordinal = table->n;
    table->rows[table->n++] = row;
    return OK;
}

/* --- CSV -------------------------------------------------------------------------------------- */

static enum status in_table(const struct reading *reading, struct err *err)
{
    struct err why = *err;
    err_set(err, why.status, "%.200s: %.500s", reading->member, why.detail);
    err_name(err, "bad_labels", NULL);
    return why.status;
}

static enum status find_columns(const struct reading *reading, const struct csv_row *header,
                                size_t *at, struct err *err)
{
    bool found[N_COLUMNS] = {false};
    char names[300] = "";
    for (size_t i = 0; i < header->n; i++) {
        size_t len = strlen(names);
        const char *name = header->fields[i].text;
        snprintf(names + len, sizeof names - len, "%s%.60s", len ? ", " : "", name);
        for (int column = 0; column < N_COLUMNS; column++)
            if (!found[column] && is_column(reading->table, column, name)) {
                found[column] = true;
                at[column] = i;
                break;
            }
    }
    return check_columns(reading, found, names, err);
}

/* The next row, with at most `most` fields. */
static enum status next_row(const struct reading *reading, struct csv *csv, size_t most,
                            struct csv_row *row, struct err *err)
{
    enum status status = csv_next(csv, row, err);
    if (!status && row->too_long)
        status = err_set(err, E_INVALID, "The row on line %lld has more than %u MiB.",
                         (long long)row->line, MAX_ROW >> 20);
    else if (!status && row->n > most)
        status = err_set(err, E_INVALID, "Line %lld has more than %zu fields.",
                         (long long)row->line, most);
    else if (!status && csv_row_has_nul(row))
        status = err_set(err, E_INVALID, "There is a NUL byte on line %lld: this is no text file.",
                         (long long)row->line);
    return status ? in_table(reading, err) : OK;
}

static enum status read_rows(struct reading *reading, struct csv *csv, struct err *err)
{
    struct csv_row row = {0};
    size_t at[N_COLUMNS];
    for (int column = 0; column < N_COLUMNS; column++)
        at[column] = SIZE_MAX;
    enum status status = next_row(reading, csv, CSV_MAX_FIELDS, &row, err);
    size_t n_header = row.n;
    if (!status)
        status = find_columns(reading, &row, at, err);
    while (!status && !(status = next_row(reading, csv, n_header, &row, err)) && row.n > 0) {
        const char *cells[N_COLUMNS] = {NULL};
        for (int column = 0; column < N_COLUMNS; column++)
            if (at[column] < row.n)
                cells[column] = row.fields[at[column]].text;
        status = take_row(reading, cells, row.line, err);
    }
    return status;
}

static enum status read_csv(struct reading *reading, const char *text, size_t len, struct err *err)
{
    struct source_memory memory = {text, len};
    struct csv *csv = csv_new(source_of_memory(&memory),
                              &(struct csv_options){.separator = ',', .quotes = true, MAX_ROW});
    enum status status = read_rows(reading, csv, err);
    csv_free(csv);
    return status;
}

/* --- JSON lines --------------------------------------------------------------------------------*/

/* A cell's text: strings as they are, numbers and booleans in JSON, lists joined by ";". */
static char *cell_text(struct arena *arena, const struct json *value)
{
    char *text = NULL;
    if (json_type(value) == JSON_NULL)
        return NULL;
    if (json_type(value) == JSON_STRING)
        return arena_strdup(arena, json_as_string(value, ""));
    if (json_type(value) != JSON_ARRAY) {
        char *printed = json_text(value);
        text = arena_strdup(arena, printed);
        mem_free(printed);
        return text;
    }
    text = arena_strdup(arena, "");
    json_each(element, value) text =
        arena_printf(arena, "%s%s%s", text, *text ? ";" : "", cell_text(arena, element));
    return text;
}

static enum status take_object(struct reading *reading, const struct json *object, int64_t line,
                               struct err *err)
{
    const char *cells[N_COLUMNS] = {NULL};
    bool found[N_COLUMNS] = {false};
    struct arena arena;
    char names[300] = "";
    arena_init(&arena);
    json_each(member, object)
    {
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%.60s", len ? ", " : "", json_key(member));
        for (int column = 0; column < N_COLUMNS; column++)
            if (!found[column] && is_column(reading->table, column, json_key(member))) {
                found[column] = true;
                cells[column] = cell_text(&arena, member);
                break;
            }
    }
    enum status status = check_columns(reading, found, names, err);
    if (!status)
        status = take_row(reading, cells, line, err);
    arena_deinit(&arena);
    return status;
}

static enum status read_json_lines(struct reading *reading, const char *text, size_t len,
                                   struct err *err)
{
    const char *end = text + len;
    enum status status = OK;
    for (int64_t line = 1; !status && text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct json *object = NULL;
        stop = stop ? stop : end;
        if (strspn(text, " \t\r") < (size_t)(stop - text)) {
            struct err why = {0};
            status = json_parse(text, (size_t)(stop - text), &object, &why);
            if (!status && json_type(object) != JSON_OBJECT)
                status = err_set(&why, E_INVALID, "this is %s, not an object.",
                                 json_type_name(json_type(object)));
            if (status) {
                err_set(err, E_INVALID, "%.200s, line %lld: %.400s", reading->member,
                        (long long)line, why.detail);
                err_name(err, "bad_labels", NULL);
                status = E_INVALID;
            }
        }
        if (!status && object)
            status = take_object(reading, object, line, err);
        json_free(object);
        text = stop + 1;
    }
    return status;
}

/* Class names are UTF-8 everywhere; another encoding is refused with its first line. */
static enum status check_encoding(const char *member, const char *text, size_t len, struct err *err)
{
    const char *end = text + len;
    for (int64_t line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        stop = stop ? stop : end;
        if (!utf8_is_valid(text, (size_t)(stop - text))) {
            err_set(err, E_INVALID, "%.200s is not in UTF-8, on line %lld.", member,
                    (long long)line);
            err_name(err, "bad_labels", "Save it as UTF-8.");
            return E_INVALID;
        }
        text = stop + 1;
    }
    return OK;
}

enum status label_table_add(struct label_table *table, const char *member, const void *bytes,
                            size_t len, label_table_rejected *rejected, void *context,
                            struct err *err)
{
    const char *name = strrchr(member, '/');
    struct reading reading = {.table = table,
                              .member = member,
                              .folder_len = name ? (int)(name + 1 - member) : 0,
                              .rejected = rejected,
                              .context = context};
    enum status status = check_encoding(member, bytes, len, err);
    if (status)
        return status;
    size_t member_len = strlen(member);
    if (member_len > 6 && strcmp(member + member_len - 6, ".jsonl") == 0)
        return read_json_lines(&reading, bytes, len, err);
    return read_csv(&reading, bytes, len, err);
}

/* --- Finding ---------------------------------------------------------------------------------- */

static int compare_paths(const void *left, const void *right)
{
    const struct label_row *a = left, *b = right;
    return strcmp(a->path, b->path);
}

static int compare_rows(const void *left, const void *right)
{
    const struct label_row *a = left, *b = right;
    int order = compare_paths(a, b);
    return order ? order : a->ordinal < b->ordinal ? -1 : a->ordinal > b->ordinal;
}

void label_table_sort(struct label_table *table, label_table_rejected *rejected, void *context)
{
    uint32_t kept = 0;
    if (table->n)
        qsort(table->rows, table->n, sizeof *table->rows, compare_rows);
    for (uint32_t i = 0; i < table->n; i++) {
        if (kept > 0 && strcmp(table->rows[kept - 1].path, table->rows[i].path) == 0)
            rejected(context, table->rows[i].path, "Two rows of the tables are about it.");
        else
            table->rows[kept++] = table->rows[i];
    }
    table->n = kept;
}

struct label_row *label_table_find(struct label_table *table, const char *path)
{
    struct label_row key = {.path = path};
    return table->n ? bsearch(&key, table->rows, table->n, sizeof key, compare_paths) : NULL;
}
