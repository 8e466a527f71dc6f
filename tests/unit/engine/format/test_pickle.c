#include "tests/unit/engine/format/fixture.h"

#include <string.h>

#include "base/mem.h"
#include "engine/format/pickle.h"

static struct arena arena;
static struct pickle pickle;
static struct err err;
static uint8_t *bytes; /* exactly as long as the pickle: a sanitizer sees each byte too many */

static int set_up(void **state)
{
    (void)state;
    bytes = NULL;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    mem_free(bytes);
    return 0;
}

static enum status read_pickle(const char *text, size_t len)
{
    mem_free(bytes);
    bytes = mem_alloc(len);
    memcpy(bytes, text, len);
    err = (struct err){0};
    pickle = (struct pickle){0};
    return pickle_read(bytes, len, &arena, &pickle, &err);
}

/* A string literal, with the NULs inside. */
#define READ(text)                 read_pickle(text, sizeof(text) - 1)
#define assert_read(text)          assert_ok(READ(text), &err)
#define assert_bad(text, sentence) assert_refused(READ(text), &err, sentence)

static const struct pickle_value *item(size_t i)
{
    assert_true(i < pickle.root->u.items.n);
    return pickle.root->u.items.items[i];
}

static void numbers_of_every_width_are_read(void **state)
{
    (void)state;
    assert_read("\x80\x02(K\xffM\xff\xffJ\xfe\xff\xff\xff\x8a\x01\x80\x8a\x09\x01\0\0\0\0\0\0\0\0"
                "\x8a\0\x88\x89NG?\xf8\0\0\0\0\0\0t.");
    const int64_t expected[] = {255, 65535, -2, -128, 1, 0};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(item(i)->type, PICKLE_INT);
        assert_int_equal(item(i)->u.integer, expected[i]);
    }
    assert_true(item(6)->u.boolean);
    assert_false(item(7)->u.boolean);
    assert_int_equal(item(8)->type, PICKLE_NONE);
    assert_true(item(9)->u.real == 1.5);
}

static void dicts_lists_and_memo_are_read(void **state)
{
    (void)state;
    /* {"a": [1, 2], "b": the same list, "a": 3} */
    assert_read("}q\0(X\1\0\0\0a](K\1K\2eq\1X\1\0\0\0bh\1X\1\0\0\0aK\3u.");
    assert_int_equal(pickle.root->type, PICKLE_DICT);
    assert_int_equal(pickle_get(pickle.root, "a")->u.integer, 3);
    const struct pickle_value *list = pickle_get(pickle.root, "b");
    assert_int_equal(list->u.items.n, 2);
    assert_ptr_equal(list, item(1));
    assert_null(pickle_get(pickle.root, "c"));
    assert_null(pickle_get(list, "a"));
    assert_null(pickle_get(NULL, "a"));
}

static void an_ordered_dict_is_a_dict_and_its_attributes_are_dropped(void **state)
{
    (void)state;
    assert_read("ccollections\nOrderedDict\n)R(X\1\0\0\0aK\1u}X\1\0\0\0xK\2sb.");
    assert_int_equal(pickle.root->type, PICKLE_DICT);
    assert_int_equal(pickle_get(pickle.root, "a")->u.integer, 1);
    assert_null(pickle_get(pickle.root, "x"));
    /* as Python 2 wrote it: OrderedDict([["a", 1]]) */
    assert_read("ccollections\nOrderedDict\n](](U\1aK\1ee\x85R.");
    assert_int_equal(pickle_get(pickle.root, "a")->u.integer, 1);
}

#define STORAGE                                                                                    \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "7X\3\0\0\0cpuK\x0atQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("

static void a_tensor_is_described_not_built(void **state)
{
    (void)state;
    assert_read(REBUILD STORAGE "K\4K\2K\3\x86K\3K\1\x86\x89)tR.");
    assert_int_equal(pickle.root->type, PICKLE_TENSOR);
    const struct pickle_tensor *tensor = pickle.root->u.tensor;
    assert_int_equal(tensor->offset, 4);
    assert_int_equal(tensor->n_dims, 2);
    assert_int_equal(tensor->dims[1], 3);
    assert_int_equal(tensor->strides[0], 3);
    assert_int_equal(tensor->storage->dtype, DTYPE_F32);
    assert_int_equal(tensor->storage->n_elements, 10);
    assert_true(pickle_text_is(tensor->storage->key, "7"));
    assert_int_equal(pickle.storages.n, 1);
    assert_int_equal(pickle.used, sizeof(REBUILD STORAGE "K\4K\2K\3\x86K\3K\1\x86\x89)tR.") - 1);
}

static void malformed_tensors_are_refused(void **state)
{
    (void)state;
    assert_bad(REBUILD STORAGE "K\4K\2K\3\x86K\3\x85\x89)tR.", "malformed tensor"); /* strides */
    assert_bad(REBUILD STORAGE "J\xff\xff\xff\xffK\2\x85K\1\x85tR.", "malformed tensor");
    assert_bad(REBUILD STORAGE "K\0J\xff\xff\xff\xff\x85K\1\x85tR.", "malformed tensor");
    assert_bad(REBUILD STORAGE "K\0(KKKKKKKKKKKKKKKKKKt(KKKKKKKKKKKKKKKKKKttR.",
               "malformed tensor");
    assert_bad(REBUILD "K\1K\0K\1\x85K\1\x85tR.", "malformed tensor");
    assert_bad("ctorch._utils\n_rebuild_tensor_v2\n)R.", "malformed tensor");
    assert_bad("ctorch._utils\n_rebuild_parameter\n(K\1tR.", "malformed parameter");
    assert_bad("X\7\0\0\0storageQ.", "malformed storage");
    assert_bad("(X\7\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0"
               "7X\3\0\0\0cpuK\x0atQ.",
               "malformed storage");
}

