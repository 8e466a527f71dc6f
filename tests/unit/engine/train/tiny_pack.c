#include "tests/unit/engine/train/tiny_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static void set_labels(struct pack_writer *writer, uint32_t item, int bits)
{
    uint32_t labels[32], n = 0;
    struct err err = {0};
    for (uint32_t i = 0; i < 31; i++)
        if (bits >> i & 1)
            labels[n++] = i;
    assert_int_equal(pack_writer_set_labels(writer, item, labels, n, &err), OK);
}

static struct pack *make(const int *labels, bool sets, uint32_t n, uint32_t n_classes)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    int pack_fd = memfd_create("pack", MFD_CLOEXEC), index_fd = memfd_create("index", MFD_CLOEXEC);
    struct pack_writer *writer = pack_writer_new(pack_fd, index_fd);
    struct pack *pack = NULL;
    struct err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct pack_record record = {
            .label = sets ? 0 : labels[i], .orientation = 1, .width = 1, .height = 1};
        char path[16];
        snprintf(path, sizeof path, "%05u", i);
        assert_int_equal(pack_writer_add(writer, &record, path, path, 5, &err), OK);
        if (sets)
            set_labels(writer, i, labels[i]);
    }
    assert_int_equal(pack_writer_finish(writer, names, n_classes, &err), OK);
    assert_int_equal(pack_open_fds(pack_fd, index_fd, &pack, &err), OK);
    pack_writer_free(writer);
    close(pack_fd);
    close(index_fd);
    return pack;
}

struct pack *tiny_pack(const int *labels, uint32_t n, uint32_t n_classes)
{
    return make(labels, false, n, n_classes);
}

struct pack *tiny_multilabel_pack(const int *sets, uint32_t n, uint32_t n_classes)
{
    return make(sets, true, n, n_classes);
}
