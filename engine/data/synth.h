/* synth.h -- draws labelled pictures procedurally: for the demo, for tests, without a download.
 *
 * A set is a table of classes; each class is a painter with its parameters. A picture is a pure
 * function of (set, class, seed, index, size): colour, place, turn, size, light, clutter and noise
 * vary, so that classes overlap in all but what names them. The sets have no class in common: "a"
 * is for pretraining, "b" for fine-tuning. */
#ifndef THAW_ENGINE_DATA_SYNTH_H
#define THAW_ENGINE_DATA_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#define SYNTH_MIN_SIZE 16
#define SYNTH_MAX_SIZE 1024

struct synth_set; /* constant */

const struct synth_set *synth_find_set(const char *name); /* NULL when there is none */
size_t synth_n_sets(void);
const struct synth_set *synth_set_at(size_t index);
const char *synth_set_name(const struct synth_set *set);
size_t synth_n_classes(const struct synth_set *set);
const char *synth_class_name(const struct synth_set *set, size_t label);

/* Paints (size,size,3) into `pixels`. */
void synth_draw(const struct synth_set *set, size_t label, uint64_t seed, uint64_t index, int size,
                uint8_t *pixels);

#endif
