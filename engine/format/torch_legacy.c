/* torch_legacy.c -- torch.save before 1.6, or with _use_new_zipfile_serialization=False.
 *
 * Five pickles follow each other (a magic number, the protocol, the writer's system, the object, a
 * list of storage keys); then, for each key, an i64 count and that many elements. How large an
 * element is only the object's own mention of the key says. */
#include <stdlib.h>
#include <string.h>

#include "engine/format/torch.h"
#include "engine/format/torch_state.h"

#define PROTOCOL 1001

/* The number 0x1950a86a20f9469cfc6c as a pickle. */
static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

struct legacy_storage {
    struct pickle_text key; /* borrowed from the file */
    enum dtype dtype;
    const uint8_t *data; /* borrowed from the file; NULL until its bytes were met */
    uint64_t n_bytes;
};

struct legacy {
    const uint8_t *bytes; /* borrowed; the whole file */
    size_t len, at;
    struct legacy_storage *storages; /* owned; sorted by key, keys unique */
    size_t n_storages;
};

static enum status damaged(const char *why, struct err *err)
{
    return err_set(err, E_INVALID, "The torch file (legacy format) is damaged: %s.", why);
}

static int compare_keys(const void *a, const void *b)
{
    const struct pickle_text *x = &((const struct legacy_storage *)a)->key;
    const struct pickle_text *y = &((const struct legacy_storage *)b)->key;
    int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static struct legacy_storage *find_key(const struct legacy *legacy, struct pickle_text key)
{
    if (legacy->n_storages == 0)
        return NULL;
    struct legacy_storage wanted = {.key = key};
    return bsearch(&wanted, legacy->storages, legacy->n_storages, sizeof wanted, compare_keys);
}

/* The table of every storage that the object mentions, each once. */
static enum status collect(struct legacy *legacy, const struct pickle_items *mentioned,
                           struct err *err)
{
    size_t n = 0;
    struct legacy_storage *table = mem_alloc((mentioned->n + 1) * sizeof *table);
    for (size_t i = 0; i < mentioned->n; i++) {
        const struct pickle_storage *storage = mentioned->items[i]->u.storage;
        table[i] = (struct legacy_storage){.key = storage->key, .dtype = storage->dtype};
    }
    qsort(table, mentioned->n, sizeof *table, compare_keys);
    legacy->storages = table;
    for (size_t i = 0; i < mentioned->n; i++) {
        if (n == 0 || compare_keys(&table[n - 1], &table[i]) != 0)
            table[n++] = table[i];
        else if (table[n - 1].dtype != table[i].dtype)
            return damaged("a storage has two element types", err);
    }
    legacy->n_storages = n;
    return OK;
}

/* One storage's bytes at legacy->at. */
static enum status take_storage(struct legacy *legacy, const struct pickle_value *key,
                                struct err *err)
{
    int64_t n_elements = 0;
    if (key->type != PICKLE_STRING)
        return damaged("a storage's key is no string", err);
    struct legacy_storage *storage = find_key(legacy, key->u.string);
    if (!storage || storage->data)
        return damaged("its list of storages does not fit its tensors", err);
    size_t room = legacy->len - legacy->at;
    if (room < sizeof n_elements)
        return damaged("it ends before its last storage", err);
    memcpy(&n_elements, legacy->bytes + legacy->at, sizeof n_elements);
    room -= sizeof n_elements;
    if (n_elements < 0 || (uint64_t)n_elements > room / dtype_size(storage->dtype))
        return damaged("it ends inside a storage", err);
    storage->data = legacy->bytes + legacy->at + sizeof n_elements;
    storage->n_bytes = (uint64_t)n_elements * dtype_size(storage->dtype);
    legacy->at += sizeof n_elements + storage->n_bytes;
    return OK;
}

static enum status find_storage(const void *context, const struct pickle_storage *storage,
                                const uint8_t **data, uint64_t *n_bytes, struct err *err)
{
    const struct legacy_storage *found = find_key(context, storage->key);
    if (!found || !found->data)
        return damaged("a tensor's storage is missing", err);
    *data = found->data;
    *n_bytes = found->n_bytes;
    return OK;
}

static enum status next_pickle(struct legacy *legacy, struct arena *arena, struct pickle *pickle,
                               struct err *err)
{
    enum status status =
        pickle_read(legacy->bytes + legacy->at, legacy->len - legacy->at, arena, pickle, err);
    legacy->at += pickle->used;
    return status;
}

/* The protocol, the writer's system, the object, the keys; then the storages. */
static enum status read_file(struct legacy *legacy, struct arena *arena, struct pickle *object,
                             struct err *err)
{
    struct pickle protocol = {0}, system = {0}, keys = {0};
    enum status status = next_pickle(legacy, arena, &protocol, err);
    if (status == OK && (protocol.root->type != PICKLE_INT || protocol.root->u.integer != PROTOCOL))
        return damaged("its protocol is not 1001", err);
    if (status == OK)
        status = next_pickle(legacy, arena, &system, err);
    const struct pickle_value *little = pickle_get(system.root, "little_endian");
    if (status == OK && little && (little->type != PICKLE_BOOL || !little->u.boolean))
        return err_set(err, E_INVALID,
                       "The torch file was written on a big-endian machine; save "
                       "it again on a little-endian one.");
    if (status == OK)
        status = next_pickle(legacy, arena, object, err);
    if (status == OK)
        status = next_pickle(legacy, arena, &keys, err);
    if (status == OK)
        status = collect(legacy, &object->storages, err);
    if (status == OK && keys.root->type != PICKLE_LIST)
        return damaged("its list of storages is missing", err);
    for (size_t i = 0; status == OK && i < keys.root->u.items.n; i++)
        status = take_storage(legacy, keys.root->u.items.items[i], err);
    return status;
}

bool torch_recognise_legacy(const uint8_t *bytes, size_t len)
{
    return len > sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

enum status torch_parse_legacy(const uint8_t *bytes, size_t len, struct tensor_source *source,
                               struct err *err)
{
    struct legacy legacy = {.bytes = bytes, .len = len, .at = sizeof magic};
    struct arena arena;
    arena_init(&arena);
    struct pickle object = {0};
    enum status status = read_file(&legacy, &arena, &object, err);
    if (status == OK) {
        struct torch_storages storages = {find_storage, &legacy};
        status = torch_add_state_dict(source, &storages, object.root, err);
    }
    arena_deinit(&arena);
    mem_free(legacy.storages);
    return status;
}
