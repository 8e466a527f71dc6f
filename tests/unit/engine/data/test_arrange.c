/* Where labels come from: folders, file names, tables; and what belongs together. */
#include "tests/unit/engine/data/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/data/arrange.h"

/* An archive's members and its table of labels, arranged. */
struct scene {
    const char *const *members;
    const char *options;            /* JSON; NULL: none */
    const char *table_name, *table; /* NULL: none */
    struct arrangement arrangement; /* of `scene_arrange` */
    struct pack_writer *writer;
    struct buf rejected; /* "PATH: REASON\n" of each */
    struct err err;
};
#define MEMBERS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void on_rejected(void *context, const char *path, const char *reason)
{
    struct scene *scene = context;
    buf_printf(&scene->rejected, "%s: %s\n", path, reason);
}

static enum status scene_arrange(void **state, struct scene *scene)
{
    struct json *options = NULL;
    struct labelling labelling;
    char *path = fixture_path(state, "pack");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    const char *text = scene->options ? scene->options : "{}";
    assert_true(fd >= 0);
    mem_free(path);
    buf_init(&scene->rejected, 1 << 16);
    assert_int_equal(json_parse(text, strlen(text), &options, &scene->err), OK);
    scene->writer = pack_writer_new(fd, -1);
    for (const char *const *member = scene->members; *member; member++) {
        struct pack_record record = {.split = N_SPLITS, .label = PACK_NO_LABEL};
        assert_int_equal(pack_writer_add(scene->writer, &record, *member, *member, 1, &scene->err),
                         OK);
    }
    enum status status = labelling_init(&labelling, options, &scene->err);
    if (!status && scene->table)
        status = label_table_add(labelling.table, scene->table_name, scene->table,
                                 strlen(scene->table), on_rejected, scene, &scene->err);
    if (!status)
        status = arrange(scene->writer, &labelling, on_rejected, scene, &scene->arrangement,
                         &scene->err);
    labelling_deinit(&labelling);
    json_free(options);
    close(fd);
    return status;
}

static void scene_end(struct scene *scene)
{
    arrangement_deinit(&scene->arrangement);
    pack_writer_free(scene->writer);
    buf_deinit(&scene->rejected);
}

/* The class of member number `item`, or what else became of it. */
static const char *label_of(const struct scene *scene, uint32_t item)
{
    const struct pack_record *record = pack_writer_item(scene->writer, item);
    if (record->split == N_SPLITS)
        return "(rejected)";
    return record->label < 0 ? "(none)" : scene->arrangement.class_names[record->label];
}

static enum pack_split split_of(const struct scene *scene, uint32_t item)
{
    return (enum pack_split)pack_writer_item(scene->writer, item)->split;
}

static void arranged(void **state, struct scene *scene)
{
    if (scene_arrange(state, scene))
        fail_msg("%s", scene->err.detail);
}

static void refused(void **state, struct scene scene, const char *sentence)
{
    assert_int_equal(scene_arrange(state, &scene), E_INVALID);
    assert_string_equal(scene.err.detail, sentence);
    scene_end(&scene);
}

static void file_names_give_labels_where_a_pattern_says_so(void **state)
{
    struct scene scene = {.members = MEMBERS("images/great_dane_1.jpg", "images/pug_2.jpg",
                                             "images/pug_10.jpg", "images/readme.jpg"),
                          .options = "{\"label_regex\": \"([^/]+)_\\\\d+\\\\.jpg$\"}"};
    arranged(state, &scene);
    assert_string_equal(label_of(&scene, 0), "great_dane");
    assert_string_equal(label_of(&scene, 1), "pug");
    assert_string_equal(label_of(&scene, 2), "pug");
    assert_string_equal(label_of(&scene, 3), "(rejected)");
    assert_string_equal(scene.rejected.data,
                        "images/readme.jpg: label_regex finds no label in its path.\n");
    assert_int_equal(split_of(&scene, 0), SPLIT_TRAIN);
    scene_end(&scene);
}

static void folders_still_say_the_split_where_a_pattern_says_the_label(void **state)
{
    struct scene scene = {.members = MEMBERS("set/train/a_1.jpg", "set/valid/b_2.jpg",
                                             "set/train/b_3.jpg", "set/test/no.jpg"),
                          .options = "{\"label_regex\": \"([ab])_\\\\d\"}"};
    arranged(state, &scene);
    assert_int_equal(split_of(&scene, 0), SPLIT_TRAIN);
    assert_int_equal(split_of(&scene, 1), SPLIT_VALID);
    assert_string_equal(label_of(&scene, 1), "b");
    assert_int_equal(split_of(&scene, 3), SPLIT_UNLABELLED);
    scene_end(&scene);
}

