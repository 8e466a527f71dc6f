#include "engine/text/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/character.h"
#include "engine/text/rules_steps.h"

#define CUT_NEARBY 4096 /* bytes before a piece's end in which white space is looked for */

struct rules {
    struct work work;
    const char *rest; /* borrowed: of the document */
    size_t rest_len;
    bool is_marked; /* it has fields */
    size_t field;   /* the one that the next piece begins in, from 1 */
};

char *work_room(struct work *work, size_t bytes)
{
    int next = work->next;
    if (work->capacities[next] < bytes) {
        mem_free(work->buffers[next]);
        work->buffers[next] = mem_alloc(bytes + bytes / 4);
        work->capacities[next] = bytes + bytes / 4;
    }
    return work->buffers[next];
}

void work_take(struct work *work, size_t len)
{
    work->text = work->buffers[work->next];
    work->len = len;
    work->next = 1 - work->next;
}

static bool is_special_sign(char byte)
{
    return byte == '/' || byte == '#' || byte == '\\';
}

static void step_add_spaces(struct work *work)
{
    char *out = work_room(work, 3 * work->len + 1);
    size_t n = 0;
    for (size_t i = 0; i < work->len; i++) {
        bool special = is_special_sign(work->text[i]);
        out[n] = ' ';
        n += special;
        out[n++] = work->text[i];
        out[n] = ' ';
        n += special;
    }
    if (n != work->len)
        work_take(work, n);
}

static void step_rm_useless_spaces(struct work *work)
{
    char *out = work_room(work, work->len);
    size_t n = 0;
    for (size_t i = 0; i < work->len; i++)
        if (work->text[i] != ' ' || i == 0 || work->text[i - 1] != ' ')
            out[n++] = work->text[i];
    if (n != work->len)
        work_take(work, n);
}

static const struct {
    const char *name;
    void (*step)(struct work *work);
} steps[] = {
    {"fix_html", step_fix_html},
    {"replace_rep", step_replace_rep},
    {"replace_wrep", step_replace_wrep},
    {"spec_add_spaces", step_add_spaces},
    {"rm_useless_spaces", step_rm_useless_spaces},
    {"replace_all_caps", step_all_caps},
    {"replace_maj", step_maj},
    {"lowercase", step_lowercase},
};

struct rules *rules_new(void)
{
    return mem_alloc(sizeof(struct rules));
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    mem_free(rules->work.buffers[0]);
    mem_free(rules->work.buffers[1]);
    mem_free(rules);
}

void rules_begin(struct rules *rules, const char *document, size_t len)
{
    rules->rest = document;
    rules->rest_len = len;
    rules->is_marked = len > 0 && memchr(document, FIELD_SEPARATOR, len) != NULL;
    rules->field = 0;
    rules->work.is_first = true;
}

/* How much of the rest is the next piece: all, or up to behind the last ASCII white space before
 * RULES_PIECE, or to the end of a character. */
static size_t piece_len(const struct rules *rules)
{
    if (rules->rest_len <= RULES_PIECE)
        return rules->rest_len;
    for (size_t i = RULES_PIECE; i > RULES_PIECE - CUT_NEARBY; i--)
        if (char_is_space((uint8_t)rules->rest[i - 1]) && (uint8_t)rules->rest[i - 1] < 0x80)
            return i;
    for (size_t i = RULES_PIECE; i > RULES_PIECE - CHAR_BYTES; i--)
        if (((uint8_t)rules->rest[i] & 0xc0) != 0x80)
            return i;
    return RULES_PIECE;
}

static void repair(struct work *work, const char *bytes, size_t len)
{
    char *out = work_room(work, 3 * len + 1);
    work_take(work, text_repair(bytes, len, out));
}

/* "xxfld N " in front of each field, and a space before it where it is not the first. */
static void mark_fields(struct rules *rules)
{
    struct work *work = &rules->work;
    size_t separators = 0, n = 0;
    for (size_t i = 0; i < work->len; i++)
        separators += work->text[i] == FIELD_SEPARATOR;
    char *out = work_room(work, work->len + 24 * (separators + 2));
    if (rules->field == 0)
        n += (size_t)snprintf(out, 24, "xxfld %zu ", ++rules->field);
    for (size_t i = 0; i < work->len; i++) {
        if (work->text[i] == FIELD_SEPARATOR)
            n += (size_t)snprintf(out + n, 24, " xxfld %zu ", ++rules->field);
        else
            out[n++] = work->text[i];
    }
    work_take(work, n);
}

bool rules_next(struct rules *rules, const char **text, size_t *len)
{
    struct work *work = &rules->work;
    if (rules->rest_len == 0 && !work->is_first)
        return false;
    size_t taken = piece_len(rules);
    repair(work, rules->rest, taken);
    if (rules->is_marked)
        mark_fields(rules);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i].step(work);
    if (taken > 0)
        rules->rest += taken;
    rules->rest_len -= taken;
    work->is_first = false;
    *text = work->text;
    *len = work->len;
    return true;
}

bool rules_apply_one(struct rules *rules, const char *name, const char *bytes, size_t bytes_len,
                     const char **text, size_t *len)
{
    rules->work.is_first = true;
    repair(&rules->work, bytes, bytes_len);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (strcmp(steps[i].name, name) != 0)
            continue;
        steps[i].step(&rules->work);
        *text = rules->work.text;
        *len = rules->work.len;
        return true;
    }
    return false;
}
