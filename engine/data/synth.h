/* synth.h -- draws labelled pictures procedurally: for the demo, for tests, without a download.
 *
 * A set is a list of classes; a class is an outline (shape) or a pattern (texture), and everything
 * else of a picture varies at random: colours, place, turn, size, light, background, clutter before
 * and behind, noise. A picture is a pure function of (set, class, seed, index, size). Set "b" (to
 * fine-tune on) has no class in common with "a", nor with "forms", which has those of "a" and many
 * more that numbers make (synth_form.h). */
#ifndef THAW_ENGINE_DATA_SYNTH_H
#define THAW_ENGINE_DATA_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#define SYNTH_MIN_SIZE 16
#define SYNTH_MAX_SIZE 1024

struct synth_set; /* constant */

size_t synth_n_sets(void);
const struct synth_set *synth_set_at(size_t index);
const struct synth_set *synth_find_set(const char *name); /* NULL when there is none */
const char *synth_set_name(const struct synth_set *set);
size_t synth_n_classes(const struct synth_set *set);
struct synth_name {
    char text[24];
};
struct synth_name synth_class_name(const struct synth_set *set, size_t label);

/* Paints (size,size,3) into `pixels`. */
void synth_draw(const struct synth_set *set, size_t label, uint64_t seed, uint64_t index, int size,
                uint8_t *pixels);

#endif
