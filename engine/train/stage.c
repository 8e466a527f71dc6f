/* stage.c -- see stage.h: each function asks the stage's learner. */
#include "engine/train/stage.h"

#include "engine/train/learner.h"

static const struct learner *learner_of(enum recipe_phase phase)
{
    static const struct learner *const learners[] = {
        [PHASE_PICTURES] = &learner_image,
        [PHASE_LANGUAGE_MODEL] = &learner_language,
        [PHASE_CLASSIFIER] = &learner_text_classifier,
    };
    return learners[phase];
}

enum status stage_open_plans(struct stage *stage, const struct run *run, int64_t index, bool cached,
                             struct err *err)
{
    const struct learner *learner = learner_of(run->recipe.stages[index].phase);
    *stage = (struct stage){.learner = learner, .cut = NODE_NONE};
    return learner->open_plans(stage, run, index, cached, err);
}

enum status stage_open_data(struct stage *stage, const struct run *run, int64_t index,
                            const struct stage_options *options, struct err *err)
{
    return stage->learner->open_data(stage, run, index, options, err);
}

void stage_close(struct stage *stage)
{
    if (stage->learner)
        stage->learner->close(stage);
    *stage = (struct stage){.cut = NODE_NONE};
}

void stage_hash(const struct stage *stage, char hex[SHA256_HEX])
{
    stage->learner->hash(stage, hex);
}

void stage_begin(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step)
{
    stage->learner->begin(stage, number, epoch, first_step);
}

enum status stage_gradients(struct stage *stage, const struct run *run, int64_t index, int64_t draw,
                            double *loss, struct err *err)
{
    return stage->learner->gradients(stage, run, index, draw, loss, err);
}

enum status stage_validate(struct stage *stage, const struct run *run,
                           const struct stage_asked *asked, struct evaluation *evaluation,
                           struct err *err)
{
    return stage->learner->validate(stage, run, asked, evaluation, err);
}

size_t stage_carried_floats(const struct stage *stage)
{
    bool carries = stage->learner && stage->learner->carried_floats;
    return carries ? stage->learner->carried_floats(stage) : 0;
}

void stage_read_carried(const struct stage *stage, float *carried)
{
    if (stage_carried_floats(stage) > 0)
        stage->learner->read_carried(stage, carried);
}

void stage_write_carried(struct stage *stage, const float *carried)
{
    if (stage_carried_floats(stage) > 0)
        stage->learner->write_carried(stage, carried);
}
