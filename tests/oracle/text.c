/* text.c -- the engine's reading of text, asked by text.py.
 *
 *     text rule NAME | text tokens | text baseline TRAINING CLASSES C N_GRAMS MIN_DOCUMENTS
 *
 * Documents come on stdin, answers go to stdout, each as a u32 length and so many bytes. An answer
 * is the text after one rule, or the tokens after all, each followed by a new line. For the
 * baseline a u32 label stands before each document's length; the first TRAINING documents train, of
 * each other one the answer is its scores, a double a class. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/data/pack.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"
#include "engine/train/baseline.h"

static void append_token(void *context, const char *token, size_t len)
{
    buf_append(context, token, len);
    buf_append(context, "\n", 1);
}

static void answer(const void *bytes, size_t size)
{
    uint32_t len = (uint32_t)size;
    fwrite(&len, sizeof len, 1, stdout);
    fwrite(bytes, 1, size, stdout);
}

/* The next document, owned by the caller; NULL at the end. */
static char *next_document(uint32_t *len)
{
    if (fread(len, sizeof *len, 1, stdin) != 1)
        return NULL;
    char *document = mem_alloc((size_t)*len + 1);
    if (fread(document, 1, *len, stdin) == *len)
        return document;
    mem_free(document);
    return NULL;
}

static int read_texts(const char *rule)
{
    struct rules *rules = rules_new();
    struct tokeniser *tokeniser = tokeniser_new();
    bool is_known = true;
    uint32_t len;
    for (char *document; (document = next_document(&len)); mem_free(document)) {
        struct buf out;
        const char *text;
        size_t text_len;
        buf_init(&out, SIZE_MAX / 2);
        if (rule) {
            is_known = rules_apply_one(rules, rule, document, len, &text, &text_len);
            buf_append(&out, is_known ? text : "", is_known ? text_len : 0);
        } else {
            rules_begin(rules, document, len);
            while (rules_next(rules, &text, &text_len))
                tokeniser_split(tokeniser, text, text_len, append_token, &out);
        }
        answer(out.data, out.len);
        buf_deinit(&out);
    }
    rules_free(rules);
    tokeniser_free(tokeniser);
    return is_known ? 0 : 1;
}

/* All documents of stdin as a pack in memory. */
static enum status read_pack(uint32_t n_classes, struct pack **pack, struct err *err)
{
    int bytes = memfd_create("pack", MFD_CLOEXEC), index = memfd_create("index", MFD_CLOEXEC);
    struct pack_writer *writer = pack_writer_new(bytes, index);
    char **names = mem_alloc(n_classes * sizeof *names);
    enum status status = OK;
    uint32_t label, len, line = 0;
    for (uint32_t c = 0; c < n_classes; c++)
        names[c] = mem_printf("%08u", c);
    while (status == OK && fread(&label, sizeof label, 1, stdin) == 1) {
        char *document = next_document(&len);
        struct pack_record record = {
            .label = (int32_t)label, .split = SPLIT_TRAIN, .format = PACK_TEXT};
        char path[16]; /* the pack sorts by it */
        snprintf(path, sizeof path, "%08u", ++line);
        status = pack_writer_add(writer, &record, path, document, len, err);
        mem_free(document);
    }
    if (status == OK)
        status = pack_writer_finish(writer, (const char *const *)names, n_classes, err);
    if (status == OK)
        status = pack_open_fds(bytes, index, pack, err);
    for (uint32_t c = 0; c < n_classes; c++)
        mem_free(names[c]);
    mem_free(names);
    pack_writer_free(writer);
    close(bytes);
    close(index);
    return status;
}

static enum status answer_scores(struct pack *pack, uint32_t n_training,
                                 const struct baseline_options *options, struct err *err)
{
    struct baseline *baseline = NULL;
    uint32_t n = pack_n_items(pack), n_classes = pack_n_classes(pack);
    uint32_t *items = mem_alloc(n * sizeof *items);
    double *scores = mem_alloc(n_classes * sizeof *scores);
    for (uint32_t i = 0; i < n; i++)
        items[i] = i;
    enum status status = baseline_fit(pack, items, n_training, options, &baseline, err);
    for (uint32_t i = n_training; i < n && status == OK; i++) {
        size_t len = pack_item(pack, i)->size;
        char *text = mem_alloc(len + 1);
        status = len > 0 ? pack_read(pack, i, text, err) : OK;
        baseline_scores(baseline, text, len, scores);
        answer(scores, n_classes * sizeof *scores);
        mem_free(text);
    }
    baseline_free(baseline);
    mem_free(scores);
    mem_free(items);
    return status;
}

static int run_baseline(char **arguments)
{
    struct baseline_options options = {.c = strtod(arguments[2], NULL),
                                       .n_grams = (int)strtol(arguments[3], NULL, 10),
                                       .min_documents = (uint32_t)strtoul(arguments[4], NULL, 10)};
    struct pack *pack = NULL;
    struct err err = {0};
    enum status status = read_pack((uint32_t)strtoul(arguments[1], NULL, 10), &pack, &err);
    if (status == OK)
        status = answer_scores(pack, (uint32_t)strtoul(arguments[0], NULL, 10), &options, &err);
    if (status != OK)
        fprintf(stderr, "%s\n", err.detail);
    pack_close(pack);
    return status == OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "rule") == 0)
        return read_texts(argv[2]);
    if (argc == 2 && strcmp(argv[1], "tokens") == 0)
        return read_texts(NULL);
    if (argc == 7 && strcmp(argv[1], "baseline") == 0)
        return run_baseline(argv + 2);
    fprintf(stderr, "text rule NAME | text tokens | text baseline TRAINING CLASSES C N_GRAMS "
                    "MIN_DOCUMENTS\n");
    return 2;
}
