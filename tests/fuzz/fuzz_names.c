/* fuzz_names.c -- what member_name_clean lets through is relative, UTF-8 and finds a place. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/data/archive.h"
#include "engine/data/exif.h"
#include "engine/data/layout.h"
#include "engine/data/member_name.h"

static void place(const char *name)
{
    struct layout_finder finder;
    layout_finder_init(&finder);
    layout_finder_offer(&finder, name);
    struct layout layout = layout_found(&finder);
    struct place place = layout_place(&layout, name);
    if (place.class_name)
        promise(place.class_name >= name &&
                place.class_name + place.class_len <= name + strlen(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[ARCHIVE_MAX_NAME + 1];
    char *raw = mem_alloc(size + 1);
    if (size > 0)
        memcpy(raw, data, size);
    const char *refusal = member_name_clean(raw, name, sizeof name);
    promise(utf8_is_valid(name, strlen(name)));
    if (!refusal) {
        promise(name[0] && name[0] != '/' && !strstr(name, "//"));
        promise(strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0 && !strstr(name, "/../"));
        member_name_is_litter(name);
        place(name);
    }
    mem_free(raw);
    int orientation = exif_orientation(data, size);
    promise(orientation >= 1 && orientation <= 8);
    return 0;
}
