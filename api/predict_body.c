#include "api/predict_body.h"

#include <stdio.h>
#include <string.h>

#include "api/spec/wire.h"
#include "base/buf.h"
#include "base/nearest.h"

static const char *const keys[] = {"text", "texts", "top_k", "next", "temperature", "seed"};

static enum status check_keys(const struct json *body, struct err *err)
{
    if (json_type(body) != JSON_OBJECT)
        return err_set(err, E_SYNTAX,
                       "The body is %s; it has to be an object, {\"text\": ...} or {\"texts\": "
                       "[...]}.",
                       json_type_name(json_type(body)));
    json_each(member, body)
    {
        struct nearest nearest = {.word = json_key(member)};
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            known |= strcmp(keys[i], json_key(member)) == 0;
            nearest_offer(&nearest, keys[i]);
        }
        if (!known)
            return err_set(err, E_SYNTAX, "There is no \"%.60s\" here%s%s%s.", json_key(member),
                           nearest.best ? "; did you mean \""
                                        : ": it takes text or texts, top_k, "
                                          "next, temperature and seed",
                           nearest.best ? nearest.best : "", nearest.best ? "\"" : "");
    }
    return OK;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static enum status read_integer(const struct json *body, const char *key, int64_t low, int64_t high,
                                int64_t *value, struct err *err)
{
    const struct json *given = json_get(body, key);
    char pointer[32];
    if (!given)
        return OK;
    snprintf(pointer, sizeof pointer, "/%s", key);
    double number = json_as_number(given, -1);
    if (!json_is_integer(given) || number < (double)low || number > (double)high)
        return err_at(err, E_INVALID, pointer, "\"%s\" takes a whole number in %lld..%lld.", key,
                      (long long)low, (long long)high);
    *value = (int64_t)number;
    return OK;
}

static enum status read_wish(const struct json *body, struct predict_wish *wish, struct err *err)
{
    const struct json *temperature = json_get(body, "temperature");
    enum status status = read_integer(body, "top_k", 1, PREDICT_MAX_TOP_K, &wish->top_k, err);
    if (!status)
        status = read_integer(body, "next", 0, PREDICT_MAX_NEXT, &wish->next, err);
    if (!status)
        status = read_integer(body, "seed", 0, JSON_MAX_INTEGER, &wish->seed, err);
    if (status || !temperature)
        return status;
    wish->temperature = json_as_number(temperature, -1);
    if (wish->temperature >= 0 && wish->temperature <= PREDICT_MAX_TEMPERATURE)
        return OK;
    return err_at(err, E_INVALID, "/temperature",
                  "\"temperature\" takes a number in 0..%g: 0 is always the most probable word, 1 "
                  "what the model holds probable.",
                  PREDICT_MAX_TEMPERATURE);
}

/* --- Texts ------------------------------------------------------------------------------------ */

static enum status no_text(const char *pointer, const char *what, struct err *err)
{
    return err_at(err, E_INVALID, pointer,
                  "The text is %s: a string is expected, or a list of strings, the fields of one "
                  "text.",
                  what);
}

static enum status join(const struct json *given, const char *pointer, struct buf *out,
                        struct err *err)
{
    const char separator = PREDICT_FIELD_SEPARATOR;
    if (json_type(given) == JSON_STRING) {
        buf_puts(out, json_as_string(given, ""));
        return OK;
    }
    if (json_type(given) != JSON_ARRAY || json_len(given) == 0)
        return no_text(pointer, given ? json_type_name(json_type(given)) : "missing", err);
    json_each(field, given)
    {
        if (json_type(field) != JSON_STRING)
            return no_text(pointer, "a list with something else in it", err);
        if (field != json_first(given))
            buf_append(out, &separator, 1);
        buf_puts(out, json_as_string(field, ""));
    }
    return OK;
}

static bool is_blank(const struct buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (!strchr(" \t\r\n\x1f", text->data[i]))
            return false;
    return true;
}

static enum status read_text(const struct json *given, const char *pointer, struct arena *arena,
                             struct predict_text *text, struct err *err)
{
    struct buf joined;
    buf_init(&joined, WIRE_MAX_TEXT);
    enum status status = join(given, pointer, &joined, err);
    if (!status && joined.overflow)
        status =
            err_at(err, E_TOO_LARGE, pointer, "The text has more than %u bytes.", WIRE_MAX_TEXT);
    if (!status && is_blank(&joined))
        status = err_at(err, E_INVALID, pointer, "The text is empty.");
    if (!status)
        *text = (struct predict_text){arena_strndup(arena, joined.data, joined.len), joined.len};
    buf_deinit(&joined);
    return status;
}

static enum status read_list(const struct json *list, struct arena *arena,
                             struct predict_text **texts, size_t *n, struct err *err)
{
    size_t i = 0;
    enum status status = OK;
    if (json_type(list) != JSON_ARRAY || json_len(list) == 0 || json_len(list) > PREDICT_MAX_TEXTS)
        return err_at(err, E_INVALID, "/texts", "\"texts\" takes a list of 1 to %d texts.",
                      PREDICT_MAX_TEXTS);
    *n = json_len(list);
    *texts = arena_alloc(arena, *n * sizeof **texts);
    for (const struct json *given = json_first(list); given && !status; given = json_next(given)) {
        status = read_text(given, arena_printf(arena, "/texts/%zu", i), arena, &(*texts)[i], err);
        i++;
    }
    return status;
}

enum status predict_body_read(const struct json *body, struct arena *arena,
                              struct predict_wish *wish, struct predict_text **texts, size_t *n,
                              struct err *err)
{
    enum status status = check_keys(body, err);
    if (!status)
        status = read_wish(body, wish, err);
    if (status)
        return status;
    const struct json *one = json_get(body, "text"), *list = json_get(body, "texts");
    if (!one == !list)
        return err_set(err, E_INVALID,
                       one ? "\"text\" and \"texts\" are both given: send one."
                           : "There is no text: send {\"text\": ...} or "
                             "{\"texts\": [...]}.");
    if (list)
        return read_list(list, arena, texts, n, err);
    *n = 1;
    *texts = arena_alloc(arena, sizeof **texts);
    return read_text(one, "/text", arena, *texts, err);
}
