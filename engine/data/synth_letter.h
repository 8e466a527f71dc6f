/* synth_letter.h -- writes labelled letters to a shop from a grammar: for the text demo and for
 * tests, without a download.
 *
 * A letter's class is what it is about. Each class has its own things and happenings, many of each,
 * so that a few labelled letters name only some of them; which of them belong together shows in
 * letters without a label. Greetings, asides and closings are everybody's, and now and then a
 * sentence belongs to another class. A letter is a pure function of (class, seed, number). */
#ifndef THAW_ENGINE_DATA_SYNTH_LETTER_H
#define THAW_ENGINE_DATA_SYNTH_LETTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

size_t synth_letter_n_classes(void);
const char *synth_letter_class_name(size_t label);

/* Appends the letter: ASCII, some sentences on one line, at most SYNTH_LETTER_MAX bytes. */
#define SYNTH_LETTER_MAX 2048
void synth_letter_write(size_t label, uint64_t seed, uint64_t number, struct buf *out);

#endif
