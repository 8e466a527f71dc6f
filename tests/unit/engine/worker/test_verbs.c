/* Every verb in turn, over a wire: drawn pictures become a data set, a model, an answer; and all
 * that is said on the way is what api/spec/wire.h allows. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/spec/wire.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/pack.h"
#include "engine/worker/verb.h"

struct fixture {
    char folder[64];
    int parent, child;
    struct report *report;
};

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    memcpy(f->folder, "/tmp/thaw-test-XXXXXX", sizeof "/tmp/thaw-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f->parent = fds[0];
    f->child = fds[1];
    f->report = report_new_wire(f->child);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct err err;
    report_free(f->report);
    close(f->parent);
    close(f->child);
    assert_int_equal(fs_remove_tree(f->folder, &err), OK);
    mem_free(f);
    return 0;
}

/* A document: text with ' for " and $ for the test's folder. */
static struct json *document(const struct fixture *f, const char *text)
{
    struct buf out;
    struct err err = {0};
    struct json *json = NULL;
    buf_init(&out, 1u << 16);
    for (const char *c = text; *c; c++)
        buf_printf(&out, *c == '$' ? "%s" : "%.1s", *c == '$' ? f->folder : *c == '\'' ? "\"" : c);
    if (json_parse(out.data, out.len, &json, &err) != OK)
        fail_msg("%s: %s", out.data, err.detail);
    buf_deinit(&out);
    return json;
}

static void run(struct fixture *f, const struct verb *verb, const char *text)
{
    struct err err = {0};
    struct json *doc = document(f, text);
    if (verb->run(f->report, doc, &err) != OK)
        fail_msg("%s: %s", verb->name, err.detail);
    json_free(doc);
}

/* The next header up, checked as thawd checks it (which never runs synth). */
static struct json *heard(struct fixture *f)
{
    struct err err = {0};
    struct frame frame;
    assert_int_equal(frame_read(f->parent, 0, &frame, &err), OK);
    if (!json_get(frame.header, "set") && wire_check_up(frame.header, &err) != OK)
        fail_msg("%s", err.detail);
    struct json *header = frame.header;
    frame.header = NULL;
    frame_deinit(&frame);
    return header;
}

/* Reads up to the header of a type, which is returned; counts those of type `counted`. */
static struct json *heard_until(struct fixture *f, const char *type, const char *counted, int *n)
{
    for (;;) {
        struct json *header = heard(f);
        const char *actual = json_string(header, "type", "");
        if (n)
            *n += strcmp(actual, counted) == 0;
        if (strcmp(actual, type) == 0)
            return header;
        json_free(header);
    }
}

static void make_pack(struct fixture *f)
{
    run(f, &verb_synth,
        "{'verb':'synth','out':'$/drawn.zip','set':'a','classes':2,'per_class':12,'valid':4,"
        "'size':32,'seed':1,'format':'jpeg'}");
    json_free(heard_until(f, "result", NULL, NULL));
    run(f, &verb_ingest,
        "{'verb':'ingest','upload':'$/drawn.zip','out':'$','options':{},'skip':[],'limits':{}}");
    json_free(heard_until(f, "result", NULL, NULL));
}

static void read_first_picture(struct fixture *f, struct buf *image)
{
    struct err err = {0};
    struct pack *pack;
    char *path = mem_printf("%s/pack", f->folder), *index = mem_printf("%s/index", f->folder);
    if (pack_open(path, index, &pack, &err) != OK)
        fail_msg("%s", err.detail);
    size_t size = pack_item(pack, 0)->size;
    char *bytes = mem_alloc(size);
    assert_int_equal(pack_read(pack, 0, bytes, &err), OK);
    buf_init(image, size);
    assert_true(buf_append(image, bytes, size));
    mem_free(bytes);
    pack_close(pack);
    mem_free(path);
    mem_free(index);
}

#define DOCUMENT(verb)                                                                             \
    "{'verb':'" verb "','pack':'$/pack','index':'$/index','weights':null,'out':'$','threads':2,"   \
    "'spec':{'dataset':'ds_x','model':'thaw-small','weights':'random','batch_size':8,"             \
    "'image':{'size':32},'preset':'fine_tune','epochs':1}}"
#define TRAIN DOCUMENT("train")
#define PLAN  DOCUMENT("plan")

