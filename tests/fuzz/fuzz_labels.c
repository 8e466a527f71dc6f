/* fuzz_labels.c -- a table of labels is taken or refused; every row that is kept is found again,
 * under a name that is relative and UTF-8. The first byte says which kind of table it is. */
#include "tests/fuzz/fuzz.h"

#include "base/utf8.h"
#include "engine/data/label_table.h"

static void ignore(void *context, const char *path, const char *reason)
{
    (void)context;
    promise(utf8_is_valid(path, strlen(path)) && reason[0]);
}

static void look(struct label_table *table)
{
    label_table_sort(table, ignore, NULL);
    for (uint32_t i = 0; i < label_table_n(table); i++) {
        struct label_row *row = label_table_row(table, i);
        promise(label_table_find(table, row->path) == row);
        promise(row->path[0] && row->path[0] != '/' && utf8_is_valid(row->path, strlen(row->path)));
        promise(utf8_is_valid(row->labels, strlen(row->labels)) && row->split <= N_SPLITS);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    if (size == 0)
        return 0;
    const char *member = data[0] & 1 ? "set/metadata.jsonl" : "labels.csv";
    struct label_table *table = label_table_new(NULL, data[0] & 2 ? "group" : NULL);
    if (label_table_add(table, member, data + 1, size - 1, ignore, NULL, &err) == OK)
        look(table);
    else
        promise(err.detail[0]);
    label_table_free(table);
    return 0;
}
