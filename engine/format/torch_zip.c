/* torch_zip.c -- torch.save since 1.6: NAME/data.pkl is the pickle, NAME/data/KEY a storage. */
#include <stdio.h>
#include <string.h>

#include "engine/format/torch.h"
#include "engine/format/torch_state.h"
#include "engine/format/zip.h"

struct torch_zip {
    struct zip zip;
    char prefix[ZIP_MAX_NAME + 1]; /* "NAME/" */
};

static enum status find_storage(const void *context, const struct pickle_storage *storage,
                                const uint8_t **data, uint64_t *n_bytes, struct err *err)
{
    const struct torch_zip *torch = context;
    char name[ZIP_MAX_NAME + 64];
    int shown = storage->key.len > 40 ? 40 : (int)storage->key.len;
    snprintf(name, sizeof name, "%sdata/%.*s", torch->prefix, shown, storage->key.text);
    const struct zip_entry *entry = zip_find(&torch->zip, name);
    if (!entry)
        return err_set(err, E_INVALID, "The torch file lacks the storage %.*s: it is damaged.",
                       shown, storage->key.text);
    *data = entry->data;
    *n_bytes = entry->size;
    return OK;
}

/* The one entry NAME/data.pkl; keeps NAME/. */
static enum status find_pickle(struct torch_zip *torch, const struct zip_entry **pickle,
                               struct err *err)
{
    static const char file[] = "data.pkl";
    const size_t file_len = sizeof file - 1;
    *pickle = NULL;
    for (size_t i = 0; i < torch->zip.n_entries; i++) {
        const struct zip_entry *entry = &torch->zip.entries[i];
        if (entry->name_len <= file_len || entry->name[entry->name_len - file_len - 1] != '/' ||
            memcmp(entry->name + entry->name_len - file_len, file, file_len) != 0)
            continue;
        if (*pickle)
            return err_set(err, E_INVALID, "The zip file holds two torch pickles (data.pkl).");
        *pickle = entry;
        memcpy(torch->prefix, entry->name, entry->name_len - file_len);
        torch->prefix[entry->name_len - file_len] = '\0';
    }
    if (!*pickle)
        return err_set(err, E_INVALID, "The zip file is no torch file: it holds no NAME/data.pkl.");
    return OK;
}

static enum status check_entries(const struct torch_zip *torch, struct err *err)
{
    char name[ZIP_MAX_NAME + 16];
    snprintf(name, sizeof name, "%sbyteorder", torch->prefix);
    const struct zip_entry *order = zip_find(&torch->zip, name);
    if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return err_set(err, E_INVALID,
                       "The torch file was written on a big-endian machine; save it again on a "
                       "little-endian one.");
    enum status status = OK;
    for (size_t i = 0; i < torch->zip.n_entries && status == OK; i++)
        status = zip_check(&torch->zip.entries[i], err);
    return status;
}

bool torch_recognise_zip(const uint8_t *bytes, size_t len)
{
    return zip_recognise(bytes, len);
}

enum status torch_parse_zip(const uint8_t *bytes, size_t len, struct tensor_source *source,
                            struct err *err)
{
    struct torch_zip torch = {0};
    enum status status = zip_open(bytes, len, &torch.zip, err);
    if (status != OK)
        return status;
    struct arena arena;
    arena_init(&arena);
    struct pickle pickle = {0};
    const struct zip_entry *entry = NULL;
    status = find_pickle(&torch, &entry, err);
    if (status == OK)
        status = check_entries(&torch, err);
    if (status == OK)
        status = pickle_read(entry->data, entry->size, &arena, &pickle, err);
    if (status == OK) {
        struct torch_storages storages = {find_storage, &torch};
        status = torch_add_state_dict(source, &storages, pickle.root, err);
    }
    arena_deinit(&arena);
    zip_close(&torch.zip);
    return status;
}