static void a_view_must_lie_inside_its_storage(void **state)
{
    (void)state;
#define VIEW(offset, n)                                                                            \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "7X\3\0\0\0cpuK\x0a(X\1\0\0\0v" offset n "ttQ."
    assert_read(VIEW("K\4", "K\6"));
    assert_int_equal(pickle.root->u.storage->view_offset, 4);
    assert_int_equal(pickle.root->u.storage->view_elements, 6);
    assert_bad(VIEW("K\5", "K\6"), "malformed view");
    assert_bad(VIEW("K\x0b", "K\0"), "malformed view");
}

static void every_other_global_is_refused_by_name(void **state)
{
    (void)state;
    assert_bad("cos\nsystem\n(X\4\0\0\0truetR.", "os.system");
    assert_bad("cposix\nsystem\n.", "posix.system");
    assert_bad("X\2\0\0\0osX\6\0\0\0system\x93.", "os.system");
    assert_bad("cbuiltins\neval\n.", "builtins.eval");
    assert_bad("ctorch\nFloatStorages\n.", "torch.FloatStorages");
    assert_bad("ctorch._utils\nOrderedDict\n.", "torch._utils.OrderedDict");
    assert_string_not_equal(err.hint, "");
    assert_bad("ca\x1b[31m\nb\n.", "not printable");
}

static void operations_that_run_code_are_unknown(void **state)
{
    (void)state;
    assert_bad("(ios\nsystem\n.", "0x69");          /* INST */
    assert_bad("(cos\nsystem\no.", "os.system");    /* OBJ */
    assert_bad("cos\nsystem\n)\x81.", "os.system"); /* NEWOBJ */
    assert_bad("}}\x81.", "cannot be called");
    assert_bad("\x82\x01.", "0x82"); /* EXT1 */
    assert_bad("I1\n.", "0x49");     /* protocol 0 */
    assert_bad("}}R.", "cannot be called");
    assert_bad("ctorch\nFloatStorage\n)R.", "cannot be called");
    assert_bad("K\1}b.", "wrong type");
}

static void settings_of_an_optimiser_are_left_out(void **state)
{
    (void)state;
    /* fastcore's L with its items, in which a number of numpy's stands, beside a weight's place */
    assert_read("}(X\3\0\0\0optcfastcore.foundation\nL\n)\x81}X\5\0\0\0items]"
                "cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f8K\0K\1\x87R"
                "(K\3Ntbc_codecs\nencode\nX\1\0\0\0xX\6\0\0\0latin1\x86R\x86Rasb"
                "X\1\0\0\0aK\7u.");
    const struct pickle_value *opt = pickle_get(pickle.root, "opt");
    assert_int_equal(opt->type, PICKLE_NONE);
    assert_int_equal(pickle_get(pickle.root, "a")->u.integer, 7);
}

static void stack_memo_and_bytes_are_bounded(void **state)
{
    (void)state;
    assert_bad("", "cut short");
    assert_bad("K", "cut short");
    assert_bad(".", "lacks its operand");
    assert_bad("(.", "lacks its operand"); /* a mark is no value */
    assert_bad("(q\0.", "lacks its operand");
    assert_bad("t.", "a mark is missing");
    assert_bad("K\1e.", "a mark is missing");
    assert_bad("}(K\1u.", "lacks its value");
    assert_bad("K\1(K\1e.", "wrong type");
    assert_bad("h\0.", "never put");
    assert_bad("j\xff\xff\xff\xff.", "never put");
    assert_bad("K\1r\xff\xff\xff\x7f.", "too high");
    assert_bad("X\xff\xff\xff\xff.", "cut short");
    assert_bad("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short");
    assert_bad("\x8a\xff", "cut short");
    assert_bad("cos\nsystem", "cut short");
    assert_bad("\x80", "cut short");
}

static void a_list_may_hold_itself(void **state)
{
    (void)state;
    assert_read("]q\0h\0a.");
    assert_ptr_equal(item(0), pickle.root);
}

static void values_are_counted(void **state)
{
    (void)state;
    size_t n = (1u << 20) + 2;
    char *many = test_malloc(n + 1);
    memset(many, 'N', n);
    many[n] = '.';
    assert_refused(read_pickle(many, n + 1), &err, "more than");
    memset(many, '(', n);
    assert_refused(read_pickle(many, n + 1), &err, "too large");
    /* an OrderedDict of a long list, again and again: each copy counts */
    static const char list[] = "](](K\1K\1ee";
    static const char copy[] = "q\0"
                               "0ccollections\nOrderedDict\nh\0\x85R";
    size_t at = sizeof list - 1;
    memcpy(many, list, at);
    while (at + sizeof copy < n) {
        memcpy(many + at, copy, sizeof copy - 1);
        at += sizeof copy - 1;
    }
    many[at++] = '.';
    assert_int_equal(read_pickle(many, at), E_INVALID);
    test_free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_every_width_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dicts_lists_and_memo_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ordered_dict_is_a_dict_and_its_attributes_are_dropped,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tensor_is_described_not_built, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_tensors_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_view_must_lie_inside_its_storage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_other_global_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(operations_that_run_code_are_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_of_an_optimiser_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stack_memo_and_bytes_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_may_hold_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_are_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
