/* Each claim runs in a child of its own that enters the sandbox and then tries one thing; it exits
 * with 0 where that worked, with the errno where it was denied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/core/plan.h"
#include "engine/worker/sandbox_walls.h"

#define MEMORY_LIMIT (UINT64_C(1) << 30)
#define FILE_LIMIT   (1u << 20)
#define KILLED       255 /* instead of an errno: SIGSYS ended the child */

static char folder[64], given[80], secret[80], out[80], out_file[96];

static int make_files(void **state)
{
    (void)state;
    struct err err;
    snprintf(folder, sizeof folder, "/tmp/thaw-sandbox-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(given, sizeof given, "%s/given", folder);
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(out_file, sizeof out_file, "%s/file", out);
    assert_int_equal(fs_write_file(given, "given", 5, &err), OK);
    assert_int_equal(fs_write_file(secret, "secret", 6, &err), OK);
    assert_int_equal(fs_make_folder(out, &err), OK);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    struct err err;
    return fs_remove_tree(folder, &err);
}

static struct sandbox_options options_for(enum sandbox_profile profile)
{
    struct sandbox_options options = {.mode = SANDBOX_AUTO,
                                      .profile = profile,
                                      .read = {given},
                                      .n_read = 1,
                                      .write = {out},
                                      .n_write = 1,
                                      .max_file_size = FILE_LIMIT};
    if (profile == SANDBOX_PARSE)
        options.max_memory = MEMORY_LIMIT;
    return options;
}

/* What came of `attempt` inside: 0, an errno, or KILLED. */
static int inside(enum sandbox_profile profile, int (*attempt)(void))
{
    struct sandbox_options options = options_for(profile);
    struct sandbox_state state;
    struct err err;
    int status;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (sandbox_enter(&options, &state, &err) != OK) {
            fprintf(stderr, "%s\n", err.detail);
            _exit(254);
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

static const enum sandbox_profile profiles[] = {SANDBOX_PARSE, SANDBOX_COMPUTE};

#define assert_allowed(attempt)                                                                    \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(profiles); p_++) {                                      \
            int came_ = inside(profiles[p_], attempt);                                             \
            if (came_ != 0)                                                                        \
                fail_msg(#attempt " failed: %s", strerror(came_));                                 \
        }                                                                                          \
    } while (0)
#define assert_denied(attempt)                                                                     \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(profiles); p_++) {                                      \
            int came_ = inside(profiles[p_], attempt);                                             \
            if (came_ == 0 || came_ == KILLED || came_ == 254)                                     \
                fail_msg(#attempt " was not denied but ended with %d", came_);                     \
        }                                                                                          \
    } while (0)
#define assert_killed(attempt)                                                                     \
    do {                                                                                           \
        for (size_t p_ = 0; p_ < ARRAY_LEN(profiles); p_++)                                        \
            assert_int_equal(inside(profiles[p_], attempt), KILLED);                               \
    } while (0)

static void need_landlock(void)
{
    if (landlock_abi() == 0) {
        print_message("this kernel has no landlock\n");
        skip();
    }
}

static void need_seccomp(void)
{
    if (SANDBOX_SANITIZED) {
        print_message("a build with a sanitizer does not filter system calls\n");
        skip();
    }
}

static int came(int result)
{
    return result < 0 ? errno : 0;
}

/* --- Files ----------------------------------------------------------------------------------- */

static int open_given(void)
{
    return came(open(given, O_RDONLY));
}

static int open_passwd(void)
{
    return came(open("/etc/passwd", O_RDONLY));
}

static int make_utf8_locale(void)
{
    return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0) ? 0 : ENOENT;
}

static int open_secret(void)
{
    return came(open(secret, O_RDONLY));
}

static int list_parent(void)
{
    return came(open(folder, O_RDONLY | O_DIRECTORY));
}

static int write_given(void)
{
    return came(open(given, O_WRONLY));
}

static int make_beside(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/new", folder);
    return came(open(path, O_WRONLY | O_CREAT, 0600));
}

static int remove_given(void)
{
    return came(unlink(given));
}

/* All that a verb does with its output folder. */
static int write_out(void)
{
    struct err err;
    char path[112];
    snprintf(path, sizeof path, "%s/sub", out);
    if (fs_make_folder(path, &err) != OK || fs_write_file(out_file, "text", 4, &err) != OK ||
        fs_write_file(out_file, "other", 5, &err) != OK || truncate(out_file, 0) == 0)
        return EPROTO;
    int fd = open(out_file, O_RDWR | O_TRUNC);
    if (fd < 0 || ftruncate(fd, 10) != 0 || fsync(fd) != 0 || close(fd) != 0)
        return errno;
    return came(unlink(out_file));
}

static void only_the_given_paths_can_be_read(void **state)
{
    (void)state;
    need_landlock();
    assert_allowed(open_given);
    assert_allowed(make_utf8_locale); /* names of archive members are converted by it */
    assert_denied(open_passwd);
    assert_denied(open_secret);
    assert_denied(list_parent);
}

