/* labelling.c -- see labelling.h. */
#include "engine/data/labelling.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

static enum status refuse_option(struct err *err)
{
    err_name(err, "bad_option", NULL);
    return E_INVALID;
}

static enum status check_options(const struct json *options, struct err *err)
{
    static const char *const either[][2] = {{"label_regex", "label_column"},
                                            {"group_regex", "group_column"},
                                            {"label_regex", "group_column"}};
    for (size_t i = 0; i < ARRAY_LEN(either); i++)
        if (json_get(options, either[i][0]) && json_get(options, either[i][1])) {
            err_set(err, E_INVALID,
                    "%s and %s exclude each other: one looks at paths, the other at a table of "
                    "labels.",
                    either[i][0], either[i][1]);
            return refuse_option(err);
        }
    return OK;
}

enum status labelling_init(struct labelling *labelling, const struct json *options, struct err *err)
{
    const char *label = json_string(options, "label_regex", NULL);
    const char *group = json_string(options, "group_regex", NULL);
    *labelling = (struct labelling){.needs_table = json_get(options, "group_column") ||
                                                   json_get(options, "label_column")};
    enum status status = check_options(options, err);
    if (!status && label)
        status = pattern_new("label_regex", label, &labelling->label, err);
    if (!status && group)
        status = pattern_new("group_regex", group, &labelling->group, err);
    if (!status && !label)
        labelling->table = label_table_new(json_string(options, "label_column", NULL),
                                           json_string(options, "group_column", NULL));
    if (status)
        labelling_deinit(labelling);
    return status;
}

void labelling_deinit(struct labelling *labelling)
{
    pattern_free(labelling->label);
    pattern_free(labelling->group);
    label_table_free(labelling->table);
    *labelling = (struct labelling){0};
}

static bool has_table(const struct labelling *labelling)
{
    return labelling->table && label_table_n(labelling->table) > 0;
}

enum status labelling_begin(struct labelling *labelling, struct layout layout,
                            label_table_rejected *rejected, void *context, struct err *err)
{
    labelling->layout = layout;
    labelling->layout.text = labelling->text;
    if (!has_table(labelling)) {
        if (!labelling->needs_table)
            return OK;
        err_set(err, E_INVALID,
                "label_column and group_column name columns of a table, but the archive has no "
                "rows in a labels.csv, metadata.csv or metadata.jsonl.");
        return refuse_option(err);
    }
    label_table_sort(labelling->table, rejected, context);
    bool single = labelling->text; /* texts have one label, semicolons and all */
    for (uint32_t i = 0; i < label_table_n(labelling->table) && !labelling->several && !single; i++)
        labelling->several = strchr(label_table_row(labelling->table, i)->labels, ';') != NULL;
    return OK;
}

void labelling_end(struct labelling *labelling, label_table_rejected *rejected, void *context)
{
    for (uint32_t i = 0; has_table(labelling) && i < label_table_n(labelling->table); i++) {
        const struct label_row *row = label_table_row(labelling->table, i);
        if (!row->used)
            rejected(context, row->path,
                     labelling->text
                         ? "A table of labels names it, but the archive has no such text."
                         : "A table of labels names it, but the archive has no such picture.");
    }
}

static enum status match(const struct labelling *labelling, const char *path, struct place *place,
                         struct err *err)
{
    bool found;
    enum status status =
        pattern_match(labelling->label, path, &place->class_name, &place->class_len, &found, err);
    if (status || found)
        return status;
    place->class_name = NULL;
    if (place->split == SPLIT_TEST)
        place->split = SPLIT_UNLABELLED;
    else
        place->refusal = "label_regex finds no label in its path.";
    return OK;
}

static void look_up(struct labelling *labelling, const char *path, struct place *place,
                    const char **group)
{
    struct label_row *row = label_table_find(labelling->table, path);
    if (row) {
        row->used = true;
        *group = row->group;
        place->split = row->split == N_SPLITS ? place->split : (enum pack_split)row->split;
        place->class_name = row->labels;
        place->class_len = strlen(row->labels);
    }
    size_t at = 0, len;
    const char *name;
    bool labelled =
        row && (labelling->several || labelling_next(labelling, place, &at, &name, &len));
    if (labelled)
        return;
    place->class_name = NULL;
    if (place->split == SPLIT_TEST || (row && labelling->text))
        place->split = SPLIT_UNLABELLED;
    else
        place->refusal = row ? "The table of labels has no label for it."
                             : "The table of labels has no row for it.";
}

uint64_t labelling_group(const char *group, size_t len)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t number;
    sha256_bytes(group, len, digest);
    memcpy(&number, digest, sizeof number);
    return number ? number : 1;
}

enum status labelling_place(struct labelling *labelling, const char *path, struct place *place,
                            uint64_t *group, struct err *err)
{
    const char *name = NULL;
    size_t len = 0;
    bool found = false;
    enum status status = OK;
    *group = 0;
    if (labelling->label || has_table(labelling)) {
        *place = (struct place){.split = SPLIT_TRAIN};
        layout_split(&labelling->layout, path, &place->split);
        if (labelling->label)
            status = match(labelling, path, place, err);
        else
            look_up(labelling, path, place, &name);
    } else {
        *place = layout_place(&labelling->layout, path);
    }
    if (!status && labelling->group)
        status = pattern_match(labelling->group, path, &name, &len, &found, err);
    else if (name)
        len = strlen(name);
    if (!status && name && len > 0)
        *group = labelling_group(name, len);
    return status;
}

bool labelling_next(const struct labelling *labelling, const struct place *place, size_t *at,
                    const char **name, size_t *len)
{
    while (place->class_name && *at < place->class_len) {
        const char *from = place->class_name + *at;
        size_t left = place->class_len - *at;
        const char *stop = labelling->several ? memchr(from, ';', left) : NULL;
        size_t n = stop ? (size_t)(stop - from) : left;
        *at += n + 1;
        while (n > 0 && (*from == ' ' || *from == '\t'))
            from++, n--;
        while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == '\t'))
            n--;
        *name = from;
        *len = n;
        if (n > 0)
            return true;
    }
    return false;
}
