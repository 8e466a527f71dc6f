/* request.c -- looking things up in a request. */
#include "api/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *find(const struct pair *pairs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

const char *request_param(const struct request *request, const char *name)
{
    const char *value = find(request->params, request->n_params, name);
    return value ? value : "";
}

const char *request_field(const struct request *request, const char *name)
{
    return find(request->fields, request->n_fields, name);
}

const char *request_value(const struct request *request, const char *name)
{
    const char *value = find(request->query, request->n_query, name);
    return value ? value : request_field(request, name);
}

enum status request_integer(const struct request *request, const char *name, int64_t low,
                            int64_t high, int64_t fallback, int64_t *value, struct err *err)
{
    const char *text = request_value(request, name);
    *value = fallback;
    if (!text)
        return OK;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool is_number = (isdigit((unsigned char)*text) || *text == '-') && !*end && !errno;
    if (!is_number || number < low || number > high)
        return err_set(err, E_INVALID, "%s is \"%.40s\"; it takes an integer from %lld to %lld.",
                       name, text, (long long)low, (long long)high);
    *value = number;
    return OK;
}

enum status request_bool(const struct request *request, const char *name, bool fallback,
                         bool *value, struct err *err)
{
    const char *text = request_value(request, name);
    bool is_true = text ? !strcmp(text, "true") : fallback;
    if (text && !is_true && strcmp(text, "false") != 0)
        return err_set(err, E_SYNTAX, "%s is \"%.40s\"; it takes true or false.", name, text);
    *value = is_true;
    return OK;
}

/* Whether one element of Accept ("text/csv;q=0.5") names `type` and does not forbid it. */
static bool element_names(const char *element, size_t len, const char *type)
{
    size_t type_len = strlen(type);
    if (len < type_len || strncasecmp(element, type, type_len) != 0)
        return false;
    const char *rest = element + type_len, *end = element + len;
    while (rest < end && (*rest == ' ' || *rest == '\t'))
        rest++;
    if (rest < end && *rest != ';')
        return false;
    const char *q = memmem(rest, (size_t)(end - rest), "q=", 2);
    return !q || strtod(q + 2, NULL) > 0;
}

bool request_accepts(const struct request *request, const char *type)
{
    const char *at = request->accept ? request->accept : "";
    while (*at) {
        at += strspn(at, " \t,");
        size_t len = strcspn(at, ",");
        if (element_names(at, len, type))
            return true;
        at += len;
    }
    return false;
}
