/* Items are found in an index that is not trusted: damage to its header, its classes or a record,
 * and cuts, are errors at most. */
#include "tests/unit/store/fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/pack_index.h"
#include "store/items.h"

enum { N_ITEMS = 3000, N_CLASSES = 3, TEXT = 8 };
static const char *const classes[N_CLASSES] = {"ants", "bees", "wasps"};

/* An index as the engine writes it, of texts in one file: item k is line k + 1 of class k mod 3,
 * every tenth in the validation split, and the pack has TEXT bytes of each. */
struct index {
    struct pack_header header;
    struct pack_class classes[N_CLASSES];
    struct pack_record records[N_ITEMS];
    char strings[32];
};

static struct index *make_index(void)
{
    struct index *index = mem_alloc(sizeof *index);
    struct pack_header *header = &index->header;
    *header = (struct pack_header){
        .magic = PACK_MAGIC,
        .version = PACK_TEXTS,
        .record_bytes = sizeof(struct pack_record),
        .n_items = N_ITEMS,
        .n_classes = N_CLASSES,
        .pack_bytes = N_ITEMS * TEXT,
        .classes_offset = offsetof(struct index, classes),
        .records_offset = offsetof(struct index, records),
        .strings_offset = offsetof(struct index, strings),
        .strings_len = sizeof index->strings,
        .index_bytes = sizeof *index,
    };
    size_t at = 0;
    for (int i = 0; i < N_CLASSES; i++) {
        index->classes[i] = (struct pack_class){at, strlen(classes[i])};
        at += 1 + (size_t)snprintf(index->strings + at, 8, "%s", classes[i]);
    }
    snprintf(index->strings + at, 8, "a.csv");
    for (uint32_t k = 0; k < N_ITEMS; k++)
        index->records[k] = (struct pack_record){.offset = k * TEXT,
                                                 .size = TEXT,
                                                 .label = (int32_t)(k % N_CLASSES),
                                                 .split = k % 10 ? SPLIT_TRAIN : SPLIT_VALID,
                                                 .format = PACK_TEXT,
                                                 .line = k + 1,
                                                 .path_offset = at,
                                                 .path_len = 5};
    return index;
}

static void store_file(struct fixture *f, const void *bytes, size_t n, struct blob *blob)
{
    char path[200];
    snprintf(path, sizeof path, "%s/tmp/file", f->folder);
    assert_int_equal(fs_write_file(path, bytes, n, NULL), OK);
    assert_ok(f, blob_move(f->store, path, blob, &f->err));
}

static void store_pack(struct fixture *f, struct blob *blob)
{
    char text[TEXT + 1], pack[N_ITEMS * TEXT];
    for (int k = 0; k < N_ITEMS; k++) {
        snprintf(text, sizeof text, "%4d t\xc3\xa4", k);
        memcpy(pack + k * TEXT, text, TEXT);
    }
    store_file(f, pack, sizeof pack, blob);
}

static enum status open_index(struct fixture *f, const struct blob *pack, const void *index,
                              size_t n, struct items **items)
{
    struct blob blob;
    store_file(f, index, n, &blob);
    struct dataset_row row = {
        .id = "ds", .status = DATASET_READY, .pack = pack->sha256, .index = blob.sha256};
    return items_open(f->store, &row, items, &f->err);
}

static struct items *open_good(struct fixture *f)
{
    struct index *index = make_index();
    struct items *items = NULL;
    struct blob pack;
    store_pack(f, &pack);
    assert_ok(f, open_index(f, &pack, index, sizeof *index, &items));
    mem_free(index);
    return items;
}

static void an_item_is_described_and_its_text_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct items *items = open_good(f);
    struct item item;
    const char *text;
    assert_ok(f, items_get(items, 1234, &f->arena, &item, &f->err));
    assert_string_equal(item.path, "a.csv:1235");
    assert_string_equal(item.label, classes[1234 % 3]);
    assert_string_equal(item.split, "train");
    assert_int_equal(item.bytes, TEXT);
    assert_ok(f, items_excerpt(items, &item, 100, &f->arena, &text, &f->err));
    assert_string_equal(text, "1234 t\xc3\xa4");
    assert_ok(f, items_excerpt(items, &item, TEXT - 1, &f->arena, &text, &f->err));
    assert_string_equal(text, "1234 t");
    assert_int_equal(items_get(items, N_ITEMS, &f->arena, &item, &f->err), E_NOT_FOUND);
    assert_int_equal(items_get(items, -1, &f->arena, &item, &f->err), E_NOT_FOUND);
    items_close(items);
}

