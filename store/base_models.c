#include "store/base_models.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/internal.h"

/* Layer groups, lowest first, as the zoo names them; what each holds depends on the head. */
#define GROUP(name)           "{\"name\":\"" name "\",\"parameters\":null}"
#define GROUPS(first, second) "[" GROUP(first) "," GROUP(second) "," GROUP("head") "]"
#define RESNET_GROUPS         GROUPS("stem+layer1+layer2", "layer3+layer4")
#define LANGUAGE_GROUPS                                                                            \
    "[" GROUP("rnn1") "," GROUP("rnn2") "," GROUP("rnn3") "," GROUP("encoder+decoder") "]"

/* A network of pictures: name, parameters, groups, accuracy, file, its MiB. */
#define IMAGES(n, p, g, a, f, m)                                                                   \
    {                                                                                              \
        .name = n, .parameters = p, .groups = g, .accuracy = a, .file = f, .mebibytes = m          \
    }
/* A language model: name, MD5 of the first MiB, bytes, whether it reads from the end. */
#define WT103(n, md5, b, back)                                                                     \
    {                                                                                              \
        .name = n, .parameters = -1, .groups = LANGUAGE_GROUPS, .file = n ".tgz",                  \
        .mebibytes = (double)(b) / (1 << 20), .architecture = "awd-lstm",                          \
        .url = BASE_MODELS_TEXT_URL, .head_md5 = md5, .bytes = b, .backwards = back                \
    }

const struct base_model base_models[] = {
    IMAGES("resnet18", 11689512, RESNET_GROUPS, 0.69758, "resnet18-f37072fd.pth", 44.7),
    IMAGES("resnet34", 21797672, RESNET_GROUPS, 0.73314, "resnet34-b627a593.pth", 83.3),
    IMAGES("resnet50", 25557032, RESNET_GROUPS, 0.80858, "resnet50-11ad3fa6.pth", 97.8),
    IMAGES("resnet101", 44549160, RESNET_GROUPS, 0.81886, "resnet101-cd907fc2.pth", 170.5),
    IMAGES("wide_resnet50_2", 68883240, RESNET_GROUPS, 0.81602, "wide_resnet50_2-9ba9bcbe.pth",
           263.1),
    IMAGES("squeezenet1_1", 1235496, GROUPS("features[:5]", "features[5:]"), 0.58178,
           "squeezenet1_1-b8a52dc0.pth", 4.7),
    IMAGES("mobilenet_v2", 3504872, "[" GROUP("body") "," GROUP("head") "]", 0.71878,
           "mobilenet_v2-b0353104.pth", 13.6),
    {.name = "thaw-small",
     .parameters = -1,
     .groups = GROUPS("stem+down1+res1", "down2+down3+res3")},
    /* sizes and digests: fastai v1, fastai/datasets.py */
    WT103("wt103-fwd", "7d1114cd9684bf9d1ca3c9f6a54da6f9", 105067061, false),
    WT103("wt103-bwd", "20b06f5830fd5a891d21044c28d3097f", 105205312, true),
};
const size_t n_base_models = ARRAY_LEN(base_models);

const struct base_model *base_model_find(const char *name)
{
    for (size_t i = 0; i < n_base_models; i++)
        if (strcmp(base_models[i].name, name) == 0)
            return &base_models[i];
    return NULL;
}

bool base_model_is_text(const struct base_model *base)
{
    return base->architecture != NULL;
}

const char *base_model_architecture(const struct base_model *base)
{
    return base->architecture ? base->architecture : base->name;
}

/* A row that exists keeps what it gained since; a name that a user's model took stays that one's.
 */
static const char seed_sql[] =
    "INSERT OR IGNORE INTO models (id, name, kind, architecture, origin, available, random,"
    " groups, parameters, metrics, created_ms)"
    " VALUES (?1, ?2, ?8, ?9, 'base', ?3, ?3, ?4, ?5, ?6, ?7)";

/* One that has no published weights can always be trained from random ones, so it is available even
 * before its bundled ones are there (server/bundled.h). */
static enum status seed_one(struct sql *sql, const struct base_model *base, struct err *err)
{
    char metrics[40], *id = mem_printf("mdl_%s", base->name);
    snprintf(metrics, sizeof metrics, "{\"accuracy\":%.5f}", base->accuracy);
    struct sql_value parameters =
        base->parameters < 0 ? sql_text(NULL) : sql_integer(base->parameters);
    enum status status = sql_run(
        sql, seed_sql,
        SQL_VALUES(sql_text(id), sql_text(base->name), sql_integer(!base->file),
                   sql_text(base->groups), parameters,
                   sql_text(base->accuracy > 0 ? metrics : NULL), sql_integer(clock_wall_ms()),
                   sql_text(base_model_is_text(base) ? "text" : "image"),
                   sql_text(base_model_architecture(base))),
        NULL, err);
    mem_free(id);
    return status;
}

enum status base_models_seed(struct store *store, struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    for (size_t i = 0; status == OK && i < n_base_models; i++)
        status = seed_one(sql, &base_models[i], err);
    return store_end(store, status, err);
}

enum status base_model_set_weights(struct store *store, const char *name, const struct blob *blob,
                                   struct err *err)
{
    struct sql *sql = NULL;
    enum status status = store_begin(store, DURABLE, &sql, err);
    if (status)
        return status;
    status = sql_run(sql,
                     "UPDATE models SET weights = ?2, bytes = ?3, available = 1"
                     " WHERE name = ?1 AND origin = 'base'",
                     SQL_VALUES(sql_text(name), sql_text(blob->sha256), sql_integer(blob->bytes)),
                     NULL, err);
    status = store_end(store, status, err);
    if (status == OK)
        blob_settle(store, blob->sha256);
    return status;
}
