/* How much memory there is: the machine's, or the least limit of the groups around us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "server/machine.h"

static char folder[] = "/tmp/test_machine.XXXXXX";

static void put(const char *path, const char *text)
{
    char *whole = mem_printf("%s/%s", folder, path);
    char *slash = strrchr(whole, '/');
    *slash = '\0';
    assert_int_equal(fs_make_folders(whole, NULL), OK);
    *slash = '/';
    assert_int_equal(fs_write_file(whole, text, strlen(text), NULL), OK);
    mem_free(whole);
}

static uint64_t memory(void)
{
    char *proc = mem_printf("%s/proc", folder), *cgroup = mem_printf("%s/cgroup", folder);
    uint64_t bytes = machine_memory_at(proc, cgroup);
    mem_free(proc);
    mem_free(cgroup);
    return bytes;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_machine.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return fs_remove_tree(folder, NULL) == OK ? 0 : -1;
}

static void without_limits_it_is_the_machines(void **state)
{
    (void)state;
    assert_true(memory() == UINT64_MAX); /* nothing says */
    put("proc/meminfo", "MemTotal:        4096 kB\nMemFree: 1 kB\n");
    assert_int_equal(memory(), 4 << 20);
    put("proc/self/cgroup", "0::/user/service\n");
    put("cgroup/user/service/memory.max", "max\n");
    assert_int_equal(memory(), 4 << 20);
}

static void the_least_limit_of_all_groups_above_counts(void **state)
{
    (void)state;
    put("proc/meminfo", "MemTotal:        4096 kB\n");
    put("proc/self/cgroup", "0::/user/service\n");
    put("cgroup/user/service/memory.max", "3145728\n");
    assert_int_equal(memory(), 3 << 20);
    put("cgroup/user/memory.max", "2097152\n");
    assert_int_equal(memory(), 2 << 20);
    put("cgroup/memory.max", "1048576\n"); /* a container's own root */
    assert_int_equal(memory(), 1 << 20);
    put("cgroup/memory.max", "nonsense\n");
    assert_int_equal(memory(), 2 << 20);
}

static void groups_of_version_1_count_too(void **state)
{
    (void)state;
    put("proc/meminfo", "MemTotal:        4096 kB\n");
    put("proc/self/cgroup", "9:cpu:/a\n7:hugetlb,memory:/box\n1:name=systemd:/\n");
    put("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* its way to say none */
    put("cgroup/memory/box/memory.limit_in_bytes", "1048576\n");
    assert_int_equal(memory(), 1 << 20);
}

static void the_processor_has_a_name(void **state)
{
    (void)state;
    char *name = machine_name();
    assert_true(strlen(name) > 0 && !strchr(name, '\n'));
    mem_free(name);
    assert_true(machine_memory() > (1 << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_limits_it_is_the_machines, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_least_limit_of_all_groups_above_counts, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(groups_of_version_1_count_too, make_folder, remove_folder),
        cmocka_unit_test(the_processor_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
