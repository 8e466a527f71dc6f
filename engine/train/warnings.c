#include "engine/train/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define UNBALANCED 20 /* times */

void warnings_add(struct warnings *warnings, const char *code, const char *format, ...)
{
    if (warnings->n == WARNINGS_MAX)
        return;
    struct warning *warning = &warnings->list[warnings->n++];
    snprintf(warning->code, sizeof warning->code, "%s", code);
    va_list args;
    va_start(args, format);
    vsnprintf(warning->detail, sizeof warning->detail, format, args);
    va_end(args);
}

struct json *warnings_json(const struct warnings *warnings)
{
    struct json *list = json_new_array();
    for (int i = 0; i < warnings->n; i++) {
        struct json *object = json_add_object(list);
        json_set_string(object, "code", warnings->list[i].code);
        json_set_string(object, "detail", warnings->list[i].detail);
    }
    return list;
}

/* Items of each class among `items`; (classes), to be freed. */
static uint32_t *count_classes(const struct pack *pack, const uint32_t *items, uint32_t n)
{
    uint32_t *counts = mem_alloc((size_t)pack_n_classes(pack) * sizeof *counts);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *labels;
        uint32_t n_labels = pack_labels(pack, items[i], &labels);
        for (uint32_t k = 0; k < n_labels; k++)
            counts[labels[k]]++;
    }
    return counts;
}

static void warn_without_validation(struct warnings *warnings, const struct pack *pack,
                                    const uint32_t *train, const uint32_t *valid)
{
    uint32_t missing = 0, first = 0;
    for (uint32_t i = pack_n_classes(pack); i-- > 0;) {
        if (train[i] == 0 || valid[i] > 0)
            continue;
        first = i;
        missing++;
    }
    char others[48] = "";
    if (missing > 1)
        snprintf(others, sizeof others, " and %u other class(es)", missing - 1);
    if (missing > 0)
        warnings_add(warnings, "class_without_validation",
                     "Class \"%.100s\"%s has no validation items: the scores say nothing about "
                     "it. Add items to the validation split, or leave the split to valid_fraction.",
                     pack_class_name(pack, first), others);
}

static void warn_unbalanced(struct warnings *warnings, const struct pack *pack,
                            const uint32_t *train)
{
    uint32_t least = 0, most = 0;
    bool found = false;
    for (uint32_t i = 0; i < pack_n_classes(pack); i++) {
        if (train[i] == 0)
            continue;
        if (!found || train[i] < train[least])
            least = i;
        if (!found || train[i] > train[most])
            most = i;
        found = true;
    }
    if (found && train[most] > (uint64_t)UNBALANCED * train[least])
        warnings_add(warnings, "unbalanced_classes",
                     "Class \"%.100s\" has %u training items, class \"%.100s\" only %u: rare "
                     "classes may never be predicted. Consider \"class_weights\": \"balanced\" or "
                     "\"sampler\": \"balanced\".",
                     pack_class_name(pack, most), train[most], pack_class_name(pack, least),
                     train[least]);
}

/* One letter or digit, or any single character beyond ASCII. */
static bool is_one_character(const char *name)
{
    unsigned char first = (unsigned char)*name++;
    bool digit = first >= '0' && first <= '9';
    bool letter = (first | 32) >= 'a' && (first | 32) <= 'z';
    if (!digit && !letter && first < 0x80)
        return false;
    while (((unsigned char)*name & 0xc0) == 0x80) /* the rest of a UTF-8 character */
        name++;
    return *name == '\0';
}

static void warn_mirrored(struct warnings *warnings, const struct pack *pack, double flip)
{
    uint32_t n = pack_n_classes(pack);
    for (uint32_t i = 0; i < n; i++)
        if (!is_one_character(pack_class_name(pack, i)))
            return;
    if (n > 0 && flip > 0)
        warnings_add(warnings, "flip_mirrors_characters",
                     "The classes are single characters (\"%s\", ...), and pictures are flipped "
                     "with probability %g: a mirrored character is often another one, or none. "
                     "Say \"augment\": {\"flip\": 0}.",
                     pack_class_name(pack, 0), flip);
}

void warnings_before(struct warnings *warnings, const struct pack *pack, const struct split *split,
                     double flip, bool remedied)
{
    uint32_t *train = count_classes(pack, split->train, split->n_train);
    uint32_t *valid = count_classes(pack, split->valid, split->n_valid);
    if (split->n_valid > 0)
        warn_without_validation(warnings, pack, train, valid);
    if (!remedied)
        warn_unbalanced(warnings, pack, train);
    warn_mirrored(warnings, pack, flip);
    mem_free(train);
    mem_free(valid);
}
