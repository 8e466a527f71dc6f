/* pattern.h -- a client's regular expression (PCRE2, known to pattern.c alone): what its first
 * group, or its groups of certain names, match in a text. Matching is bounded, so no expression can
 * hold a worker up. */
#ifndef THAW_ENGINE_DATA_PATTERN_H
#define THAW_ENGINE_DATA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct pattern;

/* `option` is how the sentence calls it. E_INVALID: it does not compile (with the place), or has no
 * group. */
enum status pattern_new(const char *option, const char *expression, struct pattern **pattern,
                        struct err *err);
void pattern_free(struct pattern *pattern);

/* The first group's match in `text`; *found is false where there is none, or it is empty.
 * E_INVALID: the expression needs more work than one text is worth. */
enum status pattern_match(const struct pattern *pattern, const char *text, const char **group,
                          size_t *len, bool *found, struct err *err);

/* An expression with groups of names: group k of pattern_match_named is called names[k]. E_INVALID
 * as above, or when the first of them, which must be there, is not; the others may be absent. */
enum status pattern_new_named(const char *option, const char *expression, const char *const *names,
                              size_t n_names, struct pattern **pattern, struct err *err);
#define PATTERN_MAX_NAMES 4

struct pattern_group {
    const char *text; /* in the text; NULL: not matched, or no such group */
    size_t len;
};

/* `text` is `len` bytes of UTF-8. *found: the expression matches. Errors as in pattern_match. */
enum status pattern_match_named(const struct pattern *pattern, const char *text, size_t len,
                                struct pattern_group *groups, bool *found, struct err *err);

#endif
