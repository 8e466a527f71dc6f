#include "server/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"

#define MAX_FILE (1u << 20)

/* Files of /proc and /sys have no size before they are read. */
static char *read_text(const char *path)
{
    char piece[4096];
    struct buf text;
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    buf_init(&text, MAX_FILE);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0 && buf_append(&text, piece, n);)
        continue;
    fclose(file);
    return buf_take(&text);
}

char *machine_name(void)
{
    static const char key[] = "\nmodel name";
    char *text = read_text("/proc/cpuinfo");
    const char *line = text ? strstr(text, key) : NULL;
    const char *name = line ? strchr(line, ':') : NULL;
    char *result = mem_strdup("unknown");
    if (name) {
        name += 1 + strspn(name + 1, " \t");
        mem_free(result);
        result =
            mem_printf("%.*s x %ld", (int)strcspn(name, "\n"), name, sysconf(_SC_NPROCESSORS_ONLN));
    }
    mem_free(text);
    return result;
}

/* "max" and what is absurdly large are no limit. */
static uint64_t read_limit(const char *path)
{
    char *text = read_text(path), *end = text;
    uint64_t limit = text ? strtoull(text, &end, 10) : 0;
    bool is_limit = text && end != text && limit > 0 && limit < UINT64_MAX / 4;
    mem_free(text);
    return is_limit ? limit : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The least limit from `group` ("/a/b", relative to `root`) up to the root itself. */
static uint64_t group_limit(const char *root, const char *group, const char *file)
{
    char *path = mem_strdup(group);
    uint64_t limit = UINT64_MAX;
    for (char *slash = path + strlen(path); slash; slash = strrchr(path, '/')) {
        *slash = '\0';
        char *name = mem_printf("%s%s/%s", root, path, file);
        limit = least(limit, read_limit(name));
        mem_free(name);
    }
    mem_free(path);
    return limit;
}

/* One line of /proc/self/cgroup: "0::/group" or "7:memory:/group". */
static uint64_t line_limit(const char *line, const char *cgroup)
{
    const char *controllers = strchr(line, ':');
    const char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return UINT64_MAX;
    if (group == controllers + 1)
        return group_limit(cgroup, group + 1, "memory.max");
    char *names = mem_printf(",%.*s,", (int)(group - controllers - 1), controllers + 1);
    bool is_memory = strstr(names, ",memory,");
    mem_free(names);
    char *root = mem_printf("%s/memory", cgroup);
    uint64_t limit = is_memory ? group_limit(root, group + 1, "memory.limit_in_bytes") : UINT64_MAX;
    mem_free(root);
    return limit;
}

static uint64_t groups_limit(const char *proc, const char *cgroup)
{
    char *path = mem_printf("%s/self/cgroup", proc), *text = read_text(path), *rest = text;
    uint64_t limit = UINT64_MAX;
    for (char *line; text && (line = strsep(&rest, "\n"));)
        limit = least(limit, line_limit(line, cgroup));
    mem_free(text);
    mem_free(path);
    return limit;
}

uint64_t machine_memory_at(const char *proc, const char *cgroup)
{
    static const char key[] = "MemTotal:";
    char *path = mem_printf("%s/meminfo", proc), *text = read_text(path);
    const char *line = text ? strstr(text, key) : NULL;
    uint64_t total = line ? strtoull(line + strlen(key), NULL, 10) << 10 : UINT64_MAX;
    mem_free(text);
    mem_free(path);
    return least(total, groups_limit(proc, cgroup));
}

uint64_t machine_memory(void)
{
    return machine_memory_at("/proc", "/sys/fs/cgroup");
}
