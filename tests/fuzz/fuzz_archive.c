/* fuzz_archive.c -- members have clean names and bounded bytes, or the archive is refused. */
#include "tests/fuzz/fuzz.h"

#include "base/utf8.h"
#include "engine/data/archive.h"

#define MAX_MEMBERS 100
#define MAX_ITEM    (64u << 10)

static void read_members(struct archive_reader *reader)
{
    struct archive_member *member;
    struct err err = {0};
    int64_t last = -1;
    for (int i = 0; i <= MAX_MEMBERS; i++) {
        if (archive_reader_next(reader, &member, &err) != OK) {
            promise(err.detail[0]);
            return;
        }
        if (!member)
            return;
        promise(member->ordinal > last && utf8_is_valid(member->name, strlen(member->name)));
        last = member->ordinal;
        if (member->ignored || member->refusal[0])
            continue;
        promise(member->name[0] != '/' && strncmp(member->name, "../", 3) != 0 &&
                !strstr(member->name, "/../")); /* "x../y" is a name like any other */
        if (archive_reader_fill(reader, ARCHIVE_SNIFF, &err) != OK ||
            archive_reader_fill(reader, ARCHIVE_WHOLE, &err) != OK) {
            promise(err.detail[0]);
            return;
        }
        promise(member->len <= MAX_ITEM);
        fuzz_touch(member->bytes, member->len);
    }
    abort(); /* more members than the limit */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct archive_limits limits = archive_default_limits();
    struct archive_reader *reader;
    struct err err = {0};
    limits.max_bytes = 1u << 20;
    limits.max_entries = MAX_MEMBERS;
    limits.max_item_bytes = MAX_ITEM;
    int fd = fuzz_file(data, size);
    if (archive_reader_open(fd, &limits, &reader, &err) == OK) {
        read_members(reader);
        archive_reader_close(reader);
    } else {
        promise(err.detail[0]);
    }
    close(fd);
    return 0;
}
