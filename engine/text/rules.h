/* rules.h -- fastai's rules: what a text goes through before it is cut into tokens.
 *
 * In fastai's order (fastai.text.core, version 2), each exactly as its regular expressions do it on
 * Python's strings, but in linear time:
 *
 *     fix_html           leftovers of HTML: "#39;" -> ', "<br />" -> a new line, "..." -> " …",
 *                        then html.unescape: "&eacute;" -> é
 *     replace_rep        a character three times or more: "aaaa" -> " xxrep 4 a "
 *     replace_wrep       a word three times or more: "ah ah ah" -> " xxwrep 3 ah "
 *     spec_add_spaces    "/", "#" and "\" stand alone
 *     rm_useless_spaces  one space, not several
 *     replace_all_caps   "NASA" -> "xxup nasa"; a single letter becomes small
 *     replace_maj        "Jeremy" -> "xxmaj jeremy"
 *     lowercase          all small, without space around; xxbos in front
 *
 * Before them, two of ours: bytes that are no UTF-8 become U+FFFD, and the fields of a document
 * (one text column each, parted by 0x1f) become "xxfld 1 a xxfld 2 b", as fastai marks them.
 *
 * A document longer than RULES_PIECE is taken piece by piece, cut at white space where there is any
 * nearby: what would span the cut (a run, a repeated word) is seen as two. So memory is bounded. */
#ifndef THAW_ENGINE_TEXT_RULES_H
#define THAW_ENGINE_TEXT_RULES_H

#include <stdbool.h>
#include <stddef.h>

#define RULES_PIECE     (1u << 20) /* bytes */
#define FIELD_SEPARATOR 0x1f       /* PACK_TEXT_JOINT of engine/data/pack.h */

struct rules; /* owns two buffers that it uses again; borrows the document */

struct rules *rules_new(void);
void rules_free(struct rules *rules); /* NULL is fine */

/* Begins a document, which must stay until the last rules_next. */
void rules_begin(struct rules *rules, const char *document, size_t len);
/* The next piece, made ready: UTF-8, borrowed until the next call, not terminated. false: there is
 * no more. The first piece begins with xxbos, also of an empty document. */
bool rules_next(struct rules *rules, const char **text, size_t *len);

/* One rule alone, by fastai's name, over a text of at most RULES_PIECE bytes: for tests. false: no
 * rule is called so. */
bool rules_apply_one(struct rules *rules, const char *name, const char *bytes, size_t bytes_len,
                     const char **text, size_t *len);

#endif
