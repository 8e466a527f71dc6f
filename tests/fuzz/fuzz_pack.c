/* fuzz_pack.c -- the input is the index of a pack of 256 bytes; whatever it says, items lie inside.
 */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "engine/data/pack.h"

#define PACK_BYTES 256

static void read_items(const struct pack *pack)
{
    uint8_t bytes[PACK_BYTES];
    struct err err = {0};
    promise(pack_bytes(pack) == PACK_BYTES);
    for (uint32_t i = 0; i < pack_n_classes(pack); i++)
        promise(strlen(pack_class_name(pack, i)) <= PACK_MAX_NAME);
    for (uint32_t i = 0; i < pack_n_items(pack); i++) {
        const struct pack_record *item = pack_item(pack, i);
        struct image_header header = pack_item_header(pack, i);
        promise(item->split < N_SPLITS && item->size <= PACK_BYTES);
        promise(item->label == PACK_NO_LABEL || (uint32_t)item->label < pack_n_classes(pack));
        const uint32_t *labels;
        uint32_t n = pack_labels(pack, i, &labels);
        promise(n <= PACK_MAX_LABELS && (n == 0 || labels[n - 1] < pack_n_classes(pack)));
        if (pack_is_text(pack))
            promise(item->format == PACK_TEXT && item->height == 0);
        else
            promise(header.format < N_IMAGE_FORMATS && header.width > 0 && header.height > 0);
        promise(strlen(pack_item_path(pack, i)) <= PACK_MAX_NAME);
        char name[PACK_NAME_TEXT];
        promise(strlen(pack_item_name(pack, i, name)) > 0);
        promise(!pack_has_groups(pack) || pack_group(pack, i) <= UINT64_MAX);
        promise(pack_read(pack, i, bytes, &err) == OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t content[PACK_BYTES];
    struct pack *pack;
    struct err err = {0};
    int pack_fd = fuzz_file(content, sizeof content), index_fd = fuzz_file(data, size);
    if (pack_open_fds(pack_fd, index_fd, &pack, &err) == OK) {
        read_items(pack);
        pack_close(pack);
    } else {
        promise(err.detail[0]);
    }
    close(pack_fd);
    close(index_fd);
    return 0;
}
