#include "engine/train/feature_cache.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/train/feature_file.h"

#define PREFIX "features-"
#define SUFFIX ".cache"

/* One view of the pictures: a file of its own, so that the views of several stages may share it. */
struct view {
    struct feature_file *file; /* owned */
    uint32_t *missing;         /* owned; items to compute */
    uint32_t n_missing;
};

struct feature_cache {
    const struct pack *pack; /* borrowed */
    size_t row_floats;
    struct loader_options loader; /* without items and pass */
    int64_t pictures;             /* that an epoch reads: training and validation items */
    struct view views[1 + FEATURE_CACHE_MAX_VIEWS]; /* 0: plain; then the augmented ones */
    int n_views;                                    /* augmented; 0: training reads the plain one */
    struct feature_cache_stats stats;
};

/* --- where ------------------------------------------------------------------------------------ */

int feature_cache_cut(const struct graph *graph, const struct plan_options *train,
                      const struct mix_options *mix, const char **why)
{
    if (mix_is_on(mix)) {
        *why = "MixUp and CutMix blend pictures, not features";
        return NODE_NONE;
    }
    return plan_find_cut(graph, train, why);
}

struct plan_options feature_cache_prefix(const struct plan_options *train, int cut)
{
    struct plan_options options = *train;
    options.mode = PLAN_INFER;
    options.input_node = 0;
    options.output_node = cut;
    return options;
}

/* --- what it depends on ----------------------------------------------------------------------- */

static void mark_prefix(const struct graph *graph, int cut, bool *in)
{
    in[cut] = true;
    for (int i = cut; i >= 0; i--)
        for (int k = 0; k < graph->nodes[i].n_inputs && in[i]; k++)
            in[graph->nodes[i].inputs[k]] = true;
}

static void hash_node(struct sha256 *digest, const struct node *node)
{
    sha256_update(digest, node->name, strlen(node->name) + 1);
    for (int i = 0; i < node->n_params; i++) {
        const struct param *param = node->params[i];
        float *plain = mem_alloc(param->n_elements * sizeof *plain);
        param_read(param, PARAM_VALUE, plain);
        sha256_update(digest, plain, param->n_elements * sizeof *plain);
        mem_free(plain);
    }
}

static void hash_prefix(const struct graph *graph, int cut, char hex[SHA256_HEX])
{
    bool *in = mem_alloc((size_t)graph->n_nodes * sizeof *in);
    struct sha256 *digest = sha256_new();
    uint8_t bytes[SHA256_BYTES];
    mark_prefix(graph, cut, in);
    for (int i = 0; i <= cut; i++)
        if (in[i])
            hash_node(digest, &graph->nodes[i]);
    sha256_finish(digest, bytes);
    digest_hex(bytes, sizeof bytes, hex);
    sha256_free(digest);
    mem_free(in);
}

static char *print_augment(const struct augment_options *a)
{
    _Static_assert(sizeof *a == 120, "the key below names every field of the augmentation");
    return mem_printf("%d %a %a %a %a %a %d %a %a %a %a %a %a %a %d", a->enabled, a->min_scale,
                      a->max_scale, a->min_ratio, a->max_ratio, a->flip, a->flip_vertical,
                      a->rotate, a->zoom, a->warp, a->p_affine, a->lighting, a->p_lighting,
                      a->erase, a->presize);
}

/* The key of one view; `view` 0 is the plain one, which neither seed nor augmentation change. The
 * batch belongs to it: other kernels may round the last bit differently. */
static void make_key(const struct feature_cache_options *options, const char *weights, int view,
                     uint8_t key[SHA256_BYTES])
{
    char *augment = print_augment(&options->augment);
    char *text = mem_printf("features 1\n%s\n%s\n%d %zu %lld %lld\n%d %llu %s\n",
                            options->run_sha256, weights, options->cut, options->row_floats,
                            (long long)options->size, (long long)options->batch, view,
                            view ? (unsigned long long)options->seed : 0, view ? augment : "");
    sha256_bytes(text, strlen(text), key);
    mem_free(text);
    mem_free(augment);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void note_missing(struct feature_cache *cache, struct view *view, const uint32_t *items,
                         uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (feature_file_has(view->file, items[i]))
            cache->stats.reused++;
        else
            view->missing[view->n_missing++] = items[i];
    }
}

