/* synth_letter.c -- see synth_letter.h: a rule is a sentence with slots, "{thing}" is replaced by
 * one of a list, which may have slots again. */
#include "engine/data/synth_letter.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define MAX_WORDS 24
#define MAX_DEPTH 4

/* A list of phrases by name; NULL ends it. */
struct phrases {
    const char *name;
    const char *const list[MAX_WORDS];
};

struct topic {
    const char *name;
    struct phrases things, happenings, wishes;
};

static const struct topic topics[] = {
    {"account",
     {"thing",
      {"password", "user name", "login page", "profile", "newsletter", "security question",
       "confirmation link", "mobile app", "settings page", "membership card", "captcha",
       "two-step code", "wish list", "bonus points", "e-mail address", "browser session"}},
     {"happening",
      {"will not let me in", "was reset without asking", "keeps signing me out",
       "shows somebody else's data", "cannot be changed", "expired before I could click it",
       "never remembers who I am", "is locked after three tries",
       "asks for a code that never comes", "disappeared after the update",
       "still has my old surname", "says that I do not exist"}},
     {"wish",
      {"Please delete my data.", "Could you unlock it?", "Please send me a new link.",
       "How do I unsubscribe?", "Please merge my two profiles.", "Can you change the address?"}}},
    {"delivery",
     {"thing",
      {"parcel", "courier", "driver", "tracking number", "shipment", "depot", "delivery van",
       "package", "consignment", "pick-up point", "freight company", "postman", "pallet",
       "dispatch note", "parcel locker", "express service"}},
     {"happening",
      {"has not arrived", "went to the wrong street", "is stuck at customs",
       "came to the neighbours", "has been on its way for weeks", "was left in the rain",
       "did not ring the bell", "was sent back for no reason",
       "has not moved since it left the warehouse", "stopped in another town", "is two weeks late",
       "was seen last in the harbour"}},
     {"wish",
      {"Where is it now?", "Please send it again.", "When will it be here?",
       "Please use another carrier.", "Could it come on a Saturday?",
       "Please leave it in the shed."}}},
    {"payment",
     {"thing",
      {"invoice", "refund", "credit card", "bank transfer", "voucher", "receipt", "direct debit",
       "discount code", "statement", "instalment", "deposit", "price", "tax line", "reminder fee",
       "gift card", "balance"}},
     {"happening",
      {"was charged twice", "shows the wrong amount", "was declined", "has not been booked",
       "is higher than agreed", "does not match what I paid", "was never credited",
       "is missing the tax number", "went to a closed bank account", "was taken out too early",
       "is ten euros off", "was not applied at the till"}},
     {"wish",
      {"Please pay back the difference.", "Please correct the sum.", "Can I pay in two parts?",
       "Please send me a copy for my books.", "I want my money back.", "Which sum is right?"}}},
    {"quality",
     {"thing",
      {"handle", "zip", "lid", "battery", "seam", "hinge", "screen", "wheel", "switch", "coating",
       "cable", "strap", "glass", "motor", "lining", "spring"}},
     {"happening",
      {"broke after two days", "came off in my hand", "has a deep scratch",
       "smells of burnt rubber", "is bent and rusty", "does not close", "makes a grinding noise",
       "leaks at the bottom", "faded in the first wash", "gets far too hot",
       "is cracked from side to side", "fell apart on the first trip"}},
     {"wish",
      {"Please replace it.", "Is there a spare part?", "Does the guarantee cover this?",
       "Can it be repaired?", "I attach a photograph of the damage.", "Who can mend it?"}}},
};

