#include "store/base_models.h"

#include "base/clock.h"
#include "store/internal.h"

/* Layer groups, lowest first, as the zoo names them; what each holds depends on the head. */
#define GROUP(name)           "{\"name\":\"" name "\",\"parameters\":null}"
#define GROUPS(first, second) "[" GROUP(first) "," GROUP(second) "," GROUP("head") "]"
#define TWO_GROUPS            "[" GROUP("body") "," GROUP("head") "]"
#define RESNET_GROUPS         GROUPS("stem+layer1+layer2", "layer3+layer4")

/* What thaw-engine can build by name (engine/zoo/zoo.c holds the nets themselves). */
static const struct base_model {
    const char *name;
    int64_t parameters; /* with the published classifier; -1: none is published */
    const char *groups;
    const char *metrics;
    bool random; /* trained from random weights: always available */
} base_models[] = {
    {"resnet18", 11689512, RESNET_GROUPS, "{\"accuracy\":0.69758}", false},
    {"resnet34", 21797672, RESNET_GROUPS, "{\"accuracy\":0.73314}", false},
    {"resnet50", 25557032, RESNET_GROUPS, "{\"accuracy\":0.80858}", false},
    {"resnet101", 44549160, RESNET_GROUPS, "{\"accuracy\":0.81886}", false},
    {"wide_resnet50_2", 68883240, RESNET_GROUPS, "{\"accuracy\":0.81602}", false},
    {"squeezenet1_1", 1235496, GROUPS("features[:5]", "features[5:]"), "{\"accuracy\":0.58178}",
     false},
    {"mobilenet_v2", 3504872, TWO_GROUPS, "{\"accuracy\":0.71878}", false},
    {"thaw-small", -1, GROUPS("stem+down1+res1", "down2+down3+res3"), NULL, true},
};

/* A row that exists keeps what it gained since; a name that a user's model took stays that one's.
 */
static const char seed_sql[] =
    "INSERT OR IGNORE INTO models (id, name, kind, architecture, origin, available, random,"
    " groups, parameters, metrics, created_ms)"
    " VALUES (?1, ?2, 'image', ?2, 'base', ?3, ?3, ?4, ?5, ?6, ?7)";

static enum status seed_one(struct sql *sql, const struct base_model *base, struct err *err)
{
    char *id = mem_printf("mdl_%s", base->name);
    struct sql_value parameters =
        base->parameters < 0 ? sql_text(NULL) : sql_integer(base->parameters);
    enum status status =
        sql_run(sql, seed_sql,
                SQL_VALUES(sql_text(id), sql_text(base->name), sql_integer(base->random),
                           sql_text(base->groups), parameters, sql_text(base->metrics),
                           sql_integer(clock_wall_ms())),
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
    for (size_t i = 0; status == OK && i < ARRAY_LEN(base_models); i++)
        status = seed_one(sql, &base_models[i], err);
    return store_end(store, status, err);
}
