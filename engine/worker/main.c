/* main.c -- thaw-engine VERB: finds the verb, gets its document, shuts the sandbox, runs it.
 *
 * Launched by thawd as {"thaw-engine", VERB, "--wire"}: the document is the first frame on fd 3.
 * By hand the flags describe it. Exit status: 0 done, paused or cancelled as asked, 1 failed, 2
 * wrong usage. The folder a verb writes to is locked for as long as the process lives, so that two
 * engines never work on one job. */
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/spec/wire.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/version.h"
#include "engine/worker/flags.h"
#include "engine/worker/report.h"
#include "engine/worker/sandbox.h"
#include "engine/worker/verb.h"
#include "engine/worker/version.h"
#include "engine/zoo/zoo.h"

#define SANDBOX_FLAG "--sandbox"

static const struct verb *const verbs[] = {&verb_ingest,  &verb_import, &verb_plan,  &verb_train,
                                           &verb_predict, &verb_export, &verb_synth, &verb_bench};

/* What stands on the command line beside the verb's own flags. */
struct options {
    bool wire, help;
    enum sandbox_mode sandbox;
    int argc;    /* the rest, */
    char **argv; /* moved together in place */
};

static int usage_error(const struct err *err)
{
    fprintf(stderr, "thaw-engine: %s\n", err->detail);
    return 2;
}

static int print(struct buf *text)
{
    fputs(text->data, stdout);
    buf_deinit(text);
    return fflush(stdout) == EOF;
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 1u << 16);
    buf_puts(&text, "thaw-engine VERB [flags] -- everything of Thaw that touches images and "
                    "weights\n\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        buf_printf(&text, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    buf_puts(&text, "  version    what this engine is, as JSON\n\n"
                    "thaw-engine VERB --help lists a verb's flags.\n");
    return print(&text);
}

/* What thawd lists as base models must be these: tests/http/test_end_to_end.py compares. */
static void add_networks(struct json *version)
{
    struct json *networks = json_set_array(version, "networks");
    for (size_t i = 0; i < zoo_count(); i++) {
        const struct zoo_net *net = zoo_at(i);
        struct json *network = json_add_object(networks);
        json_set_string(network, "name", net->name);
        if (net->parameters)
            json_set_integer(network, "parameters", net->parameters);
        if (net->file)
            json_set_string(network, "file", net->file);
        if (net->top1 > 0)
            json_set_number(network, "top1", net->top1);
        struct json *groups = json_set_array(network, "groups");
        for (int g = 0; g < net->n_groups; g++)
            json_add_string(groups, net->groups[g]);
    }
}

static int print_version(void)
{
    struct sandbox_state state;
    char walls[128];
    sandbox_probe(&state);
    struct json *version = json_new_object();
    json_set_string(version, "version", THAW_VERSION);
    json_set_string(version, "isa", engine_isa());
    json_set_string(version, "sandbox", sandbox_text(&state, walls, sizeof walls));
    add_networks(version);
    struct buf text;
    buf_init(&text, 1u << 16);
    json_print(version, &text);
    buf_puts(&text, "\n");
    json_free(version);
    return print(&text);
}

static int print_verb_help(const struct verb *verb)
{
    struct buf text;
    buf_init(&text, 1u << 16);
    flags_print_help(verb, &text);
    return print(&text);
}

static const struct verb *find_verb(const char *name, struct err *err)
{
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
        nearest_offer(&nearest, verbs[i]->name);
    }
    if (nearest.best)
        err_set(err, E_INVALID, "There is no verb %s; did you mean %s?", name, nearest.best);
    else
        err_set(err, E_INVALID, "There is no verb %s: thaw-engine --help lists them.", name);
    return NULL;
}

/* Takes the options every verb has out of the arguments. */
static enum status take_options(struct options *options, int argc, char **argv, struct err *err)
{
    *options = (struct options){.argv = argv};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--wire") == 0) {
            options->wire = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            options->help = true;
        } else if (strncmp(argv[i], SANDBOX_FLAG "=", strlen(SANDBOX_FLAG) + 1) == 0 ||
                   strcmp(argv[i], SANDBOX_FLAG) == 0) {
            const char *equals = strchr(argv[i], '=');
            const char *mode = equals ? equals + 1 : i + 1 < argc ? argv[++i] : "";
            if (!sandbox_mode_from_name(mode, &options->sandbox))
                return err_set(err, E_INVALID, "--sandbox takes auto, require or off, not \"%s\".",
                               mode);
        } else {
            argv[options->argc++] = argv[i];
        }
    }
    return OK;
}

