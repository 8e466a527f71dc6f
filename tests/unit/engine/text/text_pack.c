#include "tests/unit/engine/text/text_pack.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct pack *text_pack(const char *const *texts, uint32_t n)
{
    int bytes = memfd_create("pack", MFD_CLOEXEC), index = memfd_create("index", MFD_CLOEXEC);
    struct pack_writer *writer = pack_writer_new(bytes, index);
    struct pack *pack = NULL;
    struct err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct pack_record record = {
            .label = PACK_NO_LABEL, .split = SPLIT_UNLABELLED, .format = PACK_TEXT};
        char path[16];
        snprintf(path, sizeof path, "%08u", i);
        assert_int_equal(pack_writer_add(writer, &record, path, texts[i], strlen(texts[i]), &err),
                         OK);
    }
    assert_int_equal(pack_writer_finish(writer, NULL, 0, &err), OK);
    assert_int_equal(pack_open_fds(bytes, index, &pack, &err), OK);
    pack_writer_free(writer);
    close(bytes);
    close(index);
    return pack;
}