static enum status open_view(struct feature_cache *cache,
                             const struct feature_cache_options *options, const char *weights,
                             int number, bool *damaged, struct err *err)
{
    struct view *view = &cache->views[number];
    bool valid = number == 0, train = number > 0 || cache->n_views == 0;
    size_t n = (valid ? options->n_valid : 0) + (train ? options->n_train : 0);
    uint8_t key[SHA256_BYTES];
    char hex[SHA256_HEX];
    void *missing;
    bool hit = false;
    make_key(options, weights, number, key);
    digest_hex(key, sizeof key, hex);
    char *path = mem_printf("%s/" PREFIX "%.16s" SUFFIX, options->folder, hex);
    enum status status = feature_file_open(path, key, options->row_floats,
                                           pack_n_items(options->pack), &view->file, &hit, err);
    mem_free(path);
    if (status == OK)
        status = mem_try_alloc(n + 1, sizeof *view->missing, "the feature cache", &missing, err);
    if (status != OK)
        return status;
    view->missing = missing;
    *damaged |= hit;
    if (valid)
        note_missing(cache, view, options->valid, options->n_valid);
    if (train)
        note_missing(cache, view, options->train, options->n_train);
    return OK;
}

static enum status check_room(const struct feature_cache *cache, struct err *err)
{
    uint64_t bytes = 0;
    for (int i = 0; i <= cache->n_views; i++)
        bytes += cache->views[i].n_missing * ((uint64_t)cache->row_floats + 2) * sizeof(float);
    return bytes > 0 ? feature_file_need(cache->views[0].file, bytes, err) : OK;
}

enum status feature_cache_open(const struct feature_cache_options *options,
                               struct feature_cache **out, char warning[FEATURE_CACHE_WARNING],
                               struct err *err)
{
    struct feature_cache *cache = mem_alloc(sizeof *cache);
    char weights[SHA256_HEX];
    bool damaged = false;
    enum status status = OK;
    cache->pack = options->pack;
    cache->row_floats = options->row_floats;
    cache->pictures = (int64_t)options->n_train + options->n_valid;
    cache->n_views = options->views > 1 && options->augment.enabled ? options->views : 0;
    cache->stats.views = cache->n_views > 0 ? cache->n_views : 1;
    cache->loader = (struct loader_options){.batch_size = (int)options->batch,
                                            .size = (int)options->size,
                                            .threads = options->threads,
                                            .seed = options->seed,
                                            .augment = options->augment};
    hash_prefix(options->graph, options->cut, weights);
    for (int i = 0; i <= cache->n_views && status == OK; i++)
        status = open_view(cache, options, weights, i, &damaged, err);
    if (status == OK)
        status = check_room(cache, err);
    snprintf(warning, FEATURE_CACHE_WARNING, "%s",
             damaged ? "The feature cache was damaged on disk: what was hit is computed again."
                     : "");
    if (status == OK)
        *out = cache;
    else
        feature_cache_close(cache);
    return status;
}

void feature_cache_close(struct feature_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i <= FEATURE_CACHE_MAX_VIEWS; i++) {
        feature_file_close(cache->views[i].file);
        mem_free(cache->views[i].missing);
    }
    mem_free(cache);
}

/* --- filling ---------------------------------------------------------------------------------- */

struct filling {
    struct feature_cache *cache;
    struct plan *prefix;
    bool (*go_on)(void *context, int64_t done, int64_t all);
    void *context;
    int64_t all;
};

