/* special_words.h -- words that the rules of token.h would cut wrongly: contractions without an
 * apostrophe, abbreviations, emoticons. The list is spaCy's for English, abridged. */
#ifndef THAW_ENGINE_TEXT_SPECIAL_WORDS_H
#define THAW_ENGINE_TEXT_SPECIAL_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define SPECIAL_WORD_MAX 27 /* bytes of the longest */

/* The word with a space wherever it is cut ("can not" of "cannot"), NULL when it is none of them.
 * Capitals may stand for small letters ("Cannot"), but not the reverse: "Mr." is kept whole, "mr."
 * becomes "mr" and ".", as in the vocabularies that were published for small letters. */
const char *special_word(const char *word, size_t len);

/* lengths[b] has bit n set if a special word of n bytes begins with byte b, a capital for its small
 * letter included: most words are none, and this says so at once. */
void special_word_lengths(uint32_t lengths[256]);

#endif
