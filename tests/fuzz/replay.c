/* replay.c -- runs a fuzz target over its corpus, as TAP: what once broke it stays mended.
 *
 * Linked instead of libFuzzer, so that every compiler and sanitizer can do it. */
#include <dirent.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fs.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES (16u << 20)

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay(const char *folder, const char *name, int number)
{
    char path[512];
    struct buf bytes;
    struct err err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    buf_init(&bytes, MAX_BYTES);
    if (fs_read_file(path, &bytes, &err) != OK) {
        printf("not ok %d - %s\n# %s\n", number, name, err.detail);
    } else {
        LLVMFuzzerTestOneInput((const uint8_t *)bytes.data, bytes.len);
        printf("ok %d - %s\n", number, name);
    }
    fflush(stdout);
    buf_deinit(&bytes);
}

int main(int argc, char **argv)
{
    char folder[256];
    struct dirent **entries = NULL;
    const char *slash = strrchr(argv[0], '/');
    snprintf(folder, sizeof folder, "%s/%s", argc > 1 ? argv[1] : "tests/fuzz/corpus",
             slash ? slash + 1 : argv[0]);
    int n = scandir(folder, &entries, not_hidden, alphasort);
    printf("1..%d\n", n > 0 ? n : 1);
    if (n <= 0)
        printf("not ok 1 - %s holds inputs\n", folder);
    for (int i = 0; i < n; i++) {
        replay(folder, entries[i]->d_name, i + 1);
        free(entries[i]);
    }
    free(entries);
    return n <= 0;
}
