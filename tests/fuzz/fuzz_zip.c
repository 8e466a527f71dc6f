/* fuzz_zip.c -- entries of a zip lie inside it, apart from each other, and are found by name. */
#include "tests/fuzz/fuzz.h"

#include "engine/format/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zip zip;
    struct err err = {0};
    if (zip_open(data, size, &zip, &err) != OK) {
        promise(err.detail[0] && err.status == E_INVALID);
        return 0;
    }
    for (size_t i = 0; i < zip.n_entries; i++) {
        const struct zip_entry *entry = &zip.entries[i];
        promise(entry->data >= data && entry->size <= (size_t)(data + size - entry->data));
        char name[ZIP_MAX_NAME + 1];
        memcpy(name, entry->name, entry->name_len);
        name[entry->name_len] = '\0';
        promise(zip_find(&zip, name) == entry);
        if (zip_check(entry, &err) != OK)
            promise(err.detail[0]);
    }
    zip_close(&zip);
    return 0;
}
