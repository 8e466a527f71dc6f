/* config.c -- the table of settings, and what reads it. */
#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

enum kind {
    TEXT,
    CHOICE, /* one of the words of value_name, which are separated by "|" */
    INTEGER,
    BYTES,
    SWITCH,
    ACTION /* a flag only: no environment variable */
};

struct setting {
    const char *flag;
    enum kind kind;
    size_t offset;        /* in struct config: const char *, int64_t or bool, by kind */
    const char *fallback; /* the default, as a user would write it */
    int64_t low, high;
    const char *value_name, *help;
};

#define AT(field) offsetof(struct config, field)
#define TIB       ((int64_t)1 << 40)

static const struct setting settings[] = {
    {"--listen", TEXT, AT(listen), "127.0.0.1:8080", 0, 0, "ADDRESS:PORT",
     "address in numbers and port to serve on; port 0 picks a free one"},
    {"--data", TEXT, AT(data), "thaw-data", 0, 0, "FOLDER",
     "the data directory; made where it is absent"},
    {"--max-jobs", INTEGER, AT(max_jobs), "1", 1, 64, "N", "jobs that train at the same time"},
    {"--max-upload", BYTES, AT(max_upload), "64G", 1, 1024 * TIB, "SIZE",
     "largest upload; K, M, G and T count in 1024s"},
    {"--min-free", BYTES, AT(min_free), "256M", 0, 1024 * TIB, "SIZE",
     "disk space that uploads and jobs leave free"},
    {"--pull-base", TEXT, AT(pull_base), "https://download.pytorch.org/models/", 0, 0, "URL",
     "where the published weights of base models are: theirs, or a mirror's with the same names"},
    {"--max-streams", INTEGER, AT(max_streams), "256", 1, 10000, "N",
     "event streams open at the same time"},
    {"--max-connections", INTEGER, AT(max_connections), "1024", 16, 20000, "N",
     "connections at the same time, streams included"},
    {"--engine", TEXT, AT(engine), "", 0, 0, "PATH",
     "the thaw-engine program; by default the one beside thawd"},
    {"--threads", INTEGER, AT(threads), "0", 0, 256, "N",
     "processors that one training job computes on; 0: all"},
    {"--sandbox", CHOICE, AT(sandbox), "auto", 0, 0, "auto|require|off",
     "walls around thaw-engine: what the kernel has, all of them or no work, none; on an address "
     "that other machines reach, auto means require"},
    {"--log-level", CHOICE, AT(log_level), "info", 0, 0, "error|warn|info|debug",
     "what is told on stderr"},
    {"--allowed-host", TEXT, AT(allowed_host), "", 0, 0, "NAME[:PORT],...",
     "further names that clients may call this server by, as behind a proxy"},
    {"--insecure", SWITCH, AT(insecure), "no", 0, 0, NULL,
     "serve on an address that other machines reach, although nobody needs a token"},
    {"--version", ACTION, AT(version), "no", 0, 0, NULL, "print the version and exit"},
    {"--help", ACTION, AT(help), "no", 0, 0, NULL, "print this and exit"},
};

#define ENVIRONMENT_NAME 40

/* "--max-upload" is THAW_MAX_UPLOAD. */
static void environment_name(const char *flag, char out[ENVIRONMENT_NAME])
{
    size_t n = 0;
    for (const char *c = "THAW_"; *c; c++)
        out[n++] = *c;
    for (const char *c = flag + 2; *c && n < ENVIRONMENT_NAME - 1; c++)
        out[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    out[n] = 0;
}

/* Digits and, for bytes, one of K M G T. False when it is anything else or overflows. */
static bool read_number(const char *text, bool with_unit, int64_t *value)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)*text))
        return false;
    long long number = strtoll(text, &end, 10);
    int shift = 0;
    static const char units[] = "KMGT";
    const char *unit = with_unit && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        shift = 10 * (int)(unit - units + 1);
        end++;
    }
    if (errno || *end || number > (INT64_MAX >> shift))
        return false;
    *value = (int64_t)number << shift;
    return true;
}

