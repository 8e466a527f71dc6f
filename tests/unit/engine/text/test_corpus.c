/* A pack's documents as a file of tokens: made once, taken again, never trusted. */
#include "tests/unit/engine/text/text_pack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "engine/text/corpus.h"
#include "engine/text/corpus_file.h"

static const char *const texts[] = {"The cat saw the dog.",
                                    "A title\x1f"
                                    "the text",
                                    " ", "THE dog!!! Nobody"};
static const char *const words[] = {"xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep",
                                    "xxup",  "xxmaj", "the",   "cat",   "saw",   "dog",   ".",
                                    "a",     "title", "text",  "1",     "2",     "3",     "!"};
static const uint32_t order[] = {3, 0, 1, 2};

struct world {
    char folder[32];
    char path[64];
    struct pack *pack;
    struct vocab *vocab;
    struct corpus_items items;
};

static int make_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    struct err err = {0};
    snprintf(world->folder, sizeof world->folder, "/tmp/thaw-text-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/tokens", world->folder);
    world->pack = text_pack(texts, 4);
    assert_int_equal(vocab_from_words(words, ARRAY_LEN(words), &world->vocab, &err), OK);
    world->items = (struct corpus_items){world->pack, order, 4};
    *state = world;
    return 0;
}

static int remove_world(void **state)
{
    struct world *world = *state;
    struct err err = {0};
    fs_remove_tree(world->folder, &err);
    pack_close(world->pack);
    vocab_free(world->vocab);
    mem_free(world);
    return 0;
}

static struct corpus *opened(struct world *world)
{
    struct corpus *corpus = NULL;
    struct err err = {0};
    if (corpus_open(&world->items, world->vocab, world->path, NULL, &corpus, &err) != OK)
        fail_msg("%s", err.detail);
    return corpus;
}

static void assert_document(const struct corpus *corpus, uint32_t document, const char *expected)
{
    char text[256] = "";
    uint32_t n;
    const int32_t *ids = corpus_document(corpus, document, &n);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i > 0 ? " " : "", words[ids[i]]);
    }
    assert_string_equal(text, expected);
}

static void documents_are_tokens_in_the_items_order(void **state)
{
    struct corpus *corpus = opened(*state);
    assert_int_equal(corpus_n_documents(corpus), 4);
    assert_document(corpus, 0, "xxbos xxup the dog xxrep 3 ! xxmaj xxunk");
    assert_document(corpus, 1, "xxbos xxmaj the cat saw the dog .");
    assert_document(corpus, 2, "xxbos xxfld 1 a title xxfld 2 the text");
    assert_document(corpus, 3, "xxbos");
    assert_int_equal(corpus_n_tokens(corpus), 9 + 8 + 9 + 1);
    assert_int_equal(corpus_n_unknown(corpus), 1);
    uint32_t n;
    assert_ptr_equal(corpus_document(corpus, 1, &n), corpus_document(corpus, 0, &n) + 9);
    corpus_close(corpus);
}

static bool corpus_is_taken_again(struct world *world)
{
    struct corpus *corpus = opened(world);
    bool was_there = corpus_was_there(corpus);
    assert_document(corpus, 3, world->items.n == 4 ? "xxbos" : "");
    corpus_close(corpus);
    return was_there;
}

static void a_file_is_taken_again_only_if_it_fits(void **state)
{
    struct world *world = *state;
    static const uint32_t other[] = {3, 0, 1, 2};
    static const char *const fewer[] = {"xxunk", "xxpad", "xxbos"};
    struct err err = {0};
    struct corpus *corpus = NULL;
    assert_false(corpus_is_taken_again(world));
    assert_true(corpus_is_taken_again(world));
    world->items.items = other;
    assert_true(corpus_is_taken_again(world));
    static const uint32_t changed[] = {0, 3, 1, 2};
    world->items.items = changed;
    assert_false(corpus_is_taken_again(world));
    struct vocab *vocab = NULL;
    assert_int_equal(vocab_from_words(fewer, 3, &vocab, &err), OK);
    assert_int_equal(corpus_open(&world->items, vocab, world->path, NULL, &corpus, &err), OK);
    assert_false(corpus_was_there(corpus));
    assert_int_equal(corpus_n_unknown(corpus), 23);
    corpus_close(corpus);
    vocab_free(vocab);
}

