#include "engine/train/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/format/weights_digest.h"
#include "engine/train/text_run.h"
#include "engine/zoo/zoo.h"

#define HEAD_PREFIX "head."

/* Left out of what names a run: they decide nothing that is computed. */
static const char *const without_effect[] = {"name", "metadata", "priority", "webhook", "stages"};

static enum status open_start(struct run_start *start, const char *path, struct err *err)
{
    if (!path)
        return OK;
    enum status status = model_file_open(path, &start->source, &start->info, err);
    if (status != OK)
        return status;
    start->open = true;
    return weights_sha256(&start->source, start->sha256, err);
}

static void close_start(struct run_start *start)
{
    if (!start->open)
        return;
    tensor_source_close(&start->source);
    model_info_deinit(&start->info);
}

static bool is_text(const struct json *spec)
{
    return json_type(json_get(spec, "text")) == JSON_OBJECT;
}

static enum status open_data(const struct trainer_options *options, struct run *run,
                             struct err *err)
{
    const struct json *spec = options->spec;
    enum status status = pack_open(options->pack, options->index, &run->pack, err);
    if (status == OK)
        status = pack_want_text(run->pack, is_text(spec), err);
    if (status == OK && !recipe_is_language_model(spec))
        status = split_make(run->pack, json_number(spec, "valid_fraction", .2),
                            (uint64_t)json_integer(spec, "split_seed", 0), &run->split, err);
    if (status != OK)
        return status;
    run->classes = pack_n_classes(run->pack);
    if (run->classes < 2 && !recipe_is_language_model(spec))
        return err_set(err, E_INVALID,
                       "The data set has %lld class(es): a classifier needs two or more.",
                       (long long)run->classes);
    return OK;
}

/* The network is what the weights say they are, or what the spec names for random ones. */
static enum status find_net(const struct json *spec, const struct run_start *start,
                            const struct zoo_net **net, struct err *err)
{
    const char *name = start->open ? start->info.architecture : json_string(spec, "model", "");
    *net = zoo_find(name);
    if (*net)
        return OK;
    struct buf names;
    buf_init(&names, 400);
    zoo_print_names(&names);
    enum status status = err_at(err, E_INVALID, "/model",
                                "There is no network \"%.60s\"; there are %s.", name, names.data);
    buf_deinit(&names);
    return status;
}

static struct json *class_names(const struct pack *pack)
{
    struct json *names = json_new_array();
    for (uint32_t i = 0; i < pack_n_classes(pack); i++)
        json_add_string(names, pack_class_name(pack, i));
    return names;
}

static struct json *lineage(const struct run_start *start, const struct json *spec)
{
    struct json *json = json_new_object();
    json_set_string(json, "base_weights_sha256", start->open ? start->sha256 : NULL);
    json_set_string(json, "base_model", json_string(spec, "model", NULL));
    json_set_string(json, "dataset", json_string(spec, "dataset", NULL));
    json_set_string(json, "task", json_string(spec, "task", "image_classification"));
    json_set_integer(json, "seed", json_integer(spec, "seed", 0));
    return json;
}

/* Only a head of the new kind, for the very same classes, can be gone on with. */
static bool keeps_head(const struct run *run, const struct json *spec, enum zoo_head *head)
{
    const struct run_start *start = &run->start;
    return start->open && strcmp(json_string(spec, "head", "auto"), "auto") == 0 &&
           zoo_head_from_name(start->info.head, head) && *head != ZOO_HEAD_ORIGINAL &&
           json_equal(start->info.classes, run->info.classes);
}

static enum status check_start(const struct run *run, struct err *err)
{
    struct model_match match;
    if (!run->start.open)
        return OK;
    const char *skip = run->start.with_head ? NULL : HEAD_PREFIX;
    model_file_match(&run->start.source, run->graph, skip, &match);
    if (match.n_missing + match.n_misshapen > 0) {
        err_at(err, E_INVALID, "/model", "The weights do not fit %s: %s.", run->recipe.net->name,
               match.problems);
        return E_INVALID;
    }
    return OK;
}