static void only_the_output_folder_can_be_written(void **state)
{
    (void)state;
    need_landlock();
    assert_denied(write_given);
    assert_denied(make_beside);
    assert_denied(remove_given);
    if (!SANDBOX_SANITIZED)
        assert_int_equal(inside(SANDBOX_PARSE, write_out), 0);
}

static int make_symlink(void)
{
    return came(symlink("/etc/passwd", out_file));
}

static int make_link(void)
{
    return came(link(given, out_file));
}

static int make_fifo(void)
{
    return came(mkfifo(out_file, 0600));
}

static int make_socket_file(void)
{
    return came(mknod(out_file, S_IFSOCK | 0600, 0));
}

static void links_fifos_and_sockets_cannot_be_made(void **state)
{
    (void)state;
    need_landlock();
    assert_denied(make_symlink);
    assert_denied(make_link);
    assert_denied(make_fifo);
    assert_denied(make_socket_file);
}

static int write_too_much(void)
{
    int fd = open(out_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return fd < 0 ? 0 : came((int)pwrite(fd, "x", 1, FILE_LIMIT));
}

static void files_are_limited(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++)
        assert_int_equal(inside(profiles[i], write_too_much), EFBIG);
}

/* --- System calls ---------------------------------------------------------------------------- */

static int open_socket(void)
{
    return came(socket(AF_INET, SOCK_STREAM, 0));
}