/* Each byte of the file in turn is another: each time it is seen and the file made anew. */
static void damage_is_seen_and_mended(void **state)
{
    struct world *world = *state;
    corpus_close(opened(world));
    struct stat st;
    assert_int_equal(stat(world->path, &st), 0);
    for (off_t at = 0; at <= st.st_size; at += 7) {
        int fd = open(world->path, O_RDWR | O_CLOEXEC);
        char byte;
        if (at < st.st_size) {
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= 0x10;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        close(fd);
        assert_int_equal(corpus_is_taken_again(world), at >= st.st_size);
    }
    assert_int_equal(truncate(world->path, st.st_size - 4), 0);
    assert_false(corpus_is_taken_again(world));
    assert_int_equal(truncate(world->path, 3), 0);
    assert_false(corpus_is_taken_again(world));
}

static bool stop_at(void *context, uint64_t documents, uint64_t of)
{
    assert_int_equal(of, 4);
    return documents < *(uint64_t *)context;
}

static void work_that_is_stopped_leaves_nothing(void **state)
{
    struct world *world = *state;
    struct corpus *corpus = NULL;
    struct word_counts *counts = word_counts_new(0);
    for (uint64_t at = 0; at <= 4; at += 4) {
        struct corpus_watch watch = {stop_at, &at};
        struct err err = {0};
        assert_int_equal(
            corpus_open(&world->items, world->vocab, world->path, &watch, &corpus, &err),
            E_CANCELLED);
        assert_int_equal(rmdir(world->folder), 0); /* empty: no part of a file */
        assert_int_equal(mkdir(world->folder, 0700), 0);
        assert_int_equal(corpus_count(&world->items, &watch, counts, &err), E_CANCELLED);
    }
    word_counts_free(counts);
}

static void words_are_counted_over_all_documents(void **state)
{
    struct world *world = *state;
    struct word_counts *counts = word_counts_new(0);
    struct err err = {0};
    size_t n;
    assert_int_equal(corpus_count(&world->items, NULL, counts, &err), OK);
    struct word_count *sorted = word_counts_sorted(counts, &n);
    assert_int_equal(word_counts_total(counts), 27);
    assert_string_equal(sorted[0].word, "xxbos");
    assert_string_equal(sorted[1].word, "the");
    assert_int_equal(sorted[0].count, 4);
    assert_int_equal(sorted[1].count, 4);
    mem_free(sorted);
    assert_true(word_counts_known(counts, world->vocab) == 26.0 / 27);
    word_counts_free(counts);
}

static void a_full_disk_is_a_clear_error(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    struct corpus_writer *writer = corpus_writer_new(fd, 1);
    struct corpus_header header = {.n_words = 1};
    struct err err = {0};
    corpus_writer_document(writer);
    for (int i = 0; i < 100000; i++)
        corpus_writer_token(writer, 0);
    assert_int_equal(corpus_writer_status(writer, &err), E_NO_SPACE);
    assert_non_null(strstr(err.detail, "tokens could not be written"));
    assert_int_equal(corpus_writer_finish(writer, &header, &err), E_NO_SPACE);
    corpus_writer_free(writer);
    close(fd);
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(documents_are_tokens_in_the_items_order),
        IN_A_WORLD(a_file_is_taken_again_only_if_it_fits),
        IN_A_WORLD(damage_is_seen_and_mended),
        IN_A_WORLD(work_that_is_stopped_leaves_nothing),
        IN_A_WORLD(words_are_counted_over_all_documents),
        cmocka_unit_test(a_full_disk_is_a_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
