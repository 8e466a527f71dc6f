/* text_objects.c -- see text_reading.h: JSON lines, each an object that names its own columns. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/data/text_reading.h"

/* A value as a cell: strings as they are, what else can be a label in JSON. */
static struct csv_field cell_of(struct arena *arena, const struct json *value)
{
    struct csv_field cell = {NULL, 0};
    enum json_type type = json_type(value);
    if (type == JSON_STRING) {
        cell.text = arena_strdup(arena, json_as_string(value, ""));
    } else if (type == JSON_NUMBER || type == JSON_BOOL) {
        char *text = json_text(value);
        cell.text = arena_strdup(arena, text);
        mem_free(text);
    }
    cell.len = cell.text ? strlen(cell.text) : 0;
    return cell;
}

static void take_member(struct text_reading *reading, struct arena *arena,
                        const struct json *member, struct text_cells *cells)
{
    const char *key = json_key(member);
    struct csv_field cell = cell_of(arena, member);
    bool known = false;
    for (int role = 0; role < COLUMN_OF_TEXT && !known; role++) {
        if (!text_column_is(reading->options, role, key))
            continue;
        struct csv_field *slots = cells->others[role];
        slots[slots[0].text && role == COLUMN_OF_SPLIT] = cell;
        reading->saw_label |= role == COLUMN_OF_LABEL;
        known = true;
    }
    known |= text_column_is(reading->options, COLUMN_OF_TEXT, key);
    reading->saw_others |= !known;
    if (!reading->saw_text || !reading->saw_label) {
        size_t len = strlen(key);
        const char *there = strstr(reading->names, key);
        bool noted = there && (there == reading->names || there[-1] == ' ') &&
                     (there[len] == ',' || !there[len]);
        if (!noted)
            text_reading_note(reading, key);
    }
}

/* The members that are texts, in the order in which they were asked for. */
static const char *take_texts(struct text_reading *reading, struct arena *arena,
                              const struct json *object, struct text_cells *cells)
{
    const char *wanted = reading->options->wanted[COLUMN_OF_TEXT];
    char list[1024];
    snprintf(list, sizeof list, "%s", wanted ? wanted : "");
    for (char *name = list, *next; name && cells->n_text < TEXT_MAX_COLUMNS; name = next) {
        struct text_options one = {.wanted = {[COLUMN_OF_TEXT] = wanted ? name : NULL}};
        if ((next = strchr(name, ',')))
            *next++ = 0;
        const struct json *found = NULL;
        json_each(member, object) if (!found && text_column_is(&one, COLUMN_OF_TEXT,
                                                               json_key(member))) found = member;
        if (!found)
            return "It has no text.";
        reading->saw_text = true;
        if (json_type(found) != JSON_STRING)
            return "Its text is not a string.";
        cells->text[cells->n_text++] = cell_of(arena, found);
    }
    return NULL;
}

static enum status take_object(struct text_reading *reading, const struct csv_row *row,
                               struct err *err)
{
    struct json *object = NULL;
    struct err why = {0};
    struct text_cells cells = {.n_text = 0};
    struct arena arena;
    char reason[400];
    if (json_parse(row->fields[0].text, row->fields[0].len, &object, &why) != OK ||
        json_type(object) != JSON_OBJECT) {
        snprintf(reason, sizeof reason, "It is no JSON object: %.300s",
                 why.status ? why.detail : json_type_name(json_type(object)));
        json_free(object);
        text_reading_reject(reading, row->line, reason);
        return OK;
    }
    arena_init(&arena);
    json_each(member, object) take_member(reading, &arena, member, &cells);
    const char *refusal = take_texts(reading, &arena, object, &cells);
    enum status status = OK;
    if (refusal)
        text_reading_reject(reading, row->line, refusal);
    else
        status = text_reading_take(reading, &cells, row->line, err);
    arena_deinit(&arena);
    json_free(object);
    return status;
}

enum status text_objects_read(struct text_reading *reading, struct err *err)
{
    struct csv_row row;
    enum status status;
    while (!(status = text_reading_next(reading, &row, err)) && row.n > 0)
        if ((status = take_object(reading, &row, err)))
            return status;
    if (status)
        return status;
    bool label_wanted = reading->options->wanted[COLUMN_OF_LABEL] || reading->saw_others;
    if (!reading->saw_text && reading->names[0])
        return text_reading_no_column(reading, COLUMN_OF_TEXT, err);
    if (!reading->saw_label && label_wanted && !text_options_forbid_labels(reading->options))
        return text_reading_no_column(reading, COLUMN_OF_LABEL, err);
    return OK;
}
