#include "server/estimate.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* Before anything has run: billions of operations a second and thread. Dense convolutions on AVX2
 * reach some 50; small networks that wait for decoding a tenth of it. */
#define GUESS_GFLOPS      15.0
#define GUESS_LOW_GFLOPS  3.0
#define GUESS_HIGH_GFLOPS 60.0

/* Passes of several models: what one takes is guessed from the arithmetic, and says nothing of
 * another one. */
#define MODE_ENSEMBLE "ensemble"

/* Seconds to start: pack, weights, plans. */
#define START_SECONDS      1.0
#define START_LOW_SECONDS  0.2
#define START_HIGH_SECONDS 6.0

#define BYTES_PER_WEIGHT 4.0
#define RESUME_FILES     2.0

struct range {
    double likely, low, high;
};

/* How sure a kind of knowledge is: low and high are widened by these. */
enum basis { MEASURED, SIMILAR, ARITHMETIC };
static const struct {
    const char *name;
    double low, high;
} bases[] = {
    [MEASURED] = {"measured", .85, 1.25},
    [SIMILAR] = {"similar", .5, 2},
    [ARITHMETIC] = {"arithmetic", 1, 1},
};

static int64_t frozen_groups(const struct json *stage)
{
    int64_t n = 0;
    json_each(group, json_get(stage, "groups")) n += json_bool(group, "frozen", false);
    return n;
}

/* A validation image costs a forward pass: a third of a training image's work where all trains,
 * nearly as much where all but the head is frozen. */
static double valid_share(int64_t frozen, int64_t groups)
{
    return frozen == 0 ? 1. / 3 : frozen + 1 < groups ? .5 : .9;
}

/* "language_model" or "classifier" of a stage on texts, "" of one on pictures. */
static const char *phase_of(const struct json *stage)
{
    return json_string(stage, "phase", "");
}

/* Images that a stage works on, in training images; where nothing trains, in images of a pass. Of
 * texts rows: what validating them takes is in the operations of a step already. */
static double images_of(const struct json *stage, double batch, int64_t frozen, int64_t groups)
{
    double images = json_number(stage, "steps", 0) * batch;
    if (frozen == groups || *phase_of(stage))
        return images;
    return images + json_number(stage, "epochs", 1) * json_number(stage, "n_valid", 0) *
                        valid_share(frozen, groups);
}

static const char *mode_of(const struct json *spec, const struct json *stage, int64_t frozen,
                           int64_t groups, bool cached)
{
    if (*phase_of(stage))
        return phase_of(stage);
    if (frozen == 0)
        return "train";
    if (json_len(json_get(spec, "ensemble")) > 0)
        return MODE_ENSEMBLE;
    if (frozen == groups)
        return "pass";
    return cached ? "cache" : json_string(spec, "frozen_batchnorm", "train");
}

/* `cached` is what the stage was told or is expected to be. */
static struct cost_key key_of(const struct estimate_options *options, const struct json *stage,
                              int64_t frozen, int64_t groups, bool cached)
{
    return (struct cost_key){
        .machine = options->machine,
        .isa = options->isa,
        .threads = options->threads,
        .architecture = options->architecture,
        .image_size = json_integer(stage, "size", 0),
        .frozen_groups = frozen,
        .mode = mode_of(options->spec, stage, frozen, groups, cached),
    };
}

static struct range widen(const struct cost *cost, double factor, enum basis basis)
{
    double mean = (double)cost->image_ns * factor;
    return (struct range){mean, fmin((double)cost->low_ns * factor, mean * bases[basis].low),
                          fmax((double)cost->high_ns * factor, mean * bases[basis].high)};
}

/* How many times the arithmetic of what was measured: a picture of one size takes the same in every
 * job, a row of texts what their length, the vocabulary and the network's sizes make of it. */
static double scale_of(const struct cost_key *key, const struct cost *cost, double image_flops)
{
    return key->image_size > 0 || cost->image_flops <= 0 || image_flops <= 0
               ? 1
               : image_flops / (double)cost->image_flops;
}

/* Nanoseconds an image, and what that stands on. */
static struct range image_cost(const struct estimate_options *options, const struct cost_key *key,
                               double image_flops, enum basis *basis)
{
    struct cost cost;
    struct err unknown;
    if (cost_get(options->store, key, &cost, &unknown) == OK) {
        double scale = scale_of(key, &cost, image_flops);
        *basis = scale > .5 && scale < 2 ? MEASURED : SIMILAR;
        return widen(&cost, scale, *basis);
    }
    *basis = SIMILAR;
    if (cost_similar(options->store, key, true, &cost, &unknown) == OK ||
        cost_similar(options->store, key, false, &cost, &unknown) == OK)
        return widen(&cost, image_flops / 1e9, SIMILAR);
    *basis = ARITHMETIC;
    double threads = (double)options->threads;
    return (struct range){image_flops / (GUESS_GFLOPS * threads),
                          image_flops / (GUESS_HIGH_GFLOPS * threads),
                          image_flops / (GUESS_LOW_GFLOPS * threads)};
}

