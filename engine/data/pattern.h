/* pattern.h -- a client's regular expression (PCRE2, known to pattern.c alone): what its first
 * group matches in a text. Matching is bounded, so no expression can hold a worker up. */
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

#endif
