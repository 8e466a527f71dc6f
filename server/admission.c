#include "server/admission.h"

#include "base/fs.h"
#include "base/size.h"
#include "server/estimate.h"
#include "server/train_work.h"

/* What running jobs have reserved under `key` of their estimates. */
static int64_t reserved(const struct supervisor *supervisor, const char *key)
{
    int64_t sum = 0;
    for (size_t i = 0; i < supervisor->n_works; i++)
        if (supervisor->works[i]->kind == &train_kind)
            sum += estimate_bytes(((struct train *)supervisor->works[i])->row.estimate, key);
    return sum;
}

enum status admission_disk(const struct supervisor *supervisor, int64_t bytes, struct err *err)
{
    char need[SIZE_TEXT], room[SIZE_TEXT], kept[SIZE_TEXT];
    uint64_t space;
    enum status status = fs_free_bytes(store_folder(supervisor->store), &space, err);
    if (status)
        return status;
    uint64_t taken = supervisor->min_free + (uint64_t)reserved(supervisor, "disk_bytes");
    if (space >= taken && space - taken >= (uint64_t)bytes)
        return OK;
    err_set(err, E_NO_SPACE,
            "The job will write up to %s, and the disk has %s free, of which %s are reserved for "
            "running jobs and --min-free.",
            size_text((uint64_t)bytes, need), size_text(space, room), size_text(taken, kept));
    err_name(err, "disk_low", "Delete datasets, models or jobs, or free space otherwise.");
    return E_NO_SPACE;
}

bool admission_memory(const struct supervisor *supervisor, int64_t bytes)
{
    int64_t taken = reserved(supervisor, "peak_memory_bytes");
    return taken == 0 || (uint64_t)(taken + bytes) <= supervisor->memory_limit;
}