static enum status read_integer(const struct setting *setting, const char *source, const char *text,
                                int64_t *value, struct err *err)
{
    bool bytes = setting->kind == BYTES;
    if (read_number(text, bytes, value) && *value >= setting->low && *value <= setting->high)
        return OK;
    return err_set(err, E_INVALID, "%s is \"%s\"; it takes %s from %lld to %lld.", source, text,
                   bytes ? "a number of bytes (K, M, G or T may follow)" : "an integer",
                   (long long)setting->low, (long long)setting->high);
}

static enum status read_choice(const struct setting *setting, const char *source, const char *text,
                               const char **value, struct err *err)
{
    size_t len = strlen(text);
    bool word = len > 0 && !strchr(text, '|');
    for (const char *at = setting->value_name; word && at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, len) == 0 && (at[len] == '|' || !at[len])) {
            *value = text;
            return OK;
        }
    }
    return err_set(err, E_INVALID, "%s is \"%s\"; it takes %s.", source, text, setting->value_name);
}

static enum status read_switch(const char *source, const char *text, bool *value, struct err *err)
{
    static const char *const yes[] = {"yes", "1", "true"}, *const no[] = {"no", "0", "false"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        *value = strcmp(text, yes[i]) == 0;
        if (*value || strcmp(text, no[i]) == 0)
            return OK;
    }
    return err_set(err, E_INVALID, "%s is \"%s\"; it takes yes or no.", source, text);
}

/* `source` is the flag, or the environment variable it came from. */
static enum status assign(struct config *config, const struct setting *setting, const char *source,
                          const char *text, struct err *err)
{
    char *at = (char *)config + setting->offset;
    switch (setting->kind) {
    case TEXT:
        memcpy(at, &text, sizeof(text));
        return OK;
    case INTEGER:
    case BYTES:
        return read_integer(setting, source, text, (int64_t *)(void *)at, err);
    case CHOICE:
        return read_choice(setting, source, text, (const char **)(void *)at, err);
    case SWITCH:
    case ACTION:
        return read_switch(source, text, (bool *)at, err);
    }
    return OK;
}

static enum status unknown_flag(const char *flag, struct err *err)
{
    struct nearest nearest = {.word = flag};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        nearest_offer(&nearest, settings[i].flag);
    if (nearest.best)
        return err_set(err, E_SYNTAX, "There is no flag \"%s\"; did you mean %s?", flag,
                       nearest.best);
    return err_set(err, E_SYNTAX, "There is no flag \"%s\"; thawd --help lists them.", flag);
}

static const struct setting *find_setting(const char *flag, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (strlen(settings[i].flag) == len && memcmp(settings[i].flag, flag, len) == 0)
            return &settings[i];
    return NULL;
}

/* "--flag value" and "--flag=value". */
static enum status read_arguments(struct config *config, int argc, char *const *argv,
                                  struct err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        size_t len = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        const struct setting *setting = find_setting(argv[i], len);
        const char *value = equals ? equals + 1 : "yes";
        if (!setting)
            return unknown_flag(argv[i], err);
        if (!equals && setting->value_name) {
            if (++i == argc)
                return err_set(err, E_SYNTAX, "%s lacks its value: %s %s.", setting->flag,
                               setting->flag, setting->value_name);
            value = argv[i];
        }
        enum status status = assign(config, setting, setting->flag, value, err);
        if (status)
            return status;
    }
    return OK;
}

static enum status read_defaults(struct config *config, char *(*environment)(const char *),
                                 struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char name[ENVIRONMENT_NAME];
        environment_name(settings[i].flag, name);
        const char *value = settings[i].kind == ACTION ? NULL : environment(name);
        enum status status =
            value ? assign(config, &settings[i], name, value, err)
                  : assign(config, &settings[i], settings[i].flag, settings[i].fallback, err);
        if (status)
            return status;
    }
    return OK;
}

/* "127.0.0.1:8080", "[::1]:0", "localhost:8080" (the loopback address). */
static enum status read_listen(struct config *config, struct arena *arena, struct err *err)
{
    const char *text = config->listen, *colon = strrchr(text, ':');
    unsigned char address[16];
    int64_t port;
    if (!colon || !read_number(colon + 1, false, &port) || port > 65535)
        goto refuse;
    char *host = arena_strndup(arena, text, (size_t)(colon - text));
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host = arena_strndup(arena, host + 1, len - 2);
        if (inet_pton(AF_INET6, host, address) != 1)
            goto refuse;
    } else if (strcmp(host, "localhost") == 0) {
        host = arena_strdup(arena, "127.0.0.1");
    } else if (inet_pton(AF_INET, host, address) != 1) {
        goto refuse;
    }
    config->host = host;
    config->port = (int)port;
    return OK;