enum status run_restart(struct run *run, struct err *err)
{
    const struct run_start *start = &run->start;
    if (run->text)
        return text_run_start(run->text, run->graph, start->open ? &start->source : NULL,
                              start->with_head && run->phase == PHASE_CLASSIFIER, err);
    if (!start->open) {
        zoo_init(run->graph, start->head, run->recipe.seed);
        return OK;
    }
    if (!start->with_head)
        zoo_init_head(run->graph, start->head, run->recipe.seed);
    return model_file_load(&start->source, run->graph, start->with_head ? NULL : HEAD_PREFIX, err);
}

static enum status build_graph(struct run *run, const struct json *spec, struct err *err)
{
    const struct zoo_net *net = run->recipe.net;
    struct run_start *start = &run->start;
    run->info = model_info_default(net->name);
    run->info.classes = class_names(run->pack);
    run->info.lineage = lineage(start, spec);
    start->with_head = keeps_head(run, spec, &start->head);
    if (!start->with_head)
        start->head = run->recipe.head;
    snprintf(run->info.head, sizeof run->info.head, "%s", zoo_head_name(start->head));
    struct err why = {0};
    enum status status = model_info_check_size(&run->info, &why);
    if (status != OK)
        return err_at(err, status, "/dataset", "%s: use fewer classes, or shorter names.",
                      why.detail);
    run->graph =
        zoo_build(net, &(struct zoo_options){.head = start->head, .classes = run->classes});
    status = check_start(run, err);
    return status == OK ? run_restart(run, err) : status;
}

/* --- Texts --- */

void run_build(struct run *run, enum recipe_phase phase, struct graph **carried)
{
    struct awd_lstm_options network = text_options_network(
        &run->text->options, phase, vocab_n_words(run->text->vocab), run->classes);
    network.head_bias =
        run->start.with_head && tensor_source_find(&run->start.source, "head.2.bias") != NULL;
    struct json *lineage = run->info.lineage;
    run->info.lineage = NULL;
    model_info_deinit(&run->info);
    run->info = text_run_info(run->text, phase, run->pack);
    run->info.lineage = lineage;
    if (carried)
        *carried = run->graph;
    else
        graph_free(run->graph);
    run->graph = awd_lstm_build(&network);
    run->phase = phase;
}

void run_carry(struct run *run, const struct graph *language_model)
{
    text_run_carry(run->text, language_model, run->graph);
}

static enum status check_text_start(const struct run_start *start, struct err *err)
{
    if (!start->open || model_info_is_text(&start->info))
        return OK;
    return err_at(
        err, E_INVALID, "/model",
        "The model is of %s, which is for pictures: a job on texts starts from a language "
        "model, or from nothing with \"model\": null.",
        start->info.architecture);
}

static bool keeps_text_head(const struct run *run, const struct json *spec)
{
    const struct run_start *start = &run->start;
    struct model_info own = text_run_info(run->text, PHASE_CLASSIFIER, run->pack);
    bool keeps = start->open && strcmp(json_string(spec, "head", "auto"), "auto") == 0 &&
                 strcmp(start->info.head, own.head) == 0 &&
                 json_equal(start->info.classes, own.classes);
    model_info_deinit(&own);
    return keeps;
}