static void pages_together_are_what_the_filter_lets_through(void **state)
{
    struct fixture *f = *state;
    struct items *items = open_good(f);
    struct item_filter filter = {.label = "bees", .split = "valid", .after = -1, .limit = 7};
    struct item_list list;
    int expected = 10; /* the first of both: 10 % 3 == 1 */
    do {
        assert_ok(f, items_list(items, &filter, &f->arena, &list, &f->err));
        assert_true(list.n > 0 && list.n <= filter.limit);
        for (size_t i = 0; i < list.n; i++, expected += 30)
            assert_int_equal(list.rows[i].number, expected);
        filter.after = list.rows[list.n - 1].number;
    } while (list.has_more);
    assert_int_equal(expected, 10 + N_ITEMS); /* all hundred of them */
    items_close(items);
}

static void names_that_are_not_there_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct items *items = open_good(f);
    struct item_list list;
    struct item_filter filter = {.label = "moths", .after = -1, .limit = 1};
    assert_int_equal(items_list(items, &filter, &f->arena, &list, &f->err), E_INVALID);
    assert_non_null(strstr(f->err.detail, "moths"));
    filter = (struct item_filter){.split = "dev", .after = -1, .limit = 1};
    assert_int_equal(items_list(items, &filter, &f->arena, &list, &f->err), E_INVALID);
    assert_non_null(strstr(f->err.detail, "unlabelled"));
    items_close(items);
}

/* Everything that a listing can be asked; whatever the index says, it answers or fails. */
static void ask_all(struct fixture *f, struct items *items)
{
    static const int64_t numbers[] = {0, 1, N_ITEMS / 2, N_ITEMS - 1};
    struct item item;
    struct item_list list;
    const char *text;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (items_get(items, numbers[i], &f->arena, &item, &f->err) == OK)
            (void)items_excerpt(items, &item, 64, &f->arena, &text, &f->err);
    struct item_filter filter = {.label = "wasps", .after = -1, .limit = 3};
    (void)items_list(items, &filter, &f->arena, &list, &f->err);
}

static void a_damaged_index_is_an_error_at_most(void **state)
{
    struct fixture *f = *state;
    struct index *index = make_index();
    static const unsigned char values[] = {0x7f, 0xff};
    size_t end = offsetof(struct index, records) + sizeof(struct pack_record);
    struct blob pack;
    int refused = 0;
    store_pack(f, &pack);
    for (size_t at = 0; at < end; at++)
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            unsigned char *byte = (unsigned char *)index + at, before = *byte;
            struct items *items = NULL;
            *byte = values[i];
            if (open_index(f, &pack, index, sizeof *index, &items) == OK)
                ask_all(f, items);
            else
                refused++;
            items_close(items);
            *byte = before;
        }
    assert_true(refused > 50); /* of the header's bytes */
    mem_free(index);
}

static void a_cut_index_is_refused(void **state)
{
    struct fixture *f = *state;
    struct index *index = make_index();
    static const size_t sizes[] = {0, 7, 71, 72, 104, 500, sizeof *index - 1};
    struct blob pack;
    store_pack(f, &pack);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct items *items = NULL;
        assert_int_not_equal(open_index(f, &pack, index, sizes[i], &items), OK);
        assert_null(items);
    }
    mem_free(index);
}

static void only_a_ready_dataset_has_items(void **state)
{
    struct fixture *f = *state;
    struct items *items = NULL;
    struct dataset_row row = {.id = "ds", .status = DATASET_PROCESSING};
    assert_int_equal(items_open(f->store, &row, &items, &f->err), E_CONFLICT);
    assert_non_null(strstr(f->err.detail, "processing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
        CASE(an_item_is_described_and_its_text_cut_between_characters),
        CASE(pages_together_are_what_the_filter_lets_through),
        CASE(names_that_are_not_there_are_refused_by_name),
        CASE(a_damaged_index_is_an_error_at_most),
        CASE(a_cut_index_is_refused),
        CASE(only_a_ready_dataset_has_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
