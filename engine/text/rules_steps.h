/* rules_steps.h -- the rules one by one, for rules.c alone.
 *
 * A step reads work->text and, if it changes anything, writes another: room() gives the buffer that
 * the text is not in, take() makes it the text. A step whose pattern does not occur returns early.
 */
#ifndef THAW_ENGINE_TEXT_RULES_STEPS_H
#define THAW_ENGINE_TEXT_RULES_STEPS_H

#include <stdbool.h>
#include <stddef.h>

struct work {
    const char *text; /* borrowed, or one of the buffers */
    size_t len;
    char *buffers[2]; /* owned */
    size_t capacities[2];
    int next;      /* the buffer to write to */
    bool is_first; /* piece of its document */
};

char *work_room(struct work *work, size_t bytes); /* at least so many, of the next buffer */
void work_take(struct work *work, size_t len);    /* what was written there is the text now */

/* html.c */
void step_fix_html(struct work *work);
/* repeats.c */
void step_replace_rep(struct work *work);
void step_replace_wrep(struct work *work);
/* casing.c */
void step_all_caps(struct work *work);
void step_maj(struct work *work);
void step_lowercase(struct work *work);

#endif
