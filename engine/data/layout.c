/* layout.c -- see layout.h. */
#include "engine/data/layout.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const struct {
    const char *folder;
    enum pack_split split;
} split_names[] = {
    {"train", SPLIT_TRAIN},      {"valid", SPLIT_VALID}, {"val", SPLIT_VALID},
    {"validation", SPLIT_VALID}, {"test", SPLIT_TEST},
};

/* Bytes of the first folder's name; 0 when there is no folder. */
static size_t folder_len(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

bool layout_split_named(const char *name, size_t len, enum pack_split *split)
{
    for (size_t i = 0; i < ARRAY_LEN(split_names); i++) {
        if (strlen(split_names[i].folder) != len ||
            strncasecmp(name, split_names[i].folder, len) != 0)
            continue;
        *split = split_names[i].split;
        return true;
    }
    return false;
}

static bool find_split(const char *path, enum pack_split *split)
{
    return layout_split_named(path, folder_len(path), split);
}

void layout_finder_init(struct layout_finder *finder)
{
    memset(finder, 0, sizeof *finder);
}

void layout_finder_offer(struct layout_finder *finder, const char *path)
{
    enum pack_split split;
    size_t len = folder_len(path);
    finder->bare |= len == 0;
    if (len == 0)
        return; /* in no folder: it has no place in any layout */
    if (!finder->first) {
        finder->first = path;
        finder->common = len;
    } else if (len != finder->common || strncmp(path, finder->first, len) != 0) {
        finder->common = 0;
    }
    const char *inside = path + len + 1;
    finder->deep |= folder_len(inside) > 0;
    finder->splits_outside |= find_split(path, &split);
    finder->splits_inside |= find_split(inside, &split);
}

struct layout layout_found(const struct layout_finder *finder)
{
    /* One folder around everything, which is no split and has folders of its own, encloses. */
    bool encloses = finder->common > 0 && finder->deep && !finder->splits_outside;
    return (struct layout){.enclosing = encloses ? finder->common + 1 : 0,
                           .splits = encloses ? finder->splits_inside : finder->splits_outside,
                           .flat = !finder->first ||
                                   (!finder->bare && finder->common > 0 && !finder->deep)};
}

bool layout_split(const struct layout *layout, const char *path, enum pack_split *split)
{
    return layout->splits && strlen(path) > layout->enclosing &&
           find_split(path + layout->enclosing, split);
}

/* Is this what the folder of texts without labels is called? */
static bool is_unlabelled(const char *name, size_t len)
{
    static const char *const names[] = {"unsup", "unsupervised", "unlabelled", "unlabeled"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == len && strncasecmp(name, names[i], len) == 0)
            return true;
    return false;
}

/* The first folder at `at` decides. False: it is no split. */
static bool place_by_split(const struct layout *layout, const char *at, struct place *place)
{
    if (find_split(at, &place->split))
        return true;
    if (layout->text && is_unlabelled(at, folder_len(at))) {
        place->split = SPLIT_UNLABELLED;
        return true;
    }
    place->refusal = "It lies outside the folders train, valid and test.";
    return false;
}

static void place_by_class(const struct layout *layout, const char *at, struct place *place)
{
    size_t len = folder_len(at);
    bool unlabelled = len == 0 || is_unlabelled(at, len);
    if (layout->text && unlabelled) {
        place->split = SPLIT_UNLABELLED;
    } else if (len > 0) {
        place->class_name = at;
        place->class_len = len;
    } else if (place->split == SPLIT_TEST) {
        place->split = SPLIT_UNLABELLED;
    } else {
        place->refusal = "It lies in no class folder.";
    }
}

struct place layout_place(const struct layout *layout, const char *path)
{
    struct place place = {.split = SPLIT_TRAIN};
    if (layout->text && layout->flat) {
        place.split = SPLIT_UNLABELLED;
        return place;
    }
    if (strlen(path) < layout->enclosing || folder_len(path) == 0) {
        place.refusal = "It lies in no folder.";
        return place;
    }
    const char *at = path + layout->enclosing;
    if (layout->splits) {
        if (!place_by_split(layout, at, &place))
            return place;
        at += folder_len(at) + 1;
    }
    if (place.split != SPLIT_UNLABELLED)
        place_by_class(layout, at, &place);
    return place;
}
