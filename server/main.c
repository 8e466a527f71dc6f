/* main.c -- thawd: starts the parts in order, waits for a signal, stops them in reverse.
 *
 *     listener -> store -> spool, hub -> supervisor, puller, predictor -> http
 *
 * Going down, http is drained first (no handler runs any more), then supervisor and predictor
 * answer what they promised, then http sends that and closes, then the rest follows. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "server/bundled.h"
#include "server/config.h"
#include "server/http.h"
#include "server/hub.h"
#include "server/listen.h"
#include "server/predictor.h"
#include "server/pull_command.h"
#include "server/pull_fetch.h"
#include "server/puller.h"
#include "server/static.h"
#include "server/supervisor.h"
#include "server/upload.h"
#include "server/version.h"
#include "store/blobs.h"
#include "store/db.h"
#include "store/exports.h"
#include "store/keys.h"

#define MAX_UPLOADS_AT_ONCE  64
#define HOUSEKEEPING_SECONDS 3600

struct daemon {
    struct config config;
    int listener;       /* owned until http has it; -1: none */
    struct arena arena; /* config's and app's texts */
    struct app app;
    const char *engine;
    struct supervisor *supervisor;
    struct puller *puller;
    struct predictor *predictor;
    struct spool *spool;
    struct hub *hub;
    struct http *http;
};

/* --- Start --------------------------------------------------------------------------------------
 */

/* The engine beside this program, unless --engine says otherwise. */
static enum status find_engine(struct daemon *daemon, struct err *err)
{
    char path[PATH_MAX];
    daemon->engine = daemon->config.engine;
    if (!*daemon->engine) {
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        path[n < 0 ? 0 : n] = 0;
        char *slash = strrchr(path, '/');
        daemon->engine = arena_printf(&daemon->arena, "%.*s/thaw-engine",
                                      slash ? (int)(slash - path) : 1, slash ? path : ".");
    }
    if (access(daemon->engine, X_OK) == 0)
        return OK;
    return err_errno(err, "The engine %s cannot be run (see --engine)", daemon->engine);
}

static void describe_engine(struct daemon *daemon)
{
    char quoted[1024];
    struct err err = {0};
    if (version_ask_engine(daemon->engine, &daemon->arena, &daemon->app.engine_json, &err))
        log_event(LOG_WARN, "main", "the engine does not answer", "error=%s",
                  log_quote(quoted, sizeof(quoted), err.detail));
    daemon->app.libraries_json =
        arena_printf(&daemon->arena, "{\"libmicrohttpd\":\"%s\",\"libcurl\":\"%s\"}",
                     http_library_version(), fetch_library_version());
}

/* Which vector instructions the engine says it has; NULL when it does not answer. */
static const char *engine_isa(struct daemon *daemon)
{
    struct json *version = NULL;
    struct err ignored;
    const char *text = daemon->app.engine_json;
    if (!text || json_parse(text, strlen(text), &version, &ignored) != OK)
        return NULL;
    const char *isa = arena_strdup(&daemon->arena, json_string(version, "isa", NULL));
    json_free(version);
    return isa;
}

static const char *sandbox_of(const struct config *config)
{
    bool careful = config_is_public(config) && strcmp(config->sandbox, "auto") == 0;
    return careful ? "require" : config->sandbox;
}

static enum status start_workers(struct daemon *daemon, struct err *err)
{
    const struct config *config = &daemon->config;
    struct supervisor_options supervisor = {
        .store = daemon->app.store,
        .engine = daemon->engine,
        .sandbox = sandbox_of(config),
        .isa = engine_isa(daemon),
        .min_free = (uint64_t)config->min_free,
        .max_jobs = (int)config->max_jobs,
        .threads = (int)config->threads,
    };
    struct predictor_options predictor = {
        .engine = daemon->engine,
        .sandbox = sandbox_of(config),
        .log = arena_printf(&daemon->arena, "%s/predict.log", daemon->app.data),
    };
    enum status status = supervisor_start(&supervisor, &daemon->supervisor, err);
    const struct pull pull = {
        .store = daemon->app.store,
        .base_url = config->pull_base,
        .min_free = (uint64_t)config->min_free,
        .supervisor = daemon->supervisor,
        .import = supervisor_import,
    };
    if (!status)
        status = puller_start(&pull, &daemon->puller, err);
    if (!status)
        status = predictor_start(&predictor, &daemon->predictor, err);
    daemon->app.ports = (struct ports){
        .supervisor = daemon->supervisor,
        .wake = supervisor_wake,
        .import = supervisor_import,
        .plan = supervisor_plan,
        .export = supervisor_export,
        .puller = daemon->puller,
        .pull = puller_ring,
        .predictor = daemon->predictor,
        .predict = predictor_ask,
    };
    return status;
}

static enum status start_http(struct daemon *daemon, struct err *err)
{
    const struct config *config = &daemon->config;
    struct http_options options = {
        .listener = daemon->listener,
        .max_connections = (int)config->max_connections,
        .allowed_hosts = config->allowed_hosts,
        .n_allowed_hosts = config->n_allowed_hosts,
        .app = &daemon->app,
        .hub = daemon->hub,
        .spool = daemon->spool,
    };
    daemon->listener = -1;
    return http_start(&options, &daemon->http, err);
}