static void ask(struct fixture *f, const char *type, int id, const struct buf *image)
{
    struct err err;
    struct json *header = json_new_object();
    json_set_string(header, "type", type);
    if (image) {
        json_set_integer(header, "id", id);
        json_set_integer(header, "top_k", 2);
    }
    assert_int_equal(
        frame_write(f->parent, header, image ? image->data : NULL, image ? image->len : 0, &err),
        OK);
    json_free(header);
}

static void check_answer(struct fixture *f, int id, bool good)
{
    struct json *answer = heard_until(f, "prediction", NULL, NULL);
    const struct json *list = json_get(answer, "predictions");
    assert_int_equal(json_integer(answer, "id", -1), id);
    if (good) {
        assert_int_equal(json_len(list), 2);
        double first = json_number(json_at(list, 0), "probability", -1);
        assert_true(first >= json_number(json_at(list, 1), "probability", 2));
        assert_true(strlen(json_string(json_at(list, 0), "label", "")) > 0);
    } else {
        assert_null(list);
        assert_string_equal(json_string(answer, "status", ""), "invalid");
        assert_true(strlen(json_string(answer, "detail", "")) > 20);
    }
    json_free(answer);
}

static void pictures_become_a_model_and_the_model_answers(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    make_pack(f);
    run(f, &verb_train, TRAIN);
    int n_checkpoints = 0;
    struct json *result = heard_until(f, "result", "checkpoint", &n_checkpoints);
    assert_int_equal(strlen(json_string(result, "weights_sha256", "")), 64);
    assert_true(n_checkpoints >= 6); /* best, two stages, two resume files, final */
    json_free(result);

    struct buf image, garbage;
    buf_init(&garbage, 100);
    buf_puts(&garbage, "this is no picture");
    read_first_picture(f, &image);
    for (int id = 0; id < 20; id++) /* more than one batch */
        ask(f, "predict", id, id == 3 ? &garbage : &image);
    ask(f, "cancel", 0, NULL);
    struct json *doc =
        document(f, "{'verb':'predict','weights':'$/final.safetensors','threads':2}");
    assert_int_equal(verb_predict.run(f->report, doc, &err), E_CANCELLED);
    for (int id = 0; id < 20; id++)
        check_answer(f, id, id != 3);
    json_free(doc);
    buf_deinit(&image);
    buf_deinit(&garbage);
}

static void a_pause_over_the_wire_stops_training_and_a_second_start_goes_on(void **state)
{
    struct fixture *f = *state;
    make_pack(f);
    ask(f, "pause", 0, NULL);
    run(f, &verb_train, TRAIN);
    struct json *paused = heard_until(f, "paused", NULL, NULL);
    json_free(paused);
    report_free(f->report); /* a new process */
    f->report = report_new_wire(f->child);
    run(f, &verb_train, TRAIN);
    struct json *log = heard_until(f, "log", NULL, NULL);
    assert_string_equal(json_string(log, "detail", ""), "Going on from stage 1, step 1.");
    json_free(log);
    json_free(heard_until(f, "result", NULL, NULL));
}

static void training_without_weights_says_how_to_get_some(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct json *doc = document(f, "{'verb':'train','pack':'$/pack','index':'$/index','out':'$',"
                                   "'spec':{'dataset':'ds_x','model':'resnet34'}}");
    assert_int_equal(verb_train.run(f->report, doc, &err), E_INVALID);
    assert_non_null(strstr(err.detail, "--weights FILE"));
    json_free(doc);
}

static struct json *read_json(const struct fixture *f, const char *name)
{
    struct buf text;
    struct err err = {0};
    struct json *json = NULL;
    char *path = mem_printf("%s/%s", f->folder, name);
    buf_init(&text, 1u << 20);
    assert_int_equal(fs_read_file(path, &text, &err), OK);
    assert_int_equal(json_parse(text.data, text.len, &json, &err), OK);
    buf_deinit(&text);
    mem_free(path);
    return json;
}

