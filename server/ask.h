/* ask.h -- inside the predictor: one prediction that somebody waits for, and lists of them. */
#ifndef THAW_SERVER_ASK_H
#define THAW_SERVER_ASK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "api/app.h"

struct ask {
    struct predict_ask given; /* what it points to is the asker's until `done` */
    struct ask *next;
    atomic_int *open; /* borrowed; how many asks there are */
    int64_t id;       /* on the wire */
    int tries;
    double deadline;
};

struct asks { /* a list with both ends; {0} is an empty one */
    struct ask *first, *last;
    size_t n;
};

void asks_push(struct asks *asks, struct ask *ask);
/* Takes out the one after `before` (NULL: the first). */
struct ask *asks_take(struct asks *asks, struct ask *before);

/* Each answers and frees. */
void ask_answer(struct ask *ask, enum status status, const struct json *answer,
                const struct err *err);
void ask_refuse(struct ask *ask, enum status status, const char *code, const char *sentence);
void asks_refuse_late(struct asks *asks, double now);

#endif