/* Runs the prefix over all batches of a loader that has begun. */
static enum status fill_from(const struct filling *filling, struct feature_file *file,
                             struct loader *loader, struct err *err)
{
    struct feature_cache_stats *stats = &filling->cache->stats;
    struct batch batch;
    enum status status;
    while ((status = loader_next(loader, &batch, err)) == OK && batch.count > 0) {
        memcpy(plan_input(filling->prefix), batch.images,
               (size_t)batch.count * batch.row_floats * sizeof(float));
        plan_forward(filling->prefix, 0, 0);
        status = feature_file_append(file, batch.items, (uint32_t)batch.count,
                                     plan_output(filling->prefix), err);
        if (status != OK)
            return status;
        stats->computed += batch.count;
        if (!filling->go_on(filling->context, stats->computed, filling->all))
            return err_set(err, E_CANCELLED, "The feature cache was not filled to its end.");
    }
    return status;
}

static enum status fill_view(const struct filling *filling, int number, struct err *err)
{
    struct view *view = &filling->cache->views[number];
    struct loader_options options = filling->cache->loader;
    struct loader *loader = NULL;
    if (view->n_missing == 0)
        return OK;
    options.pass = number == 0 ? LOADER_VALID : LOADER_AUGMENTED;
    options.items = view->missing;
    options.n_items = view->n_missing;
    enum status status = loader_open(filling->cache->pack, &options, &loader, err);
    if (status != OK)
        return status;
    loader_begin(loader, 0, number > 0 ? (uint32_t)number - 1 : 0, 0);
    status = fill_from(filling, view->file, loader, err);
    loader_close(loader);
    if (status == OK)
        view->n_missing = 0;
    return status;
}

enum status feature_cache_fill(struct feature_cache *cache, struct plan *prefix,
                               bool (*go_on)(void *context, int64_t done, int64_t all),
                               void *context, struct err *err)
{
    struct filling filling = {cache, prefix, go_on, context, 0};
    enum status status = OK;
    double began = clock_seconds();
    if (plan_output_row(prefix) != cache->row_floats)
        return err_set(err, E_INTERNAL, "The feature cache has rows of %zu floats, its plan %zu.",
                       cache->row_floats, plan_output_row(prefix));
    for (int i = 0; i <= cache->n_views; i++)
        filling.all += cache->views[i].n_missing;
    if (filling.all > 0)
        plan_refresh(prefix);
    for (int i = 0; i <= cache->n_views && status == OK; i++)
        status = fill_view(&filling, i, err);
    cache->stats.seconds += clock_seconds() - began;
    return status;
}

/* --- using ------------------------------------------------------------------------------------ */

struct feature_cache_stats feature_cache_stats(const struct feature_cache *cache)
{
    struct feature_cache_stats stats = cache->stats;
    for (int i = 0; i <= cache->n_views; i++)
        stats.bytes += feature_file_bytes(cache->views[i].file);
    return stats;
}

double feature_cache_saved(const struct feature_cache *cache, int64_t epochs)
{
    const struct feature_cache_stats *stats = &cache->stats;
    if (stats->computed == 0)
        return 0;
    double pictures = (double)epochs * (double)cache->pictures;
    return stats->seconds / (double)stats->computed * pictures - stats->seconds;
}

size_t feature_cache_row(const struct feature_cache *cache)
{
    return cache->row_floats;
}

enum status feature_cache_read(const struct feature_cache *cache, enum loader_pass pass,
                               uint32_t item, uint32_t epoch, float *row, struct err *err)
{
    bool plain = pass == LOADER_VALID || cache->n_views == 0;
    uint32_t view = plain ? 0 : 1 + epoch % (uint32_t)cache->n_views;
    return feature_file_read(cache->views[view].file, item, row, err);
}

static bool is_cache_name(const char *name)
{
    size_t len = strlen(name), end = strlen(SUFFIX);
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && len > end &&
           strcmp(name + len - end, SUFFIX) == 0;
}

void feature_cache_remove_all(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (is_cache_name(entry->d_name))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}