static enum status open_text(const struct trainer_options *options, struct run *run,
                             struct err *err)
{
    struct text_run_options wanted = {
        .spec = options->spec,
        .start = run->start.open ? &run->start.info : NULL,
        .pack = run->pack,
        .split = recipe_is_language_model(options->spec) ? NULL : &run->split,
        .folder = options->folder,
        .go_on = options->go_on,
        .context = options->context,
    };
    enum status status = check_text_start(&run->start, err);
    if (status == OK)
        status = text_run_open(&wanted, &run->text, err);
    if (status != OK)
        return status;
    run->texts = text_run_recipe(run->text);
    status =
        recipe_init_texts(&run->recipe, options->spec, &run->texts, run->pack, &run->split, err);
    if (status != OK)
        return status;
    run->start.with_head = run->classes >= 2 && keeps_text_head(run, options->spec);
    run_build(run, run->recipe.n_stages > 0 ? run->recipe.stages[0].phase : PHASE_CLASSIFIER, NULL);
    run->info.lineage = lineage(&run->start, options->spec);
    return run_restart(run, err);
}

static enum status open_pictures(const struct trainer_options *options, struct run *run,
                                 struct err *err)
{
    const struct zoo_net *net = NULL;
    enum status status = find_net(options->spec, &run->start, &net, err);
    if (status == OK)
        status = recipe_init(&run->recipe, options->spec, net, run->pack, &run->split, err);
    return status == OK ? build_graph(run, options->spec, err) : status;
}

static enum status index_sha256(const char *path, char hex[SHA256_HEX], struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "The index %s cannot be opened", path);
    enum status status = sha256_file(fd, hex, err);
    close(fd);
    return status;
}

static void hex_of_text(const char *text, char hex[SHA256_HEX])
{
    uint8_t digest[SHA256_BYTES];
    sha256_bytes(text, strlen(text), digest);
    digest_hex(digest, sizeof digest, hex);
}

/* Each stage's digest takes in the one before. */
static void name_stages(struct run *run, const struct json *spec)
{
    const struct json *stages = json_get(spec, "stages");
    run->stage_sha256 = mem_alloc((json_len(stages) + 1) * sizeof *run->stage_sha256);
    const char *before = "";
    int k = 0;
    json_each(stage, stages)
    {
        char *own = json_text(stage), *text = mem_printf("%s\n%s\n", before, own);
        hex_of_text(text, run->stage_sha256[k]);
        before = run->stage_sha256[k++];
        mem_free(text);
        mem_free(own);
    }
}

/* A run's rows are those of its words: made of other texts, it is another run. */
static void words_sha256(const struct text_run *text, char hex[SHA256_HEX])
{
    uint8_t digest[SHA256_BYTES];
    vocab_digest(text->vocab, digest);
    digest_hex(digest, sizeof digest, hex);
}

static enum status name_run(struct run *run, const struct trainer_options *options, struct err *err)
{
    enum status status = index_sha256(options->index, run->index_sha256, err);
    if (status != OK)
        return status;
    struct json *rest = json_copy(options->spec);
    for (size_t i = 0; i < ARRAY_LEN(without_effect); i++)
        json_remove(rest, without_effect[i]);
    char *spec = json_text(rest);
    char words[SHA256_HEX] = "";
    if (run->text)
        words_sha256(run->text, words);
    char *text = mem_printf("%s\n%s\n%s\n%s", spec, run->index_sha256, run->start.sha256, words);
    hex_of_text(text, run->sha256);
    mem_free(text);
    mem_free(spec);
    json_free(rest);
    name_stages(run, options->spec);
    return OK;
}

enum status run_open(const struct trainer_options *options, struct run *run, struct err *err)
{
    *run = (struct run){0};
    enum status status = open_start(&run->start, options->weights, err);
    if (status == OK)
        status = open_data(options, run, err);
    if (status == OK)
        status = is_text(options->spec) ? open_text(options, run, err)
                                        : open_pictures(options, run, err);
    if (status == OK)
        status = name_run(run, options, err);
    if (status != OK)
        run_close(run);
    return status;
}

void run_close(struct run *run)
{
    recipe_deinit(&run->recipe);
    graph_free(run->graph);
    text_run_close(run->text);
    split_deinit(&run->split);
    pack_close(run->pack);
    model_info_deinit(&run->info);
    close_start(&run->start);
    mem_free(run->stage_sha256);
    *run = (struct run){0};
}
