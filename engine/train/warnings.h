/* warnings.h -- what a user should know about data or results, as a code and a full sentence.
 *
 * The same sentences are sent as `warning` events and kept in report.json. */
#ifndef THAW_ENGINE_TRAIN_WARNINGS_H
#define THAW_ENGINE_TRAIN_WARNINGS_H

#include <stdbool.h>

#include "base/json.h"
#include "engine/data/pack.h"
#include "engine/data/split.h"

#define WARNINGS_MAX 8

struct warning {
    char code[40];
    char detail[512];
};

struct warnings {
    struct warning list[WARNINGS_MAX];
    int n;
};

void warnings_add(struct warnings *warnings, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* [{code, detail}...], as reports have them; owned by the caller. */
struct json *warnings_json(const struct warnings *warnings);

/* Before the first step:
 *   class_without_validation  a class has items to train on and none to validate
 *   unbalanced_classes        the largest class has more than 20 times the smallest's items
 *   flip_mirrors_characters   every class name is one letter or digit, and pictures are flipped
 * `flip` is the largest probability of a flip, horizontal or vertical, in any stage; `remedied`:
 * class weights or a balanced sampler are in use already. */
void warnings_before(struct warnings *warnings, const struct pack *pack, const struct split *split,
                     double flip, bool remedied);

#endif
