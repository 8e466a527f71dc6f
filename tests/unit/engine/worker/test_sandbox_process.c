#include "tests/unit/engine/worker/sandbox_child.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "engine/core/plan.h"

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
    return code == MAP_FAILED ? EPROTO : sandbox_came(mprotect(code, 4096, PROT_READ | PROT_EXEC));
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
    sandbox_need_seccomp();
    assert_int_not_equal(sandbox_inside(SANDBOX_PARSE, map_executable), 0);
    assert_int_not_equal(sandbox_inside(SANDBOX_PARSE, make_executable), 0);
    assert_int_not_equal(sandbox_inside(SANDBOX_PARSE, start_thread), 0);
    assert_int_equal(sandbox_inside(SANDBOX_COMPUTE, map_executable), 0);
    assert_int_equal(sandbox_inside(SANDBOX_COMPUTE, make_executable), 0);
    assert_int_equal(sandbox_inside(SANDBOX_COMPUTE, start_thread), 0);
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
    sandbox_need_seccomp();
    assert_int_equal(sandbox_inside(SANDBOX_PARSE, allocate_too_much), ENOMEM);
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
    assert_int_equal(sandbox_inside(SANDBOX_COMPUTE, train_a_step), 0);
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
    struct sandbox_options options = sandbox_options_for(SANDBOX_PARSE);
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
    struct sandbox_options options = sandbox_options_for(SANDBOX_PARSE);
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
    sandbox_need_landlock();
    struct sandbox_options options = sandbox_options_for(SANDBOX_PARSE);
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

/* Debian 12's own kernel has ABI 2. */
static void every_older_landlock_is_spoken(void **state)
{
    (void)state;
    sandbox_need_landlock();
    for (int abi = 1; abi <= landlock_abi(); abi++) {
        struct sandbox_options options = sandbox_options_for(SANDBOX_PARSE);
        struct err err;
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                  landlock_enter(&options, abi, &err) == OK && open(sandbox_given, O_RDONLY) >= 0 &&
                  open(sandbox_secret, O_RDONLY) < 0 &&
                  open(sandbox_out_file, O_RDWR | O_CREAT | O_TRUNC, 0600) >= 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 1 << 8);
    }
}

static void *wait_for_end(void *argument)
{
    pause();
    return argument;
}

static void it_is_refused_once_threads_run(void **state)
{
    (void)state;
    sandbox_need_seccomp();
    struct sandbox_options options = sandbox_options_for(SANDBOX_COMPUTE);
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
    assert_int_equal(access(sandbox_secret, R_OK), 0);
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
        cmocka_unit_test(parsers_get_no_executable_memory_and_no_threads),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(training_works_inside),
        cmocka_unit_test(privileges_and_core_dumps_are_given_up),
        cmocka_unit_test(a_required_sandbox_is_complete_or_refused),
        cmocka_unit_test(a_path_that_is_not_there_is_named),
        cmocka_unit_test(every_older_landlock_is_spoken),
        cmocka_unit_test(it_is_refused_once_threads_run),
        cmocka_unit_test(off_is_off_and_names_are_known),
    };
    return cmocka_run_group_tests(tests, sandbox_make_files, sandbox_remove_files);
}