static enum status start(struct daemon *daemon, struct err *err)
{
    const struct config *config = &daemon->config;
    struct app *app = &daemon->app;
    enum status status = find_engine(daemon, err);
    if (!status)
        status = fetch_begin(err);
    /* Before the data directory is made: a port in use leaves nothing behind. Whoever connects
     * meanwhile waits in the backlog. */
    if (!status)
        status = listen_open(config->host, config->port, &daemon->listener, err);
    if (!status)
        status = store_open(config->data, &app->store, err);
    if (!status)
        status = bundled_install(app->store, err);
    if (status)
        return status;
    app->data = store_folder(app->store);
    app->max_upload = (uint64_t)config->max_upload;
    app->version = THAW_VERSION;
    app->asset = static_asset;
    describe_engine(daemon);
    const char *uploads = arena_printf(&daemon->arena, "%s/uploads", app->data);
    status =
        spool_start(uploads, (uint64_t)config->min_free, MAX_UPLOADS_AT_ONCE, &daemon->spool, err);
    if (!status)
        status = hub_start(app->store, (int)config->max_streams, &daemon->hub, err);
    if (status)
        return status;
    store_on_events(app->store, hub_ring, daemon->hub);
    status = start_workers(daemon, err);
    return status ? status : start_http(daemon, err);
}

/* In the reverse order; what was never started is NULL. */
static void stop(struct daemon *daemon)
{
    if (daemon->http)
        http_drain(daemon->http);
    puller_close(daemon->puller);
    if (daemon->supervisor)
        supervisor_stop(daemon->supervisor);
    puller_stop(daemon->puller);
    if (daemon->predictor)
        predictor_stop(daemon->predictor);
    http_stop(daemon->http);
    if (daemon->listener >= 0)
        close(daemon->listener);
    hub_stop(daemon->hub);
    spool_stop(daemon->spool);
    if (daemon->app.store)
        store_close(daemon->app.store);
}

/* --- Run ----------------------------------------------------------------------------------------
 */

/* What nobody waits for; a failure is told and tried again an hour later. */
static void keep_house(struct store *store)
{
    struct blob_sweep sweep = {0};
    struct err err = {0};
    char quoted[1024];
    if (keys_expire(store, &err) || exports_expire(store, &err) ||
        blobs_collect(store, &sweep, &err) || store_checkpoint(store, &err))
        log_event(LOG_WARN, "main", "housekeeping failed", "error=%s",
                  log_quote(quoted, sizeof(quoted), err.detail));
    else
        log_event(LOG_DEBUG, "main", "housekeeping", "blobs=%lld removed=%lld",
                  (long long)sweep.kept, (long long)sweep.removed);
}

static void announce(const struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    bool v6 = strchr(config->host, ':');
    printf("listening on http://%s%s%s:%d\n", v6 ? "[" : "", config->host, v6 ? "]" : "",
           http_port(daemon->http));
    fflush(stdout);
    if (config_is_public(config))
        log_event(LOG_WARN, "main", "every machine that reaches this address may do everything",
                  "listen=%s", config->listen);
    else
        log_event(LOG_INFO, "main", "every local user may do everything: no tokens are configured",
                  "data=%s", daemon->app.data);
}

/* The signals that end us are blocked in every thread and fetched here. */
static void wait_for_the_end(struct store *store, const sigset_t *ends)
{
    const struct timespec pause = {.tv_sec = HOUSEKEEPING_SECONDS};
    for (;;) {
        int number = sigtimedwait(ends, NULL, &pause);
        if (number > 0) {
            log_event(LOG_INFO, "main", "stopping", "signal=%d", number);
            return;
        }
        if (errno == EAGAIN)
            keep_house(store);
    }
}

/* A client that is gone is an error of one write, as is a file that grew too large; nothing is
 * readable by others. */
static void prepare_process(sigset_t *ends)
{
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, ends, NULL);
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 1u << 16);
    config_print_help(&text);
    fputs(text.data, stdout);
    buf_deinit(&text);
    return EXIT_SUCCESS;
}

static int complain(const struct err *err)
{
    fprintf(stderr, "thawd: %s%s%s\n", err->detail, err->hint[0] ? " " : "", err->hint);
    return EXIT_FAILURE;
}

static int run(struct daemon *daemon)
{
    struct err err = {0};
    sigset_t ends;
    prepare_process(&ends);
    log_set_level((enum log_level)log_level_from_name(daemon->config.log_level));
    enum status status = start(daemon, &err);
    if (!status) {
        announce(daemon);
        wait_for_the_end(daemon->app.store, &ends);
    }
    stop(daemon);
    return status ? complain(&err) : EXIT_SUCCESS;
}

/* thawd pull [NAME [--flag value]...]: the flags are the server's. */
static int run_pull(struct daemon *daemon, int argc, char **argv)
{
    struct err err = {0};
    const char *name = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
    int taken = name ? 2 : 1;
    umask(077);
    log_set_level(LOG_ERROR);
    enum status status =
        config_read(&daemon->config, &daemon->arena, argc - taken, argv + taken, getenv, &err);
    if (!status && daemon->config.help)
        return print_help();
    if (!status && name)
        status = find_engine(daemon, &err);
    if (!status)
        status = pull_command(name, &daemon->config, daemon->engine, &err);
    return status ? complain(&err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct daemon daemon = {.listener = -1};
    struct err err = {0};
    int code = EXIT_SUCCESS;
    arena_init(&daemon.arena);
    if (argc > 1 && strcmp(argv[1], "pull") == 0)
        code = run_pull(&daemon, argc, argv);
    else if (config_read(&daemon.config, &daemon.arena, argc, argv, getenv, &err))
        code = complain(&err);
    else if (daemon.config.help)
        code = print_help();
    else if (daemon.config.version)
        printf("thawd %s\n", THAW_VERSION);
    else
        code = run(&daemon);
    arena_deinit(&daemon.arena);
    return code;
}
