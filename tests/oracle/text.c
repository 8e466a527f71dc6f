/* text.c -- the engine's reading of text, asked by text.py.
 *
 *     text rule NAME | text tokens
 *
 * Documents come on stdin, answers go to stdout, each as a u32 length and so many bytes. An answer
 * is the text after one rule, or the tokens after all, each followed by a new line. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"

static void append_token(void *context, const char *token, size_t len)
{
    buf_append(context, token, len);
    buf_append(context, "\n", 1);
}

static void answer(const struct buf *out)
{
    uint32_t len = (uint32_t)out->len;
    fwrite(&len, sizeof len, 1, stdout);
    fwrite(out->data, 1, out->len, stdout);
}

int main(int argc, char **argv)
{
    struct rules *rules = rules_new();
    struct tokeniser *tokeniser = tokeniser_new();
    uint32_t len;
    while (argc > 1 && fread(&len, sizeof len, 1, stdin) == 1) {
        char *document = mem_alloc((size_t)len + 1);
        struct buf out;
        const char *text;
        size_t text_len;
        buf_init(&out, SIZE_MAX / 2);
        if (fread(document, 1, len, stdin) != len)
            return 1;
        if (strcmp(argv[1], "rule") == 0) {
            if (!rules_apply_one(rules, argv[2], document, len, &text, &text_len))
                return 1;
            buf_append(&out, text, text_len);
        } else {
            rules_begin(rules, document, len);
            while (rules_next(rules, &text, &text_len))
                tokeniser_split(tokeniser, text, text_len, append_token, &out);
        }
        answer(&out);
        buf_deinit(&out);
        mem_free(document);
    }
    rules_free(rules);
    tokeniser_free(tokeniser);
    return 0;
}