static void a_table_gives_labels_and_splits(void **state)
{
    struct scene scene = {.members = MEMBERS("s/1.png", "s/2.png", "s/3.png", "s/4.png", "s/5.png"),
                          .table_name = "s/labels.csv",
                          .table = "Path,Label,split\r\n1.png,cat,train\r\n./2.png,dog ,\r\n"
                                   "3.png,\"cat\",valid\r\n4.png,,test\r\n7.png,cat,\r\n"
                                   "1.png,dog,\r\n9.png,cat,sometimes\r\n"};
    arranged(state, &scene);
    assert_string_equal(label_of(&scene, 0), "cat");
    assert_string_equal(label_of(&scene, 1), "dog");
    assert_int_equal(split_of(&scene, 1), SPLIT_TRAIN);
    assert_int_equal(split_of(&scene, 2), SPLIT_VALID);
    assert_int_equal(split_of(&scene, 3), SPLIT_UNLABELLED);
    assert_string_equal(
        scene.rejected.data,
        "s/labels.csv, line 8: Its split \"sometimes\" is none of train, valid and test.\n"
        "s/1.png: Two rows of the tables are about it.\n"
        "s/5.png: The table of labels has no row for it.\n"
        "s/7.png: A table of labels names it, but the archive has no such picture.\n");
    scene_end(&scene);
}

static void json_lines_are_a_table_too(void **state)
{
    struct scene scene = {.members = MEMBERS("train/1.png", "train/2.png", "train/3.png"),
                          .table_name = "train/metadata.jsonl",
                          .table =
                              "{\"file_name\": \"1.png\", \"label\": 7}\n\n"
                              "{\"file_name\": \"2.png\", \"label\": \"x\", \"is_valid\": true}\n"
                              "{\"file_name\": \"3.png\", \"label\": [\"x\"], \"width\": 3}"};
    arranged(state, &scene);
    assert_string_equal(label_of(&scene, 0), "7");
    assert_string_equal(label_of(&scene, 2), "x");
    assert_int_equal(split_of(&scene, 1), SPLIT_VALID);
    scene_end(&scene);
}

static void several_labels_become_a_set(void **state)
{
    struct scene scene = {.members = MEMBERS("1.png", "2.png", "3.png", "4.png"),
                          .table_name = "labels.csv",
                          .table = "fname,labels,is_valid\n1.png,tree;car ; tree,False\n"
                                   "2.png,car,False\n3.png,,False\n4.png,boat;car,True\n"};
    arranged(state, &scene);
    assert_int_equal(scene.arrangement.n_classes, 2);
    assert_string_equal(scene.arrangement.class_names[0], "car");
    assert_int_equal(scene.arrangement.class_items[0], 3);
    assert_int_equal(scene.arrangement.class_items[1], 1);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(pack_writer_item(scene.writer, i)->label_set > 0);
    assert_string_equal(label_of(&scene, 2), "(none)");
    assert_int_equal(split_of(&scene, 2), SPLIT_TRAIN); /* none of the classes is an answer too */
    assert_int_equal(scene.rejected.len, 0);
    scene_end(&scene);
}

static void a_table_that_cannot_be_read_says_what_and_where(void **state)
{
    struct scene scene = {.members = MEMBERS("1.png"), .table_name = "labels.csv"};
    scene.table = "picture,what\n1.png,cat\n";
    refused(state, scene,
            "labels.csv has no column \"path\" and \"label\"; it has: picture, what.");
    scene.options = "{\"label_column\": \"what\"}";
    refused(state, scene, "labels.csv has no column \"path\"; it has: picture, what.");
    scene.options = NULL;
    scene.table = "path,label\n1.png,cat,and more\n";
    refused(state, scene, "labels.csv: Line 2 has more than 2 fields.");
    scene.table = "path,label\n1.png,caf\xe9\n";
    refused(state, scene, "labels.csv is not in UTF-8, on line 2.");
    scene.table_name = "metadata.jsonl";
    scene.table = "{\"file_name\": \"1.png\", \"label\": 1}\n[1]\n";
    refused(state, scene, "metadata.jsonl, line 2: this is an array, not an object.");
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct scene scene = {.members = MEMBERS("a/1.png", "b/2.png")};
    scene.options = "{\"label_regex\": \"(a\"}";
    refused(state, scene,
            "label_regex is no regular expression: missing closing parenthesis, at character 2.");
    scene.options = "{\"label_regex\": \"a+\"}";
    refused(state, scene,
            "label_regex has no group: put what you want of the path into parentheses.");
    scene.options = "{\"group_column\": \"patient\"}";
    refused(state, scene,
            "label_column and group_column name columns of a table, but the archive has no rows in "
            "a labels.csv, metadata.csv or metadata.jsonl.");
    scene.options = "{\"label_regex\": \"(a)\", \"label_column\": \"x\"}";
    refused(state, scene,
            "label_regex and label_column exclude each other: one looks at paths, the other at a "
            "table of labels.");
}

static void a_pattern_that_never_ends_is_stopped(void **state)
{
    struct scene scene = {
        .members = MEMBERS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!.jpg"),
        .options = "{\"label_regex\": \"(a+)+$\"}"};
    assert_int_equal(scene_arrange(state, &scene), E_INVALID);
    assert_non_null(strstr(scene.err.detail, "match limit exceeded"));
    scene_end(&scene);
}

#define IN_A_FOLDER(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, fixture_folder_make, fixture_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(file_names_give_labels_where_a_pattern_says_so),
        IN_A_FOLDER(folders_still_say_the_split_where_a_pattern_says_the_label),
        IN_A_FOLDER(a_table_gives_labels_and_splits),
        IN_A_FOLDER(json_lines_are_a_table_too),
        IN_A_FOLDER(several_labels_become_a_set),
        IN_A_FOLDER(a_table_that_cannot_be_read_says_what_and_where),
        IN_A_FOLDER(options_that_cannot_be_are_refused),
        IN_A_FOLDER(a_pattern_that_never_ends_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