static int open_unix_socket(void)
{
    int pair[2];
    return came(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

static int signal_parent(void)
{
    return came(kill(getppid(), 0));
}

static int signal_thread_of_parent(void)
{
    return came((int)syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int fork_child(void)
{
    return came(fork());
}

static int change_mode(void)
{
    return came(chmod(given, 0666));
}

static int truncate_given(void)
{
    return came(truncate(given, 0));
}

static int raise_limit(void)
{
    struct rlimit limit = {4096, 4096};
    return came(setrlimit(RLIMIT_NOFILE, &limit));
}

static int own_signals_of_file(void)
{
    return came(fcntl(0, F_SETOWN, getppid()));
}

static void nothing_outside_can_be_reached(void **state)
{
    (void)state;
    need_seccomp();
    assert_denied(open_socket);
    assert_denied(open_unix_socket);
    assert_denied(signal_parent);
    assert_denied(signal_thread_of_parent);
    assert_denied(own_signals_of_file);
    assert_denied(fork_child);
    assert_denied(change_mode);
    assert_denied(truncate_given);
    assert_denied(raise_limit);
}

static int execute(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    return came(execv("/bin/true", arguments));
}

static int trace(void)
{
    return came((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int set_up_io_uring(void)
{
    return came((int)syscall(425 /* io_uring_setup */, 1, NULL));
}

static int make_memory_file(void)
{
    return came(memfd_create("code", 0));
}

static int read_parent_memory(void)
{
    return came((int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static void what_only_an_attacker_calls_kills(void **state)
{
    (void)state;
    need_seccomp();
    assert_killed(execute);
    assert_killed(trace);
    assert_killed(set_up_io_uring);
    assert_killed(make_memory_file);
    assert_killed(read_parent_memory);
}

/* --- Memory and threads ---------------------------------------------------------------------- */

static int map_executable(void)
{
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? errno : 0;
}

static int make_executable(void)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return code == MAP_FAILED ? EPROTO : came(mprotect(code, 4096, PROT_READ | PROT_EXEC));
}

static void *do_nothing(void *argument)
{
    return argument;
}

static int start_thread(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, do_nothing, NULL);
    return error ? error : pthread_join(thread, NULL);
}

static void parsers_get_no_executable_memory_and_no_threads(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_not_equal(inside(SANDBOX_PARSE, map_executable), 0);
    assert_int_not_equal(inside(SANDBOX_PARSE, make_executable), 0);
    assert_int_not_equal(inside(SANDBOX_PARSE, start_thread), 0);
    assert_int_equal(inside(SANDBOX_COMPUTE, map_executable), 0);
    assert_int_equal(inside(SANDBOX_COMPUTE, make_executable), 0);
    assert_int_equal(inside(SANDBOX_COMPUTE, start_thread), 0);
}

static int allocate_too_much(void)
{
    void *block = NULL;
    struct err err;
    return mem_try_alloc(MEMORY_LIMIT, 1, "a test", &block, &err) == OK ? 0 : ENOMEM;
}

static void memory_is_limited(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(inside(SANDBOX_PARSE, allocate_too_much), ENOMEM);
}

/* A training step on real kernels: oneDNN writes them at run time, OpenMP starts its threads. */
static int train_a_step(void)
{
    struct err err;
    struct plan *plan;
    struct graph *graph = graph_new();
    int x = graph_conv(graph, graph_input(graph, 3), "conv", 16, 3, 1, 1, false);
    x = graph_relu(graph, graph_batchnorm(graph, x, "norm"));
    graph_set_output(graph,
                     graph_linear(graph, graph_global_average_pool(graph, x), "fc", 4, true));
    for (int i = 0; i < graph->n_params; i++)
        param_init(graph->params[i], 1);
    struct plan_options options = {.mode = PLAN_TRAIN, .batch = 8, .height = 16, .width = 16};
    if (plan_new(graph, &options, &plan, &err) != OK) {
        fprintf(stderr, "%s\n", err.detail);
        return EPROTO;
    }
    struct rng rng = rng_stream("sandbox", 1, 0, 0);
    for (int i = 0; i < 8 * 16 * 16 * 3; i++)
        plan_input(plan)[i] = rng_float(&rng);
    plan_forward(plan, 1, 0);
    for (int i = 0; i < 8 * 4; i++)
        plan_output_gradient(plan)[i] = 1;
    plan_backward(plan);
    const struct param *bias = graph_find_param(graph, "fc.bias");
    return bias->parts[PARAM_GRADIENT][0] == 8 ? 0 : ERANGE;
}

static void training_works_inside(void **state)
{
    (void)state;
    assert_int_equal(inside(SANDBOX_COMPUTE, train_a_step), 0);
}

/* --- The wall itself ------------------------------------------------------------------------- */

static int check_core_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 ? 0 : EPERM;
}

/* What the kernel says about a child that waits inside, as /proc/PID/status has it. */
static void read_status(char *text, size_t size)
{
    int ready[2], go[2], status;
    char byte = 0, path[64];
    struct sandbox_options options = options_for(SANDBOX_PARSE);
    struct sandbox_state entered;
    struct err err;
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        bool fine = sandbox_enter(&options, &entered, &err) == OK && write(ready[1], "", 1) == 1;
        _exit(fine && read(go[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    close(go[1]);
    close(go[0]);
    close(ready[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void privileges_and_core_dumps_are_given_up(void **state)
{
    (void)state;
    char text[8192];
    assert_allowed(check_core_limit);
    read_status(text, sizeof text);
    assert_non_null(strstr(text, "NoNewPrivs:\t1"));
    if (!SANDBOX_SANITIZED)
        assert_non_null(strstr(text, "Seccomp:\t2"));
}

static void a_required_sandbox_is_complete_or_refused(void **state)
{
    (void)state;
    struct sandbox_state probe;
    struct err err = {0};
    sandbox_probe(&probe);
    struct sandbox_options options = options_for(SANDBOX_PARSE);
    options.mode = SANDBOX_REQUIRE;
    if (probe.missing[0] == '\0') {
        assert_int_equal(landlock_abi() > 0, 1);
        return;
    }
    assert_int_equal(sandbox_enter(&options, &probe, &err), E_UNAVAILABLE);
    assert_non_null(strstr(err.detail, probe.missing));
}

static void a_path_that_is_not_there_is_named(void **state)
{
    (void)state;
    need_landlock();
    struct sandbox_options options = options_for(SANDBOX_PARSE);
    options.read[0] = "/tmp/thaw-not-there";
    struct sandbox_state entered;
    struct err err;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(sandbox_enter(&options, &entered, &err) == E_INVALID &&
              strstr(err.detail, "/tmp/thaw-not-there"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void *wait_for_end(void *argument)
{
    pause();
    return argument;
}

static void it_is_refused_once_threads_run(void **state)
{
    (void)state;
    need_seccomp();
    struct sandbox_options options = options_for(SANDBOX_COMPUTE);
    struct sandbox_state entered;
    struct err err;
    int status;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_end, NULL);
        _exit(sandbox_enter(&options, &entered, &err) == E_INTERNAL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void off_is_off_and_names_are_known(void **state)
{
    (void)state;
    struct sandbox_options options = {.mode = SANDBOX_OFF};
    struct sandbox_state entered;
    struct err err;
    char text[64];
    enum sandbox_mode mode;
    assert_int_equal(sandbox_enter(&options, &entered, &err), OK);
    assert_int_equal(open_secret(), 0);
    assert_string_equal(sandbox_text(&entered, text, sizeof text), "off");
    assert_true(sandbox_mode_from_name("require", &mode) && mode == SANDBOX_REQUIRE);
    assert_true(sandbox_mode_from_name("off", &mode) && mode == SANDBOX_OFF);
    assert_true(sandbox_mode_from_name(NULL, &mode) && mode == SANDBOX_AUTO);
    assert_false(sandbox_mode_from_name("on", &mode));
    entered = (struct sandbox_state){.landlock_abi = 2, .seccomp = true, .limits = true};
    assert_string_equal(sandbox_text(&entered, text, sizeof text), "landlock 2, seccomp, limits");
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
        cmocka_unit_test(parsers_get_no_executable_memory_and_no_threads),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(training_works_inside),
        cmocka_unit_test(privileges_and_core_dumps_are_given_up),
        cmocka_unit_test(a_required_sandbox_is_complete_or_refused),
        cmocka_unit_test(a_path_that_is_not_there_is_named),
        cmocka_unit_test(it_is_refused_once_threads_run),
        cmocka_unit_test(off_is_off_and_names_are_known),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
