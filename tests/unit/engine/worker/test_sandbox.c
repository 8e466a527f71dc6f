#include "tests/unit/engine/worker/sandbox_child.h"

#include <fcntl.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"

/* --- Files ----------------------------------------------------------------------------------- */

static int open_given(void)
{
    return sandbox_came(open(sandbox_given, O_RDONLY));
}

static int open_passwd(void)
{
    return sandbox_came(open("/etc/passwd", O_RDONLY));
}

static int make_utf8_locale(void)
{
    return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) ? 0 : ENOENT;
}

static int open_secret(void)
{
    return sandbox_came(open(sandbox_secret, O_RDONLY));
}

static int list_parent(void)
{
    return sandbox_came(open(sandbox_folder, O_RDONLY | O_DIRECTORY));
}

static int write_given(void)
{
    return sandbox_came(open(sandbox_given, O_WRONLY));
}

static int make_beside(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/new", sandbox_folder);
    return sandbox_came(open(path, O_WRONLY | O_CREAT, 0600));
}

static int remove_given(void)
{
    return sandbox_came(unlink(sandbox_given));
}

/* All that a verb does with its output folder. */
static int write_out(void)
{
    struct err err;
    char path[112];
    snprintf(path, sizeof path, "%s/sub", sandbox_out);
    if (fs_make_folder(path, &err) != OK ||
        fs_write_file(sandbox_out_file, "text", 4, &err) != OK ||
        fs_write_file(sandbox_out_file, "other", 5, &err) != OK ||
        truncate(sandbox_out_file, 0) == 0)
        return EPROTO;
    int fd = open(sandbox_out_file, O_RDWR | O_TRUNC);
    if (fd < 0 || ftruncate(fd, 10) != 0 || fsync(fd) != 0 || close(fd) != 0)
        return errno;
    return sandbox_came(unlink(sandbox_out_file));
}

static void only_the_given_paths_can_be_read(void **state)
{
    (void)state;
    sandbox_need_landlock();
    assert_allowed(open_given);
    assert_allowed(make_utf8_locale); /* names of archive members are converted by it */
    assert_denied(open_passwd);
    assert_denied(open_secret);
    assert_denied(list_parent);
}

static void only_the_output_folder_can_be_written(void **state)
{
    (void)state;
    sandbox_need_landlock();
    assert_denied(write_given);
    assert_denied(make_beside);
    assert_denied(remove_given);
    if (!SANDBOX_SANITIZED)
        assert_int_equal(sandbox_inside(SANDBOX_PARSE, write_out), 0);
}

static int make_symlink(void)
{
    return sandbox_came(symlink("/etc/passwd", sandbox_out_file));
}

static int make_link(void)
{
    return sandbox_came(link(sandbox_given, sandbox_out_file));
}

static int make_fifo(void)
{
    return sandbox_came(mkfifo(sandbox_out_file, 0600));
}

static int make_socket_file(void)
{
    return sandbox_came(mknod(sandbox_out_file, S_IFSOCK | 0600, 0));
}

static void links_fifos_and_sockets_cannot_be_made(void **state)
{
    (void)state;
    sandbox_need_landlock();
    assert_denied(make_symlink);
    assert_denied(make_link);
    assert_denied(make_fifo);
    assert_denied(make_socket_file);
}

static int write_too_much(void)
{
    int fd = open(sandbox_out_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return fd < 0 ? 0 : sandbox_came((int)pwrite(fd, "x", 1, FILE_LIMIT));
}

static void files_are_limited(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sandbox_profiles); i++)
        assert_int_equal(sandbox_inside(sandbox_profiles[i], write_too_much), EFBIG);
}

/* --- System calls ---------------------------------------------------------------------------- */

static int open_socket(void)
{
    return sandbox_came(socket(AF_INET, SOCK_STREAM, 0));
}

static int open_unix_socket(void)
{
    int pair[2];
    return sandbox_came(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

static int signal_parent(void)
{
    return sandbox_came(kill(getppid(), 0));
}

static int signal_thread_of_parent(void)
{
    return sandbox_came((int)syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int fork_child(void)
{
    return sandbox_came(fork());
}

static int change_mode(void)
{
    return sandbox_came(chmod(sandbox_given, 0666));
}

static int truncate_given(void)
{
    return sandbox_came(truncate(sandbox_given, 0));
}

static int raise_limit(void)
{
    struct rlimit limit = {4096, 4096};
    return sandbox_came(setrlimit(RLIMIT_NOFILE, &limit));
}

/* Pins the parent to no processor at all, which the kernel would refuse: it was not asked. */
static int pin_parent(void)
{
    cpu_set_t none;
    CPU_ZERO(&none);
    return sandbox_came(sched_setaffinity(getppid(), sizeof none, &none));
}

static int own_signals_of_file(void)
{
    return sandbox_came(fcntl(0, F_SETOWN, getppid()));
}

static void nothing_outside_can_be_reached(void **state)
{
    (void)state;
    sandbox_need_seccomp();
    assert_denied(open_socket);
    assert_denied(open_unix_socket);
    assert_denied(signal_parent);
    assert_denied(signal_thread_of_parent);
    assert_denied(own_signals_of_file);
    assert_allowed(pin_parent);
    assert_denied(fork_child);
    assert_denied(change_mode);
    assert_denied(truncate_given);
    assert_denied(raise_limit);
}

static int execute(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    return sandbox_came(execv("/bin/true", arguments));
}

static int trace(void)
{
    return sandbox_came((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int set_up_io_uring(void)
{
    return sandbox_came((int)syscall(425 /* io_uring_setup */, 1, NULL));
}

static int make_memory_file(void)
{
    return sandbox_came(memfd_create("code", 0));
}

static int read_parent_memory(void)
{
    return sandbox_came((int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static void what_only_an_attacker_calls_kills(void **state)
{
    (void)state;
    sandbox_need_seccomp();
    assert_killed(execute);
    assert_killed(trace);
    assert_killed(set_up_io_uring);
    assert_killed(make_memory_file);
    assert_killed(read_parent_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_given_paths_can_be_read),
        cmocka_unit_test(only_the_output_folder_can_be_written),
        cmocka_unit_test(links_fifos_and_sockets_cannot_be_made),
        cmocka_unit_test(files_are_limited),
        cmocka_unit_test(nothing_outside_can_be_reached),
        cmocka_unit_test(what_only_an_attacker_calls_kills),
    };
    return cmocka_run_group_tests(tests, sandbox_make_files, sandbox_remove_files);
}
