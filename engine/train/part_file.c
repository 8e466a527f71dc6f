#include "engine/train/part_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

enum status part_file_open(struct part_file *part, const char *folder, const char *name,
                           struct err *err)
{
    part->end = mem_printf("%s/%s", folder, name);
    part->path = mem_printf("%s/%s.part", folder, name);
    int fd = open(part->path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    part->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (part->file)
        return OK;
    enum status status = err_errno(err, "The file %s could not be made", part->path);
    if (fd >= 0)
        close(fd);
    return status;
}

enum status part_file_check(const struct part_file *part, struct err *err)
{
    return ferror(part->file) ? err_errno(err, "The file %s could not be written", part->path) : OK;
}

enum status part_file_commit(struct part_file *part, struct err *err)
{
    bool failed = ferror(part->file) != 0;
    failed |= fclose(part->file) != 0;
    part->file = NULL;
    enum status status = failed ? err_errno(err, "The file %s could not be written", part->path)
                                : fs_commit(part->path, part->end, err);
    if (status != OK)
        unlink(part->path);
    return status;
}

void part_file_close(struct part_file *part)
{
    if (part->file) {
        fclose(part->file);
        unlink(part->path);
    }
    mem_free(part->path);
    mem_free(part->end);
    *part = (struct part_file){0};
}
