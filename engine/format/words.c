/* words.c -- lists of words, from pickles and JSON, and to a pickle. */
#include "engine/format/words.h"

#include <stdint.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "engine/format/model_text.h"
#include "engine/format/pickle.h"

#define PICKLE_BEGINS 0x80 /* the opcode PROTO */

static enum status check_word(size_t id, const char *text, size_t len, struct err *err)
{
    if (len > MODEL_MAX_WORD)
        return err_set(err, E_INVALID, "The vocabulary's word %zu is longer than %d bytes.", id,
                       MODEL_MAX_WORD);
    if (!utf8_is_valid(text, len) || memchr(text, '\0', len))
        return err_set(err, E_INVALID, "The vocabulary's word %zu is not UTF-8, or holds a NUL.",
                       id);
    return OK;
}

static enum status no_list(const char *what, struct err *err)
{
    return err_set(err, E_INVALID,
                   "The vocabulary is %s: a list of words is expected, as fastai's itos pickle or "
                   "a JSON array.",
                   what);
}

static enum status check_count(size_t n, struct err *err)
{
    if (n <= MODEL_MAX_VOCABULARY)
        return OK;
    return err_set(err, E_INVALID, "The vocabulary has %zu words; at most %d can be used.", n,
                   MODEL_MAX_VOCABULARY);
}

static enum status take_items(const struct pickle_items *items, struct json *words, struct err *err)
{
    char word[MODEL_MAX_WORD + 1];
    enum status status = check_count(items->n, err);
    for (size_t id = 0; status == OK && id < items->n; id++) {
        const struct pickle_value *item = items->items[id];
        struct pickle_text text = item->u.string;
        if (item->type != PICKLE_STRING)
            return err_set(err, E_INVALID, "The vocabulary's word %zu is no text.", id);
        status = check_word(id, text.text, text.len, err);
        if (status != OK)
            return status;
        memcpy(word, text.text, text.len);
        word[text.len] = '\0';
        json_add_string(words, word);
    }
    return status;
}

static enum status parse_pickle(const void *bytes, size_t len, struct json *words, struct err *err)
{
    struct arena arena;
    struct pickle pickle = {0};
    arena_init(&arena);
    enum status status = pickle_read_plain(bytes, len, &arena, &pickle, err);
    if (status == OK && pickle.root->type != PICKLE_LIST)
        status = no_list("a pickle of something else", err);
    if (status == OK)
        status = take_items(&pickle.root->u.items, words, err);
    arena_deinit(&arena);
    return status;
}

static enum status parse_json(const void *bytes, size_t len, struct json *words, struct err *err)
{
    struct json *array = NULL;
    size_t id = 0;
    struct err why;
    if (json_parse(bytes, len, &array, &why) != OK)
        return err_set(err, E_INVALID, "The vocabulary is no valid JSON: %s", why.detail);
    enum status status = json_type(array) == JSON_ARRAY ? check_count(json_len(array), err)
                                                        : no_list("no JSON array", err);
    for (const struct json *item = json_first(array); item && status == OK;
         item = json_next(item), id++) {
        const char *text = json_as_string(item, NULL);
        status = text ? check_word(id, text, strlen(text), err)
                      : err_set(err, E_INVALID, "The vocabulary's word %zu is no text.", id);
        if (status == OK)
            json_add_string(words, text);
    }
    json_free(array);
    return status;
}

enum status words_parse(const void *bytes, size_t len, struct json **words, struct err *err)
{
    const unsigned char *first = bytes;
    static const char json_begins[] = {'[', ' ', '\t', '\r', '\n'};
    if (len == 0)
        return no_list("empty", err);
    if (*first != PICKLE_BEGINS && !memchr(json_begins, *first, sizeof json_begins))
        return no_list("neither a pickle nor JSON", err);
    struct json *list = json_new_array();
    enum status status = *first == PICKLE_BEGINS ? parse_pickle(bytes, len, list, err)
                                                 : parse_json(bytes, len, list, err);
    if (status == OK)
        *words = list;
    else
        json_free(list);
    return status;
}

enum status words_read_file(const char *path, struct json **words, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, WORDS_MAX_BYTES);
    enum status status = fs_read_file(path, &bytes, err);
    if (status == E_TOO_LARGE)
        status =
            err_set(err, E_TOO_LARGE, "The vocabulary has more than %u bytes.", WORDS_MAX_BYTES);
    if (status == OK)
        status = words_parse(bytes.data, bytes.len, words, err);
    buf_deinit(&bytes);
    return status;
}

/* PROTO 3, EMPTY_LIST, MARK, BINUNICODE word ..., APPENDS, STOP. */
enum status words_write_pickle(const char *path, const struct json *words, struct err *err)
{
    struct buf out;
    buf_init(&out, WORDS_MAX_BYTES);
    buf_append(&out, "\x80\x03](", 4);
    json_each(word, words)
    {
        const char *text = json_as_string(word, "");
        uint32_t len = (uint32_t)strlen(text);
        buf_append(&out, "X", 1);
        buf_append(&out, &len, sizeof len);
        buf_append(&out, text, len);
    }
    buf_append(&out, "e.", 2);
    enum status status =
        out.overflow
            ? err_set(err, E_TOO_LARGE, "The vocabulary has more than %u bytes.", WORDS_MAX_BYTES)
            : fs_write_file(path, out.data, out.len, err);
    buf_deinit(&out);
    return status;
}
