#include "tests/unit/engine/train/text_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/data/pack.h"

static const char *const subjects[2][5] = {
    {"the cat", "a dog", "the old horse", "our bird", "a fox"},
    {"the rain", "a storm", "the cold wind", "our snow", "a cloud"}};
static const char *const verbs[2][4] = {{"eats", "sleeps", "runs", "hides"},
                                        {"falls", "blows", "comes", "passes"}};
static const char *const places[4] = {"in the garden", "near the house", "every day", "at night"};

static const char *pick(struct rng *rng, const char *const *words, uint32_t n)
{
    return words[rng_below(rng, n)];
}

static void write_text(struct buf *text, int topic, int index, int sentences)
{
    struct rng rng = rng_stream("text-fixture", 1, (uint64_t)topic, (uint64_t)index);
    for (int i = 0; i < sentences; i++)
        buf_printf(text, "%s %s %s. ", pick(&rng, subjects[topic], 5), pick(&rng, verbs[topic], 4),
                   pick(&rng, places, 4));
}

/* Words index, index + step, ... of those of many letters. */
static void write_long(struct buf *text, int index, int step)
{
    for (int i = index; i < N_LONG_WORDS; i += step) {
        char word[N_LETTERS + 2];
        for (int k = 0; k < N_LETTERS; k++)
            word[k] = (char)('a' + (k < 24 ? (i >> k) & 15 : k % 20));
        for (int k = 1; k < 24; k += 4)
            memcpy(&word[k], "xyz", 3); /* no letter is repeated */
        word[N_LETTERS] = ' ';
        buf_append(text, word, N_LETTERS + 1);
    }
}

static void add_text(struct pack_writer *writer, int index, bool labelled, bool lengthy)
{
    struct buf text;
    struct err err;
    char path[32];
    int topic = index % 2;
    buf_init(&text, 1u << 20);
    if (lengthy)
        write_long(&text, index % N_UNLABELLED, N_UNLABELLED);
    write_text(&text, topic, index, labelled && index < N_LONG ? 12 : 1 + index % 3);
    struct pack_record record = {.label = labelled ? topic : PACK_NO_LABEL,
                                 .split = labelled ? SPLIT_TRAIN : SPLIT_UNLABELLED,
                                 .format = PACK_TEXT};
    snprintf(path, sizeof path, "%03d.txt", index);
    if (pack_writer_add(writer, &record, path, text.data, text.len, &err) != OK)
        fail_msg("%s", err.detail);
    buf_deinit(&text);
}

static int set_up(void **state, int labelled, bool lengthy)
{
    static const char *const names[] = {"animals", "weather"};
    struct fixture *f = mem_alloc(sizeof *f);
    struct err err;
    *f = (struct fixture){.folder = "/tmp/thaw-test-XXXXXX", .threads = 1};
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->pack, sizeof f->pack, "%s/pack", f->folder);
    snprintf(f->index, sizeof f->index, "%s/index", f->folder);
    int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    struct pack_writer *writer =
        pack_writer_new(open(f->pack, flags, 0600), open(f->index, flags, 0600));
    for (int i = 0; i < N_TEXTS + N_UNLABELLED; i++)
        add_text(writer, i, i < labelled, lengthy && i >= labelled);
    if (pack_writer_finish(writer, names, labelled > 0 ? 2 : 0, &err) != OK)
        fail_msg("%s", err.detail);
    pack_writer_free(writer);
    buf_init(&f->events, 16u << 20);
    fixture_new_run(f);
    *state = f;
    return 0;
}

int text_fixture_set_up(void **state)
{
    return set_up(state, N_TEXTS, false);
}

int text_fixture_set_up_unlabelled(void **state)
{
    return set_up(state, 0, false);
}

int text_fixture_set_up_long(void **state)
{
    return set_up(state, N_TEXTS, true);
}

int text_fixture_tear_down(void **state)
{
    fixture_deinit(*state);
    mem_free(*state);
    return 0;
}
