#include "server/ask.h"

#include "base/mem.h"

void asks_push(struct asks *asks, struct ask *ask)
{
    ask->next = NULL;
    if (asks->last)
        asks->last->next = ask;
    else
        asks->first = ask;
    asks->last = ask;
    asks->n++;
}

struct ask *asks_take(struct asks *asks, struct ask *before)
{
    struct ask **link = before ? &before->next : &asks->first;
    struct ask *ask = *link;
    *link = ask->next;
    if (asks->last == ask)
        asks->last = before;
    asks->n--;
    return ask;
}

void ask_answer(struct ask *ask, enum status status, const struct json *answer,
                const struct err *err)
{
    atomic_fetch_sub(ask->open, 1);
    ask->given.done(ask->given.arg, status, answer, err);
    mem_free(ask);
}

void ask_refuse(struct ask *ask, enum status status, const char *code, const char *sentence)
{
    struct err err = {0};
    err_set(&err, status, "%s", sentence);
    err_name(&err, code, NULL);
    ask_answer(ask, status, NULL, &err);
}

void asks_refuse_late(struct asks *asks, double now)
{
    struct ask *before = NULL;
    for (struct ask *ask = asks->first; ask;) {
        struct ask *next = ask->next;
        if (now >= ask->deadline)
            ask_refuse(asks_take(asks, before), E_UNAVAILABLE, "predict_timeout",
                       "The prediction took too long: the server is busy, try again.");
        else
            before = ask;
        ask = next;
    }
}
