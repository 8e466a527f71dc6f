/* specs.h -- job specs for tests, written short. */
#ifndef THAW_TESTS_UNIT_API_SPEC_SPECS_H
#define THAW_TESTS_UNIT_API_SPEC_SPECS_H

#include "base/json.h"

/* The members of a spec beside the two that every spec needs, in JSON with ' for ". */
struct json *spec_of(const char *members);

/* Resolves; what comes back has passed, and is the same when resolved again. Free with json_free.
 */
struct json *resolve(const char *members);

/* The value's text, with ' for ". */
void assert_json(const struct json *value, const char *expected);

/* Resolving fails so, at that pointer, with a sentence that holds these words. */
struct refusal {
    const char *members;
    enum status status;
    const char *pointer, *sentence;
};
void assert_refused(const struct refusal *refusal);

/* A resolved "augment" whose flip has that probability. */
#define AUGMENT(flip)                                                                              \
    "{'min_scale':0.35,'flip':" flip ",'flip_vertical':false,'rotate':0,'zoom':1,'warp':0,"        \
    "'p_affine':0.75,'lighting':0,'p_lighting':0.75,'erase':0,'presize':null}"

#endif
