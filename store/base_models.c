#include "store/base_models.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/internal.h"

/* Layer groups, lowest first, as the zoo names them; what each holds depends on the head. */
#define GROUP(name)           "{\"name\":\"" name "\",\"parameters\":null}"
#define GROUPS(first, second) "[" GROUP(first) "," GROUP(second) "," GROUP("head") "]"
#define RESNET_GROUPS         GROUPS("stem+layer1+layer2", "layer3+layer4")

const struct base_model base_models[] = {
    {"resnet18", 11689512, RESNET_GROUPS, 0.69758, "resnet18-f37072fd.pth", 44.7},
    {"resnet34", 21797672, RESNET_GROUPS, 0.73314, "resnet34-b627a593.pth", 83.3},
    {"resnet50", 25557032, RESNET_GROUPS, 0.80858, "resnet50-11ad3fa6.pth", 97.8},
    {"resnet101", 44549160, RESNET_GROUPS, 0.81886, "resnet101-cd907fc2.pth", 170.5},
    {"wide_resnet50_2", 68883240, RESNET_GROUPS, 0.81602, "wide_resnet50_2-9ba9bcbe.pth", 263.1},
    {"squeezenet1_1", 1235496, GROUPS("features[:5]", "features[5:]"), 0.58178,
     "squeezenet1_1-b8a52dc0.pth", 4.7},
    {"mobilenet_v2", 3504872, "[" GROUP("body") "," GROUP("head") "]", 0.71878,
     "mobilenet_v2-b0353104.pth", 13.6},
    {"thaw-small", -1, GROUPS("stem+down1+res1", "down2+down3+res3"), 0, NULL, 0},
};
const size_t n_base_models = ARRAY_LEN(base_models);

const struct base_model *base_model_find(const char *name)
{
    for (size_t i = 0; i < n_base_models; i++)
        if (strcmp(base_models[i].name, name) == 0)
            return &base_models[i];
    return NULL;
}

/* A row that exists keeps what it gained since; a name that a user's model took stays that one's.
 */
static const char seed_sql[] =
    "INSERT OR IGNORE INTO models (id, name, kind, architecture, origin, available, random,"
    " groups, parameters, metrics, created_ms)"
    " VALUES (?1, ?2, 'image', ?2, 'base', ?3, ?3, ?4, ?5, ?6, ?7)";

/* One that has no published weights is trained from random ones, so it is always available. */
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
                   sql_text(base->accuracy > 0 ? metrics : NULL), sql_integer(clock_wall_ms())),
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
