#include "store/folder.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static const char *const subfolders[] = {"blobs", "uploads", "jobs", "tmp"};

/* statfs f_type of file systems that are not on this machine (linux/magic.h has some of them). */
static const struct {
    uint32_t magic;
    const char *name;
} network_systems[] = {
    {0x6969, "NFS"},      {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"}, {0x517b, "SMB"},
    {0x00c36400, "Ceph"}, {0x5346414f, "AFS"},  {0x01021997, "9P"},
};

static enum status check_local(const char *path, struct err *err)
{
    struct statfs info;
    if (statfs(path, &info))
        return err_errno(err, "The file system of %s cannot be examined", path);
    for (size_t i = 0; i < ARRAY_LEN(network_systems); i++)
        if ((uint32_t)info.f_type == network_systems[i].magic)
            return err_set(err, E_INVALID,
                           "The data directory %s lies on a network file system (%s), which cannot "
                           "hold the database: choose a folder on a local disk.",
                           path, network_systems[i].name);
    return OK;
}

static enum status check_owner(const char *path, struct err *err)
{
    struct stat info;
    if (stat(path, &info))
        return err_errno(err, "The data directory %s cannot be examined", path);
    if (!S_ISDIR(info.st_mode))
        return err_set(err, E_INVALID, "The data directory %s is not a folder.", path);
    if (info.st_uid != geteuid())
        return err_set(err, E_FORBIDDEN,
                       "The data directory %s belongs to user %u, not to the user %u this server "
                       "runs as.",
                       path, (unsigned)info.st_uid, (unsigned)geteuid());
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, E_FORBIDDEN,
                       "The data directory %s may be written by other users (mode %03o): run "
                       "chmod 700 on it.",
                       path, (unsigned)info.st_mode & 0777);
    if (access(path, W_OK | X_OK))
        return err_errno(err, "The data directory %s is not writable", path);
    return OK;
}

static enum status lock_folder(const char *path, int *lock, struct err *err)
{
    char *file = mem_printf("%s/lock", path);
    struct err cause;
    enum status status = fs_lock(file, lock, &cause);
    if (status == E_CONFLICT)
        err_set(err, status,
                "The data directory %s is in use by a running server: stop that one, or give this "
                "one a folder of its own with --data.",
                path);
    else if (status)
        *err = cause;
    mem_free(file);
    return status;
}

enum status folder_open(const char *data, char **path, int *lock, struct err *err)
{
    enum status status = fs_make_folders(data, err);
    if (status)
        return err_prefix(err, "The data directory cannot be made: ");
    char *absolute = realpath(data, NULL);
    if (!absolute)
        return err_errno(err, "The data directory %s cannot be found", data);
    *path = mem_strdup(absolute);
    free(absolute);

    status = check_owner(*path, err);
    if (status == OK)
        status = check_local(*path, err);
    if (status == OK)
        status = lock_folder(*path, lock, err);
    for (size_t i = 0; status == OK && i < ARRAY_LEN(subfolders); i++) {
        char *folder = mem_printf("%s/%s", *path, subfolders[i]);
        status = fs_make_folder(folder, err);
        mem_free(folder);
    }
    return status;
}