/* The first frame on the wire. */
static enum status receive_document(struct report *report, const struct verb *verb,
                                    struct json **document, struct err *err)
{
    struct frame frame;
    enum status status = report_receive(report, -1, 0, &frame, err);
    if (status != OK)
        return status;
    if (strcmp(json_string(frame.header, "type", ""), "job") != 0 ||
        strcmp(json_string(frame.header, "verb", ""), verb->name) != 0)
        status = err_set(err, E_INVALID, "The first frame must be a job for %s.", verb->name);
    if (status == OK)
        status = flags_check(verb, frame.header, err);
    if (status == OK) {
        *document = frame.header;
        frame.header = NULL;
    }
    frame_deinit(&frame);
    return status;
}

static enum status lock_output(const struct verb *verb, const struct json *document, int *lock,
                               struct err *err)
{
    const char *folder = flags_output(verb, document);
    if (!folder)
        return OK;
    char *path = mem_printf("%s/engine.lock", folder);
    enum status status = fs_make_folders(folder, err);
    if (status == OK)
        status = fs_lock(path, lock, err);
    mem_free(path);
    return status;
}

static enum status shut_sandbox(const struct verb *verb, const struct json *document,
                                enum sandbox_mode mode, struct err *err)
{
    struct sandbox_options sandbox = {
        .mode = mode,
        .profile = verb->runs_kernels ? SANDBOX_COMPUTE : SANDBOX_PARSE,
    };
    struct sandbox_state state;
    enum status status = flags_add_paths(verb, document, &sandbox, err);
    if (status == OK)
        status = sandbox_enter(&sandbox, &state, err);
    if (status == OK && mode != SANDBOX_OFF && state.missing[0] != '\0')
        log_event(LOG_WARN, "sandbox", "not every wall stands", "missing=\"%s\"", state.missing);
    return status;
}

static int finish(struct report *report, const struct verb *verb, enum status status,
                  const struct err *err)
{
    if (status == OK)
        return 0;
    if (report_is_wire(report))
        report_error(report, err);
    else
        fprintf(stderr, "thaw-engine %s: %s%s%s\n", verb->name, err->detail,
                err->hint[0] ? " " : "", err->hint);
    return status == E_CANCELLED ? 0 : 1;
}

static int run_verb(const struct verb *verb, struct options *options)
{
    struct err err = {0};
    struct json *document = NULL;
    int lock = -1;
    enum status status = OK;
    if (!options->wire && flags_parse(verb, options->argc, options->argv, &document, &err) != OK)
        return usage_error(&err);
    struct report *report = options->wire ? report_new_wire(WIRE_FD) : report_new_text();
    if (options->wire)
        status = receive_document(report, verb, &document, &err);
    if (status == OK)
        status = lock_output(verb, document, &lock, &err);
    if (status == OK && verb->prepare)
        verb->prepare(document);
    if (status == OK)
        status = shut_sandbox(verb, document, options->sandbox, &err);
    if (status == OK)
        status = verb->run(report, document, &err);
    int code = finish(report, verb, status, &err);
    report_free(report);
    json_free(document);
    return code;
}

/* Threads of a kernel that wait for each other sleep instead of spinning: the loader's threads and
 * other processes need the cores, and with two of them a spinning wait costs several times what it
 * saves. libgomp reads its policy before main, so the program starts itself once more; where it
 * cannot (no /proc), it goes on as it is. */
static void wait_without_spinning(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    char path[PATH_MAX]; /* not /proc/self/exe itself, after which the process would be called */
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len > 0) {
        path[len] = '\0';
        execv(path, argv);
    }
}

/* Blocks from this size on are mapped by themselves and go back when they are freed. Left alone,
 * malloc would soon take parameters and plans of up to 32 MiB from its heap, where what is freed
 * between two stages leaves holes that no aligned block of the same size fits again. */
#define MAPPED_BYTES (1 << 20)

int main(int argc, char **argv)
{
    struct err err = {0};
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    struct options options;
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        if (argc == 2)
            return print_version();
        err_set(&err, E_INVALID, "version takes no flags, so not %.80s.", argv[2]);
        return usage_error(&err);
    }
    const struct verb *verb = find_verb(argv[1], &err);
    if (verb && verb->runs_kernels)
        wait_without_spinning(argv);
    if (!verb || take_options(&options, argc - 2, argv + 2, &err) != OK)
        return usage_error(&err);
    return options.help ? print_verb_help(verb) : run_verb(verb, &options);
}
