/* sandbox_landlock.c -- files: the given paths and nothing else.
 *
 * Raw system calls: glibc has no wrappers, and Debian 12's linux/landlock.h stops at ABI 2. A right
 * that is handled is denied unless a rule grants it beneath a path; each newer ABI handles more. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/worker/sandbox_walls.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444 /* the same number on every architecture */
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

struct ruleset { /* struct landlock_ruleset_attr, as of ABI 6 */
    uint64_t fs, net, scoped;
};

struct path_rule { /* struct landlock_path_beneath_attr */
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_TRUNCATE    (UINT64_C(1) << 14)

/* What is handled from that ABI on; bits 6 and 9 to 12 make devices, sockets, fifos and links. */
static const struct {
    int abi;
    struct ruleset adds;
} handled[] = {
    {1, {.fs = (UINT64_C(1) << 13) - 1}},
    {2, {.fs = UINT64_C(1) << 13}}, /* rename and link across folders */
    {3, {.fs = FS_TRUNCATE}},       /* before: seccomp has no truncate(2) either */
    {4, {.net = 3}},                /* TCP bind and connect */
    {5, {.fs = UINT64_C(1) << 15}}, /* ioctl on devices */
    {6, {.scoped = 3}},             /* abstract unix sockets, signals outside */
};

#define READ_FILE_RIGHTS   (FS_READ_FILE)
#define READ_FOLDER_RIGHTS (FS_READ_FILE | FS_READ_DIR)
#define WRITE_FOLDER_RIGHTS                                                                        \
    (READ_FOLDER_RIGHTS | FS_WRITE_FILE | FS_MAKE_REG | FS_MAKE_DIR | FS_REMOVE_FILE |             \
     FS_REMOVE_DIR | FS_TRUNCATE)

/* Harmless, and needed by libraries once inside. */
static const char *const system_paths[] = {
    "/sys/devices/system/cpu", /* how many cores, which caches */
    "/usr/lib/locale/C.utf8",  /* libarchive converts member names by it */
    "/etc/localtime",          /* and their dates */
    "/proc/self/status",       /* this process's own peak of memory */
#if SANDBOX_SANITIZED
    "/proc/self", /* reports of a sanitizer */
#endif
};

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

static struct ruleset rights_of(int abi)
{
    struct ruleset all = {0};
    for (size_t i = 0; i < ARRAY_LEN(handled) && handled[i].abi <= abi; i++) {
        all.fs |= handled[i].adds.fs;
        all.net |= handled[i].adds.net;
        all.scoped |= handled[i].adds.scoped;
    }
    return all;
}

/* An older kernel refuses a structure that is larger than the one it knows. */
static size_t ruleset_size(int abi)
{
    return abi < 4 ? sizeof(uint64_t) : abi < 6 ? 2 * sizeof(uint64_t) : sizeof(struct ruleset);
}

static enum status allow(int ruleset, const char *path, uint64_t rights, struct err *err)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, E_INVALID, "The path %s cannot be opened for the sandbox: %s.", path,
                       strerror(errno));
    enum status status = OK;
    struct stat info;
    struct path_rule rule = {.allowed = rights, .folder = fd};
    if (fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode))
        rule.allowed &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        status = err_set(err, E_UNAVAILABLE, "Landlock refused a rule for %s: %s.", path,
                         strerror(errno));
    close(fd);
    return status;
}

static enum status allow_all(int ruleset, const struct sandbox_options *options,
                             const struct ruleset *rights, struct err *err)
{
    enum status status = OK;
    for (size_t i = 0; i < ARRAY_LEN(system_paths) && status == OK; i++) {
        if (access(system_paths[i], F_OK) == 0)
            status = allow(ruleset, system_paths[i], READ_FOLDER_RIGHTS, err);
    }
    for (size_t i = 0; i < options->n_read && status == OK; i++)
        status = allow(ruleset, options->read[i], READ_FOLDER_RIGHTS, err);
    for (size_t i = 0; i < options->n_write && status == OK; i++)
        status = allow(ruleset, options->write[i], WRITE_FOLDER_RIGHTS & rights->fs, err);
    return status;
}

enum status landlock_enter(const struct sandbox_options *options, int abi, struct err *err)
{
    struct ruleset rights = rights_of(abi);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, ruleset_size(abi), 0);
    if (ruleset < 0)
        return err_set(err, E_UNAVAILABLE, "Landlock made no ruleset: %s.", strerror(errno));
    enum status status = allow_all(ruleset, options, &rights, err);
    if (status == OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        status = err_set(err, E_UNAVAILABLE, "Landlock did not restrict the process: %s.",
                         strerror(errno));
    close(ruleset);
    return status;
}