/* A plan shows the very stages that the run leaves as its schedule. */
static void a_plan_shows_what_the_run_then_does(void **state)
{
    struct fixture *f = *state;
    make_pack(f);
    run(f, &verb_plan, PLAN);
    json_free(heard_until(f, "result", NULL, NULL));
    struct json *plan = read_json(f, "result.json");
    const struct json *estimate = json_get(plan, "estimate"), *stages = json_get(plan, "stages");
    assert_true(json_integer(estimate, "peak_memory_bytes", 0) > 1 << 20);
    assert_int_equal(json_len(json_get(estimate, "flops_per_step")), json_len(stages));
    run(f, &verb_train, TRAIN);
    struct json *stage = heard_until(f, "stage", NULL, NULL);
    assert_int_equal(json_integer(json_at(stages, 0), "steps", 0), json_integer(stage, "steps", 1));
    assert_int_equal(json_integer(estimate, "batch_size", 0), json_integer(stage, "batch_size", 1));
    struct json *left = read_json(f, "schedule.json");
    assert_true(json_equal(json_get(left, "stages"), stages));
    json_free(left);
    json_free(stage);
    json_free(plan);
}

static void a_plan_refuses_what_could_not_run(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *spec, *pointer, *words;
    } cases[] = {
        {"{'model':'thaw-tiny'}", "/model", "no network"},
        {"{'model':'thaw-small','class_weights':{'unicorn':2}}", "/class_weights", "unicorn"},
        {"{'model':'thaw-small','stages':[{'epochs':1,'lr':{'groups':[1]}}]}", "/stages/0/lr",
         "3 layer groups"},
    };
    make_pack(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        char *text = mem_printf("{'verb':'plan','pack':'$/pack','index':'$/index','out':'$',"
                                "'spec':%s}",
                                cases[i].spec);
        struct json *doc = document(f, text);
        assert_int_equal(verb_plan.run(f->report, doc, &err), E_INVALID);
        if (strncmp(err.pointer, cases[i].pointer, strlen(cases[i].pointer)) != 0 ||
            !strstr(err.detail, cases[i].words))
            fail_msg("%s: %s", err.pointer, err.detail);
        json_free(doc);
        mem_free(text);
    }
}

/* Texts, none of which has a label. */
static void make_unlabelled_texts(struct fixture *f)
{
    static const char text[] = "the old horse sleeps near the house and a dog runs in the garden.";
    struct pack_record record = {
        .label = PACK_NO_LABEL, .split = SPLIT_UNLABELLED, .format = PACK_TEXT};
    struct err err = {0};
    char *pack = mem_printf("%s/pack", f->folder), *index = mem_printf("%s/index", f->folder);
    int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    struct pack_writer *writer = pack_writer_new(open(pack, flags, 0600), open(index, flags, 0600));
    for (int i = 0; i < 9; i++) {
        char name[] = "0.txt";
        name[0] = (char)('0' + i);
        size_t length = sizeof text - 1 - (size_t)i;
        assert_int_equal(pack_writer_add(writer, &record, name, text, length, &err), OK);
    }
    if (pack_writer_finish(writer, NULL, 0, &err) != OK)
        fail_msg("%s", err.detail);
    pack_writer_free(writer);
    mem_free(pack);
    mem_free(index);
}

#define PLAN_OF_RATES(phase)                                                                       \
    "{'verb':'plan','pack':'$/pack','index':'$/index','out':'$','spec':{'dataset':'ds_x',"         \
    "'model':null,'task':'lr_find','text':{'embedding':12,'hidden':16,'layers':1,'seq_len':8},"    \
    "'stages':[{'epochs':1,'phase':'" phase "'}]}}"

static void rates_without_labels_can_be_sought_for_a_language_model_alone(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    make_unlabelled_texts(f);
    run(f, &verb_plan, PLAN_OF_RATES("language_model"));
    struct json *plan = read_json(f, "result.json");
    assert_true(json_integer(json_first(json_get(plan, "stages")), "steps", 0) > 0);
    struct json *classifier = document(f, PLAN_OF_RATES("classifier"));
    assert_int_equal(verb_plan.run(f->report, classifier, &err), E_INVALID);
    json_free(classifier);
    json_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_shows_what_the_run_then_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_refuses_what_could_not_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            rates_without_labels_can_be_sought_for_a_language_model_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pictures_become_a_model_and_the_model_answers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_pause_over_the_wire_stops_training_and_a_second_start_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(training_without_weights_says_how_to_get_some, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
