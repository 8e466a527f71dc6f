#include "tests/unit/engine/worker/sandbox_child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

char sandbox_folder[64], sandbox_given[80], sandbox_secret[80], sandbox_out[80],
    sandbox_out_file[96];

int sandbox_make_files(void **state)
{
    (void)state;
    struct err err;
    snprintf(sandbox_folder, sizeof sandbox_folder, "/tmp/thaw-sandbox-XXXXXX");
    assert_non_null(mkdtemp(sandbox_folder));
    snprintf(sandbox_given, sizeof sandbox_given, "%s/given", sandbox_folder);
    snprintf(sandbox_secret, sizeof sandbox_secret, "%s/secret", sandbox_folder);
    snprintf(sandbox_out, sizeof sandbox_out, "%s/out", sandbox_folder);
    snprintf(sandbox_out_file, sizeof sandbox_out_file, "%s/file", sandbox_out);
    assert_int_equal(fs_write_file(sandbox_given, "given", 5, &err), OK);
    assert_int_equal(fs_write_file(sandbox_secret, "secret", 6, &err), OK);
    assert_int_equal(fs_make_folder(sandbox_out, &err), OK);
    return 0;
}

int sandbox_remove_files(void **state)
{
    (void)state;
    struct err err;
    return fs_remove_tree(sandbox_folder, &err);
}

struct sandbox_options sandbox_options_for(enum sandbox_profile profile)
{
    struct sandbox_options options = {.mode = SANDBOX_AUTO,
                                      .profile = profile,
                                      .read = {sandbox_given},
                                      .n_read = 1,
                                      .write = {sandbox_out},
                                      .n_write = 1,
                                      .max_file_size = FILE_LIMIT};
    if (profile == SANDBOX_PARSE)
        options.max_memory = MEMORY_LIMIT;
    return options;
}

int sandbox_inside(enum sandbox_profile profile, int (*attempt)(void))
{
    struct sandbox_options options = sandbox_options_for(profile);
    struct sandbox_state state;
    struct err err;
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (sandbox_enter(&options, &state, &err) != OK) {
            fprintf(stderr, "%s\n", err.detail);
            _exit(NOT_ENTERED);
        }
        _exit(attempt());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        if (WTERMSIG(status) != SIGSYS)
            fail_msg("the child died of signal %d", WTERMSIG(status));
        return KILLED;
    }
    return WEXITSTATUS(status);
}

const enum sandbox_profile sandbox_profiles[] = {SANDBOX_PARSE, SANDBOX_COMPUTE};

void sandbox_need_landlock(void)
{
    if (landlock_abi() == 0) {
        print_message("this kernel has no landlock\n");
        skip();
    }
}

void sandbox_need_seccomp(void)
{
    if (SANDBOX_SANITIZED) {
        print_message("a build with a sanitizer does not filter system calls\n");
        skip();
    }
}

int sandbox_came(long result)
{
    return result < 0 ? errno : 0;
}