static const struct phrases shared[] = {
    {"greeting",
     {"Hello,", "Dear team,", "Good morning,", "Hi there,", "Dear Sir or Madam,", "Good evening,",
      "To whom it may concern,", "Dear shop,"}},
    {"closing",
     {"Kind regards", "Many thanks", "Yours faithfully", "Thank you for your help",
      "I look forward to your answer", "Best wishes", "With thanks in advance", "Greetings"}},
    {"when",
     {"since Monday", "after the weekend", "two weeks ago", "yesterday", "on the 3rd of May",
      "this morning", "again", "for the second time", "in spite of my call", "once more",
      "over the holidays", "as far as I can see"}},
    {"ware",
     {"kettle", "lamp", "rucksack", "tent", "toaster", "bicycle bell", "raincoat", "camera",
      "garden chair", "radio", "suitcase", "coffee mill", "clock", "umbrella"}},
    {"name",
     {"Anna", "Mr. Brown", "Carla", "David", "Mrs. Evans", "Farid", "Grace", "Hugo", "Ines",
      "Jonas", "Kim", "Lea"}},
    {"aside",
     {"I ordered a {ware} for my sister.", "My order is number {number}.",
      "I have been a customer for {few} years.", "It is about the {ware} that I bought from you.",
      "I was glad about the {ware} otherwise.", "{name} told me to write to you.",
      "I called {few} times, and nobody answered.", "It was meant as a present for {name}.",
      "The {ware} is in use every day.", "I am writing because of the {ware}, number {number}.",
      "I do not like to complain.", "We talked about this on the phone with {name}.",
      "It's not the first time.", "That can't be right, can it?"}},
    {"about",
     {"The {thing} {happening} {when}.", "The {thing} {happening}.",
      "Now I see that the {thing} {happening}.", "{when}, the {thing} {happening}.",
      "I am sorry to say that the {thing} {happening}.",
      "First the {thing}, then the {thing}: it "
      "{happening}.",
      "As for the {thing}, it {happening} {when}."}},
};

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (n < MAX_WORDS && list[n])
        n++;
    return n;
}

static bool is_called(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

static const char *const *find_phrases(const struct topic *topic, const char *name, size_t len)
{
    const struct phrases *own[] = {&topic->things, &topic->happenings, &topic->wishes};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (is_called(name, len, own[i]->name))
            return own[i]->list;
    for (size_t i = 0; i < ARRAY_LEN(shared); i++)
        if (is_called(name, len, shared[i].name))
            return shared[i].list;
    return NULL;
}

static void write_rule(const struct topic *topic, const char *rule, int depth, struct rng *rng,
                       struct buf *out);

static void write_slot(const struct topic *topic, const char *name, size_t len, int depth,
                       struct rng *rng, struct buf *out)
{
    const char *const *list = find_phrases(topic, name, len);
    if (list && depth < MAX_DEPTH)
        write_rule(topic, list[rng_below(rng, (uint32_t)count(list))], depth + 1, rng, out);
    else if (is_called(name, len, "few"))
        buf_printf(out, "%u", 2 + rng_below(rng, 9));
    else /* number */
        buf_printf(out, "%u", 10000 + rng_below(rng, 90000));
}

static void write_rule(const struct topic *topic, const char *rule, int depth, struct rng *rng,
                       struct buf *out)
{
    while (*rule) {
        size_t plain = strcspn(rule, "{");
        buf_append(out, rule, plain);
        rule += plain;
        if (*rule != '{')
            break;
        const char *end = strchr(rule, '}');
        write_slot(topic, rule + 1, (size_t)(end - rule - 1), depth, rng, out);
        rule = end + 1;
    }
}

/* A sentence with a capital in front of it and a space before that. */
static void write_sentence(const struct topic *topic, const char *rule, struct rng *rng,
                           struct buf *out)
{
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        buf_puts(out, " ");
    size_t begin = out->len;
    write_rule(topic, rule, 0, rng, out);
    out->data[begin] = (char)toupper((unsigned char)out->data[begin]);
}

size_t synth_letter_n_classes(void)
{
    return ARRAY_LEN(topics);
}

const char *synth_letter_class_name(size_t label)
{
    return topics[label].name;
}

void synth_letter_write(size_t label, uint64_t seed, uint64_t number, struct buf *out)
{
    struct rng rng = rng_stream("letter", seed, label, number);
    const struct topic *topic = &topics[label];
    write_sentence(topic, "{greeting}", &rng, out);
    for (uint32_t asides = rng_below(&rng, 3); asides > 0; asides--)
        write_sentence(topic, "{aside}", &rng, out);
    for (uint32_t abouts = 1 + rng_below(&rng, 3); abouts > 0; abouts--)
        write_sentence(topic, "{about}", &rng, out);
    if (rng_below(&rng, 3) == 0)
        write_sentence(&topics[rng_below(&rng, ARRAY_LEN(topics))], "{about}", &rng, out);
    if (rng_below(&rng, 2) == 0)
        write_sentence(topic, "{aside}", &rng, out);
    if (rng_below(&rng, 3) == 0)
        write_sentence(topic, "{wish}", &rng, out);
    write_sentence(topic, "{closing}, {name}.", &rng, out);
}
