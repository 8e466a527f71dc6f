/* token.h -- a word tokeniser by rules, as spaCy's for English, that knows every script.
 *
 * Tokens are parts of the text, in its order; nothing is changed. White space and control
 * characters are left out, but the end of a line is a token ("\n"), and several in a row are one
 * ("\n\n"), as with spaCy. In this order:
 *
 * 1. The text falls into chunks at white space. Three things are cut out wherever they stand:
 *    an emoji or other pictograph with all that belongs to it (skin tone, joined emoji, the second
 *    half of a flag); an ellipsis (".." and more, or "…"); each letter, with its accents, of a
 *    script that puts no spaces between words (Han, Kana, Thai, Lao, Khmer, Myanmar, Tibetan).
 * 2. From a chunk, again and again, until none fits:
 *    - it is one of the special words (special_words.h): cut as these say, "cannot" -> can not,
 *      "e.g." whole; "10am" -> 10 am;
 *    - something comes off in front: quotes, brackets, , : ; ! ? & * # _ § % = and dashes; a sign
 *      of currency; + if no digit follows;
 *    - something comes off at the end: the same punctuation; the contractions n't 's 'm 're 've 'll
 *      'd (with ' or ’); a full stop behind a small letter, a digit, a sign or two capitals, so
 *      that "U.S." stays whole; of a number its unit, currency or + ("5km", "50%", "3€").
 * 3. What is left is whole if it is an address (http://..., www.host.org/..., name@host.org). Else
 *    it is cut at - – — -- ~ and commas between letters, at : < > = / between a letter or digit and
 *    a letter, at + - * ^ between digits, and at a full stop between a small letter and a capital.
 *    Numbers stay: 1,000.5 and 3.14.
 *
 * So the special tokens, "xxmaj" and the others, are never cut. Time is linear in the text. Where
 * this differs from spaCy: contractions come off any word, not only off listed ones; emoji are kept
 * together; what is joined to Han or an emoji is cut as if a space stood there. */
#ifndef THAW_ENGINE_TEXT_TOKEN_H
#define THAW_ENGINE_TEXT_TOKEN_H

#include <stddef.h>

struct tokeniser; /* owns a list that it uses again */

struct tokeniser *tokeniser_new(void);
void tokeniser_free(struct tokeniser *tokeniser); /* NULL is fine */

/* Calls `emit` for each token of `text`, which is UTF-8 (text_repair). Tokens are borrowed and not
 * terminated. */
void tokeniser_split(struct tokeniser *tokeniser, const char *text, size_t len,
                     void (*emit)(void *context, const char *token, size_t len), void *context);

#endif
