/* layout.h -- which split and class a path belongs to, once all paths are known.
 *
 *     train/CLASS/...  with  valid|val|validation/CLASS/...  and  test/CLASS/...
 *     CLASS/...        alone: all of it trains
 *
 * One enclosing folder is looked through; folders below CLASS are the class's too; split names are
 * known without case. test/FILE has no label.
 *
 * Of texts some may have no label anywhere: those in unsup/ (or unlabelled/), at the place of a
 * split or of a class, those in no class folder, and all where there is no folder but one. */
#ifndef THAW_ENGINE_DATA_LAYOUT_H
#define THAW_ENGINE_DATA_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/data/pack.h"

struct layout {
    size_t enclosing; /* bytes of each path to look through, slash included */
    bool splits;      /* the folders below name splits, not classes */
    bool flat;        /* all paths lie in one folder, or in none */
    bool text;        /* the caller's to set: items may lack a label */
};

struct place {
    enum pack_split split;
    const char *class_name; /* in the path, not terminated; NULL: unlabelled */
    size_t class_len;       /* (labelling.h: elsewhere too, and of several classes) */
    const char *refusal;    /* NULL, or one sentence: why the item has no place */
};

/* All paths are offered, and stay where they are, before the layout is asked for. */
struct layout_finder {
    const char *first; /* borrowed: a path */
    size_t common;     /* bytes of its first folder, which every path shares; 0: they do not */
    bool deep;         /* some path has a folder in its first folder */
    bool bare;         /* some path has no folder */
    bool splits_outside, splits_inside; /* some first (second) folder is called as a split */
};

void layout_finder_init(struct layout_finder *finder);
void layout_finder_offer(struct layout_finder *finder, const char *path);
struct layout layout_found(const struct layout_finder *finder);

/* Is this what a split is called? And the split whose folder a path lies in, if any. */
bool layout_split_named(const char *name, size_t len, enum pack_split *split);
bool layout_split(const struct layout *layout, const char *path, enum pack_split *split);

struct place layout_place(const struct layout *layout, const char *path);

#endif
