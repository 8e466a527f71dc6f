/* learner.h -- what differs between kinds of data, behind one table of functions.
 *
 * The trainer's loop, its optimiser, schedules, checkpoints and events are the same for pictures,
 * language models and classifiers of texts. What a stage's plans are, where its batches come from,
 * how a batch becomes a loss and gradients, how the network is validated, and what must be carried
 * from one step to the next, each kind says for itself. stage.c asks the stage's learner. */
#ifndef THAW_ENGINE_TRAIN_LEARNER_H
#define THAW_ENGINE_TRAIN_LEARNER_H

#include "engine/train/stage.h"

struct learner {
    /* As stage.h's functions of these names. */
    enum status (*open_plans)(struct stage *stage, const struct run *run, int64_t index,
                              bool cached, struct err *err);
    enum status (*open_data)(struct stage *stage, const struct run *run, int64_t index,
                             const struct stage_options *options, struct err *err);
    void (*close)(struct stage *stage);
    void (*begin)(struct stage *stage, uint32_t number, uint32_t epoch, int64_t first_step);
    enum status (*gradients)(struct stage *stage, const struct run *run, int64_t index,
                             int64_t draw, double *loss, struct err *err);
    enum status (*validate)(struct stage *stage, const struct run *run,
                            const struct stage_asked *asked, struct evaluation *evaluation,
                            struct err *err);
    void (*hash)(const struct stage *stage, char hex[SHA256_HEX]); /* of its training plans */

    /* What the next step depends on beside weights and position; NULL where there is nothing. */
    size_t (*carried_floats)(const struct stage *stage);
    void (*read_carried)(const struct stage *stage, float *carried);
    void (*write_carried)(struct stage *stage, const float *carried);
};

extern const struct learner learner_image;           /* image.c */
extern const struct learner learner_language;        /* language.c */
extern const struct learner learner_text_classifier; /* text_classifier.c */

#endif