refuse:
    return err_set(err, E_INVALID,
                   "--listen is \"%s\"; it takes an address in numbers and a port from 0 to 65535, "
                   "such as 127.0.0.1:8080 or [::1]:8080.",
                   text);
}

static void read_allowed_hosts(struct config *config, struct arena *arena)
{
    const char *text = config->allowed_host;
    size_t room = 1;
    for (const char *c = text; *c; c++)
        room += *c == ',';
    config->allowed_hosts = arena_alloc(arena, room * sizeof(*config->allowed_hosts));
    while (*text) {
        size_t len = strcspn(text, ",");
        if (len)
            config->allowed_hosts[config->n_allowed_hosts++] = arena_strndup(arena, text, len);
        text += len + (text[len] == ',');
    }
}

/* The files' names are appended to it. */
static enum status read_pull_base(struct config *config, struct arena *arena, struct err *err)
{
    const char *url = config->pull_base;
    size_t len = strlen(url);
    bool https = strncmp(url, "https://", 8) == 0 && len > 8;
    bool http = strncmp(url, "http://", 7) == 0 && len > 7;
    if ((!https && !http) || strpbrk(url, " ?#\"<>"))
        return err_set(err, E_INVALID,
                       "--pull-base is \"%.200s\"; it takes an address such as "
                       "https://mirror.example/models/.",
                       url);
    if (url[len - 1] != '/')
        config->pull_base = arena_printf(arena, "%s/", url);
    return OK;
}

bool config_is_public(const struct config *config)
{
    return strncmp(config->host, "127.", 4) != 0 && strcmp(config->host, "::1") != 0;
}

enum status config_read(struct config *config, struct arena *arena, int argc, char *const *argv,
                        char *(*environment)(const char *name), struct err *err)
{
    *config = (struct config){0};
    enum status status = read_defaults(config, environment, err);
    if (!status)
        status = read_arguments(config, argc, argv, err);
    if (!status)
        status = read_listen(config, arena, err);
    if (!status && !*config->data)
        status = err_set(err, E_INVALID, "--data is empty; it takes the path of a folder.");
    if (!status)
        status = read_pull_base(config, arena, err);
    if (!status)
        read_allowed_hosts(config, arena);
    if (!status && config->max_streams > config->max_connections - 16)
        status = err_set(err, E_INVALID,
                         "--max-streams is %lld and --max-connections %lld; streams have to leave "
                         "at least 16 connections to other requests.",
                         (long long)config->max_streams, (long long)config->max_connections);
    if (!status && config_is_public(config) && !config->insecure)
        status = err_set(err, E_FORBIDDEN,
                         "--listen %s can be reached by other machines, and nobody needs a token: "
                         "listen on 127.0.0.1, or say --insecure where something else guards it.",
                         config->listen);
    return status;
}

void config_print_help(struct buf *out)
{
    buf_puts(out,
             "thawd: an HTTP service that fine-tunes pretrained networks.\n\n"
             "usage: thawd [--flag value]...\n"
             "       thawd pull [NAME [--flag value]...]   downloads a base model's weights, or\n"
             "                                             lists those that are published\n\n");
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct setting *setting = &settings[i];
        buf_printf(out, "  %s%s%s\n      %s\n", setting->flag, setting->value_name ? " " : "",
                   setting->value_name ? setting->value_name : "", setting->help);
        if (setting->kind == ACTION)
            continue;
        char name[ENVIRONMENT_NAME];
        environment_name(setting->flag, name);
        buf_puts(out, "      ");
        if (setting->kind == INTEGER)
            buf_printf(out, "from %lld to %lld, ", (long long)setting->low,
                       (long long)setting->high);
        buf_printf(out, "default %s; environment %s\n",
                   *setting->fallback ? setting->fallback : "none", name);
    }
}