/* Steps of the rate finder before the stage, or in its place. */
static double finder_steps(const struct json *spec, const struct json *stage, size_t index)
{
    bool task = !strcmp(json_string(spec, "task", ""), "lr_find");
    bool asked = !strcmp(json_string(json_at(json_get(spec, "stages"), index), "lr", ""), "auto");
    double steps = json_number(json_get(spec, "lr_find"), "steps", 100);
    return task ? steps - json_number(stage, "steps", 0) : asked ? steps : 0;
}

static void add_stage(const struct estimate_options *options, const struct json *stage,
                      size_t index, double flops_per_step, struct range *seconds, enum basis *worst)
{
    enum basis basis;
    double batch = json_number(stage, "batch_size", 1);
    int64_t frozen = frozen_groups(stage);
    int64_t groups = (int64_t)json_len(json_get(stage, "groups"));
    bool cached = json_type(json_get(options->spec, "feature_cache")) == JSON_OBJECT;
    struct cost_key key = key_of(options, stage, frozen, groups, cached);
    struct range image = image_cost(options, &key, flops_per_step / fmax(batch, 1), &basis);
    double images =
        images_of(stage, batch, frozen, groups) + finder_steps(options->spec, stage, index) * batch;
    seconds->likely += images * image.likely / 1e9;
    seconds->low += images * image.low / 1e9;
    seconds->high += images * image.high / 1e9;
    *worst = basis > *worst ? basis : *worst;
}

/* Weights and their moments: two resume files; the best, the last and each stage's end once beside
 * them and once in the store. */
static double disk_bytes(const struct json *stages)
{
    double weights = 0, moments = 0;
    json_each(stage, stages)
    {
        double parameters = 0, trainable = 0;
        json_each(group, json_get(stage, "groups"))
        {
            parameters += json_number(group, "parameters", 0);
            trainable += json_number(group, "trainable_parameters", 0);
        }
        weights = fmax(weights, BYTES_PER_WEIGHT * parameters);
        moments = fmax(moments, 2 * BYTES_PER_WEIGHT * trainable);
    }
    if (moments == 0) /* nothing trains, nothing is kept */
        return 0;
    return RESUME_FILES * (weights + moments) + 2 * weights * ((double)json_len(stages) + 2);
}

static void copy(struct json *to, const struct json *from, const char *key)
{
    const struct json *value = json_get(from, key);
    if (value)
        json_set(to, key, json_copy(value));
    else
        json_set_null(to, key);
}

static void set_seconds(struct json *estimate, const struct range *seconds, const char *basis)
{
    json_set_number(estimate, "seconds", round(seconds->likely * 10) / 10);
    json_set_number(estimate, "seconds_low", floor(seconds->low * 10) / 10);
    json_set_number(estimate, "seconds_high", ceil(seconds->high * 10) / 10);
    json_set_string(estimate, "basis", basis);
}

struct json *estimate_make(const struct estimate_options *options, const struct json *result)
{
    const struct json *stages = json_get(result, "stages");
    const struct json *given = json_get(result, "estimate");
    const struct json *flops = json_first(json_get(given, "flops_per_step"));
    struct range seconds = {START_SECONDS, START_LOW_SECONDS, START_HIGH_SECONDS};
    enum basis basis = MEASURED;
    struct json *estimate = json_new_object();
    copy(estimate, given, "peak_memory_bytes");
    json_set_number(estimate, "disk_bytes", disk_bytes(stages));
    copy(estimate, given, "batch_size");
    struct json *batches = json_new_array();
    size_t index = 0;
    json_each(stage, stages)
    {
        add_stage(options, stage, index++, json_as_number(flops, 0), &seconds, &basis);
        json_add_number(batches, json_number(stage, "batch_size", 0));
        flops = flops ? json_next(flops) : NULL;
    }
    set_seconds(estimate, &seconds, bases[basis].name);
    copy(estimate, given, "steps");
    copy(estimate, given, "flops_per_step");
    json_set(estimate, "batch_sizes", batches);
    return estimate;
}

int64_t estimate_bytes(const char *text, const char *key)
{
    struct json *estimate = NULL;
    struct err ignored;
    if (!text || json_parse(text, strlen(text), &estimate, &ignored) != OK)
        return 0;
    double bytes = json_number(estimate, key, 0);
    json_free(estimate);
    return bytes > 0 && bytes < 9e15 ? (int64_t)bytes : 0;
}

void estimate_learn(const struct estimate_options *options, const struct json *stage,
                    double flops_per_step, double seconds)
{
    struct err ignored; /* the next one may be learned from */
    int64_t frozen = json_integer(stage, "frozen_groups", 0);
    double batch = json_number(stage, "batch_size", 1);
    int64_t groups = json_integer(stage, "groups", 1);
    double images = images_of(stage, batch, frozen, groups);
    bool known = json_integer(stage, "size", 0) > 0 || *phase_of(stage);
    bool cached = json_integer(stage, "cached_views", 0) > 0;
    struct cost_key key = key_of(options, stage, frozen, groups, cached);
    struct cost cost = {
        .image_ns = (int64_t)(seconds * 1e9 / fmax(images, 1)),
        .image_flops = (int64_t)(flops_per_step / fmax(batch, 1)),
    };
    if (known && cost.image_ns > 0 && strcmp(key.mode, MODE_ENSEMBLE) != 0)
        cost_learn(options->store, &key, &cost, &ignored);
}
