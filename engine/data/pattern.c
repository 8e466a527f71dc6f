/* pattern.c -- see pattern.h. */
#include "engine/data/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define MATCH_LIMIT  100000
#define DEPTH_LIMIT  1000
#define HEAP_LIMIT   1024 /* KiB */
#define LENGTH_LIMIT 1000 /* bytes of an expression */

struct pattern {
    char option[40];
    pcre2_code *code;             /* owned */
    pcre2_match_data *found;      /* owned */
    pcre2_match_context *limit;   /* owned */
    int named[PATTERN_MAX_NAMES]; /* numbers of the named groups; 0: there is none of that name */
    size_t n_named;
};

static enum status refuse(struct err *err)
{
    err_name(err, "bad_pattern", "An example: ([^/]+)_\\d+\\.jpg$");
    return E_INVALID;
}

static enum status compile(struct pattern *pattern, const char *expression, struct err *err)
{
    int code;
    PCRE2_SIZE at;
    uint32_t groups = 0;
    if (strlen(expression) > LENGTH_LIMIT) {
        err_set(err, E_INVALID, "%s has more than %d bytes.", pattern->option, LENGTH_LIMIT);
        return refuse(err);
    }
    pattern->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!pattern->code) {
        char why[120] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        err_set(err, E_INVALID, "%s is no regular expression: %s, at character %zu.",
                pattern->option, why, (size_t)at);
        return refuse(err);
    }
    pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups > 0)
        return OK;
    err_set(err, E_INVALID, "%s has no group: put what you want of the path into parentheses.",
            pattern->option);
    return refuse(err);
}

enum status pattern_new(const char *option, const char *expression, struct pattern **out,
                        struct err *err)
{
    struct pattern *pattern = mem_alloc(sizeof *pattern);
    snprintf(pattern->option, sizeof pattern->option, "%s", option);
    enum status status = compile(pattern, expression, err);
    if (status) {
        pattern_free(pattern);
        return status;
    }
    pattern->found = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pattern->limit = pcre2_match_context_create(NULL);
    if (!pattern->found || !pattern->limit) {
        pattern_free(pattern);
        return err_set(err, E_NO_SPACE, "There is no memory for a regular expression.");
    }
    pcre2_set_match_limit(pattern->limit, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->limit, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->limit, HEAP_LIMIT);
    *out = pattern;
    return OK;
}

void pattern_free(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->limit);
    pcre2_match_data_free(pattern->found);
    pcre2_code_free(pattern->code);
    mem_free(pattern);
}

enum status pattern_new_named(const char *option, const char *expression, const char *const *names,
                              size_t n_names, struct pattern **out, struct err *err)
{
    struct pattern *pattern = NULL;
    enum status status = pattern_new(option, expression, &pattern, err);
    if (status)
        return status;
    for (size_t i = 0; i < n_names; i++) {
        int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)names[i]);
        pattern->named[i] = number > 0 ? number : 0;
    }
    pattern->n_named = n_names;
    if (pattern->named[0]) {
        *out = pattern;
        return OK;
    }
    pattern_free(pattern);
    err_set(err, E_INVALID, "%s has no group called \"%s\".", option, names[0]);
    err_name(err, "bad_pattern", "An example: (?<label>[A-Z]+):(?<text>.*)");
    return E_INVALID;
}

static enum status not_matched(const struct pattern *pattern, int code, const char *text,
                               struct err *err)
{
    char why[120] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    err_set(err, E_INVALID, "%s cannot be matched with \"%.200s\": %s.", pattern->option, text,
            why);
    return refuse(err);
}

enum status pattern_match_named(const struct pattern *pattern, const char *text, size_t len,
                                struct pattern_group *groups, bool *found, struct err *err)
{
    int n = pcre2_match(pattern->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_UTF_CHECK, pattern->found,
                        pattern->limit);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(pattern->found);
    *found = n > 0;
    if (n <= 0 && n != PCRE2_ERROR_NOMATCH)
        return not_matched(pattern, n, text, err);
    for (size_t i = 0; i < pattern->n_named; i++) {
        int k = pattern->named[i];
        bool matched = *found && k > 0 && k < n && at[2 * k] != PCRE2_UNSET;
        groups[i] = (struct pattern_group){0};
        if (matched && at[2 * k + 1] >= at[2 * k])
            groups[i] = (struct pattern_group){text + at[2 * k], at[2 * k + 1] - at[2 * k]};
    }
    return OK;
}

enum status pattern_match(const struct pattern *pattern, const char *text, const char **group,
                          size_t *len, bool *found, struct err *err)
{
    int n = pcre2_match(pattern->code, (PCRE2_SPTR)text, strlen(text), 0, 0, pattern->found,
                        pattern->limit);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(pattern->found);
    *found = n > 1 && at[2] != PCRE2_UNSET && at[3] > at[2];
    if (*found) {
        *group = text + at[2];
        *len = at[3] - at[2];
        return OK;
    }
    if (n > 0 || n == PCRE2_ERROR_NOMATCH)
        return OK;
    return not_matched(pattern, n, text, err);
}
