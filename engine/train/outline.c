#include "engine/train/outline.h"

#include <math.h>
#include <string.h>

#include "base/json_file.h"
#include "engine/train/stage_plans.h"

#define MAX_ROWS_IN_ALL 32768 /* of all stages: what a result may weigh */

static int64_t rows_of(const struct recipe *recipe, const struct recipe_stage *stage)
{
    int64_t most = MAX_ROWS_IN_ALL / recipe->n_stages;
    most = most < OUTLINE_MAX_ROWS ? most : OUTLINE_MAX_ROWS;
    return stage->schedule.steps < most ? stage->schedule.steps : most;
}

/* The step that row `row` of `rows` shows. */
static int64_t step_of(int64_t row, int64_t rows, int64_t steps)
{
    return rows < 2 ? 0 : row * (steps - 1) / (rows - 1);
}

/* --- Groups --- */

static void count_parameters(const struct graph *graph, const struct plan_options *train, int group,
                             int64_t *all, int64_t *trainable)
{
    *all = *trainable = 0;
    for (int i = 0; i < graph->n_params; i++) {
        const struct param *param = graph->params[i];
        if (param->group != group || param_is_statistic(param))
            continue;
        *all += (int64_t)param->n_elements;
        *trainable += plan_will_train(train, param) ? (int64_t)param->n_elements : 0;
    }
}

/* Also says which groups train anything. */
static void add_groups(struct json *json, const struct recipe *recipe,
                       const struct recipe_stage *stage, const struct graph *graph,
                       bool trains[ZOO_MAX_GROUPS])
{
    const struct stage_plans plans = stage_plans(recipe, stage, graph, false);
    struct json *groups = json_set_array(json, "groups");
    for (int g = 0; g < stage->n_groups; g++) {
        int64_t all, trainable;
        count_parameters(graph, &plans.train, g, &all, &trainable);
        trains[g] = trainable > 0;
        struct json *group = json_add_object(groups);
        json_set_string(group, "name", stage->groups[g]);
        json_set_bool(group, "frozen", g < stage->frozen_groups);
        json_set_integer(group, "parameters", all);
        json_set_integer(group, "trainable_parameters", trainable);
    }
}

/* --- Rows --- */

static struct json *rates_at(const struct recipe_stage *stage, int n_groups, int64_t step,
                             const bool *trains)
{
    double rates[ZOO_MAX_GROUPS];
    recipe_rates(stage, n_groups, step, rates);
    struct json *row = json_new_array();
    for (int g = 0; g < n_groups; g++)
        json_add_number(row, !trains[g] ? 0 : stage->lr_auto ? NAN : rates[g]); /* NaN is null */
    return row;
}

static void add_rows(struct json *json, const struct recipe *recipe,
                     const struct recipe_stage *stage, const bool *trains)
{
    struct json *steps = json_set_array(json, "step");
    struct json *rates = json_set_array(json, "learning_rates");
    struct json *momentum = json_set_array(json, "momentum");
    int64_t rows = rows_of(recipe, stage);
    for (int64_t row = 0; row < rows; row++) {
        int64_t step = step_of(row, rows, stage->schedule.steps);
        json_add_number(steps, (double)step);
        json_add(rates, rates_at(stage, stage->n_groups, step, trains));
        json_add_number(momentum, schedule_momentum(&stage->schedule, step));
    }
}

struct json *outline_stages(const struct recipe *recipe, const struct graph *graph)
{
    struct json *stages = json_new_array();
    for (int i = 0; i < recipe->n_stages; i++) {
        const struct recipe_stage *stage = &recipe->stages[i];
        bool trains[ZOO_MAX_GROUPS];
        struct json *json = json_add_object(stages);
        json_set_string(json, "name", stage->name);
        json_set_integer(json, "epochs", stage->epochs);
        json_set_integer(json, "steps", stage->schedule.steps);
        json_set_integer(json, "steps_per_epoch", stage->steps_per_epoch);
        json_set_integer(json, "batch_size", stage->batch);
        if (recipe->texts)
            json_set_string(json, "phase", recipe_phase_name(stage->phase));
        json_set_integer(json, "size", stage->size);
        json_set_integer(json, "n_train", stage->n_train);
        json_set_integer(json, "n_valid", stage->n_valid);
        struct graph *own = recipe->texts ? recipe_graph(recipe, stage->phase, 0) : NULL;
        add_groups(json, recipe, stage, own ? own : graph, trains);
        graph_free(own);
        add_rows(json, recipe, stage, trains);
    }
    return stages;
}

enum status outline_write(const char *folder, const struct recipe *recipe,
                          const struct graph *graph, struct err *err)
{
    struct json *outline = json_new_object();
    json_set(outline, "stages", outline_stages(recipe, graph));
    enum status status = json_write_file(outline, folder, OUTLINE_FILE, err);
    json_free(outline);
    return status;
}
