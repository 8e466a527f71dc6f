#include "server/pull_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/version.h"

#define CONNECT_SECONDS 20L
#define STALL_SECONDS   30L /* with less than STALL_BYTES a second */
#define STALL_BYTES     100L
#define MAX_REDIRECTS   5L

struct transfer {
    const struct fetch *fetch;
    CURL *curl;      /* owned */
    int fd;          /* owned; at its end */
    uint64_t have;   /* bytes of the file on the disk */
    uint64_t total;  /* of the file, once a reply said so; 0: unknown */
    uint64_t offset; /* that a Content-Range said: where the reply's body begins */
    bool began;      /* the body's first bytes were looked at */
    char host[256];  /* for sentences */
    char reason[CURL_ERROR_SIZE];
    struct err err; /* of a callback */
};

enum status fetch_begin(struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        return OK;
    return err_set(err, E_INTERNAL, "libcurl cannot be initialised.");
}

const char *fetch_library_version(void)
{
    return curl_version_info(CURLVERSION_NOW)->version;
}

/* --- Callbacks ---------------------------------------------------------------------------------
 */

static long reply_code(const struct transfer *transfer)
{
    long code = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* "Content-Range: bytes 100-999/1000", or with * for what is not known. A new status line begins
 * the headers of another reply, behind a redirect. */
static size_t on_header(char *line, size_t size, size_t n, void *context)
{
    static const char name[] = "content-range: bytes ";
    struct transfer *transfer = context;
    size_t len = size * n;
    if (len >= 5 && strncasecmp(line, "http/", 5) == 0)
        transfer->total = transfer->offset = 0;
    if (len > sizeof name && strncasecmp(line, name, sizeof name - 1) == 0) {
        char text[80] = "";
        size_t rest = len - (sizeof name - 1);
        memcpy(text, line + sizeof name - 1, rest < sizeof text ? rest : sizeof text - 1);
        const char *slash = strchr(text, '/');
        transfer->offset = strtoull(text, NULL, 10);
        transfer->total = slash ? strtoull(slash + 1, NULL, 10) : 0;
    }
    return len;
}

/* A server may send the whole file although a part was asked for: then it begins anew. */
static enum status begin_body(struct transfer *transfer)
{
    curl_off_t length = -1;
    transfer->began = true;
    if (reply_code(transfer) == 206 && transfer->offset == transfer->have)
        return OK;
    if (reply_code(transfer) == 206)
        return err_set(&transfer->err, E_IO, "%s sent another part of the file than asked for.",
                       transfer->host);
    curl_easy_getinfo(transfer->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    transfer->total = length > 0 ? (uint64_t)length : 0;
    transfer->have = 0;
    if (ftruncate(transfer->fd, 0) == 0 && lseek(transfer->fd, 0, SEEK_SET) == 0)
        return OK;
    return err_errno(&transfer->err, "%s cannot be written", transfer->fetch->path);
}

static enum status check_size(struct transfer *transfer, uint64_t bytes)
{
    if (bytes <= transfer->fetch->max_bytes)
        return OK;
    err_set(&transfer->err, E_TOO_LARGE,
            "%s sends a file of more than %llu bytes, which is more than the published one has.",
            transfer->host, (unsigned long long)transfer->fetch->max_bytes);
    err_name(&transfer->err, "pull_too_large", NULL);
    return E_TOO_LARGE;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * n;
    if (!transfer->began && begin_body(transfer) != OK)
        return 0;
    if (check_size(transfer, transfer->total) != OK ||
        check_size(transfer, transfer->have + len) != OK)
        return 0;
    if (fs_write_all(transfer->fd, bytes, len, &transfer->err) != OK)
        return 0;
    transfer->have += len;
    return len;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    const struct transfer *transfer = context;
    const struct fetch *fetch = transfer->fetch;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return fetch->told && !fetch->told(fetch->context, transfer->have, transfer->total);
}

/* --- Outcomes ----------------------------------------------------------------------------------
 */

static enum status refused(const struct transfer *transfer, bool *again, struct err *err)
{
    long code = reply_code(transfer);
    *again = code == 408 || code == 429 || code >= 500;
    err_set(err, E_UNAVAILABLE, "%s answered %ld to the request for %s.", transfer->host, code,
            transfer->fetch->url);
    err_name(err, "pull_refused",
             code == 404 ? "The file is not there: a mirror named by --pull-base "
                           "has to hold it under the same name."
                         : NULL);
    return E_UNAVAILABLE;
}

/* All of it is there already, or what is there is longer than the file. */
static enum status beyond_the_end(struct transfer *transfer, bool *again, struct err *err)
{
    if (transfer->total == transfer->have)
        return OK;
    *again = ftruncate(transfer->fd, 0) == 0;
    return err_set(err, E_IO, "What an earlier try left of the file is longer than the file.");
}

static enum status broken(const struct transfer *transfer, CURLcode code, bool *again,
                          struct err *err)
{
    const char *why = *transfer->reason ? transfer->reason : curl_easy_strerror(code);
    *again = transfer->began;
    if (transfer->began) {
        err_set(err, E_UNAVAILABLE, "The connection to %s broke after %llu bytes (%s).",
                transfer->host, (unsigned long long)transfer->have, why);
        err_name(err, "pull_broken", NULL);
        return E_UNAVAILABLE;
    }
    err_set(err, E_UNAVAILABLE, "%s cannot be reached (%s).", transfer->host, why);
    err_name(err, "pull_unreachable", NULL);
    return E_UNAVAILABLE;
}

static enum status conclude(struct transfer *transfer, CURLcode code, bool *again, struct err *err)
{
    if (transfer->err.status) {
        *err = transfer->err;
        return err->status;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(err, E_CANCELLED, "The download was told to stop.");
    if (code == CURLE_HTTP_RETURNED_ERROR && reply_code(transfer) == 416)
        return beyond_the_end(transfer, again, err);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return refused(transfer, again, err);
    if (code != CURLE_OK)
        return broken(transfer, code, again, err);
    if (!transfer->began || (transfer->total && transfer->have != transfer->total)) {
        transfer->began = true; /* an empty reply, or one that ends too early */
        return broken(transfer, CURLE_PARTIAL_FILE, again, err);
    }
    return OK;
}

/* --- A transfer --------------------------------------------------------------------------------
 */

static void set_options(struct transfer *transfer)
{
    CURL *curl = transfer->curl;
    const char *url = transfer->fetch->url;
    char range[32];
    bool plain = strncmp(url, "http:", 5) == 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "thaw/" THAW_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->reason);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    snprintf(range, sizeof range, "%llu-", (unsigned long long)transfer->have);
    if (transfer->have > 0)
        curl_easy_setopt(curl, CURLOPT_RANGE, range); /* which libcurl copies */
}

/* "https://download.pytorch.org" of an address there. */
static void name_host(const char *url, char *host, size_t size)
{
    const char *after = strstr(url, "://");
    size_t len = after ? (size_t)(after - url) + 3 : 0;
    len += strcspn(url + len, "/");
    snprintf(host, size, "%.*s", (int)len, url);
}

static enum status open_part(struct transfer *transfer, struct err *err)
{
    const char *path = transfer->fetch->path;
    transfer->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    off_t end = transfer->fd < 0 ? -1 : lseek(transfer->fd, 0, SEEK_END);
    if (end < 0)
        return err_errno(err, "%s cannot be written", path);
    transfer->have = (uint64_t)end;
    return OK;
}

enum status fetch_file(const struct fetch *fetch, bool *again, struct err *err)
{
    struct transfer transfer = {.fetch = fetch, .fd = -1};
    *again = false;
    name_host(fetch->url, transfer.host, sizeof transfer.host);
    enum status status = open_part(&transfer, err);
    if (status == OK && !(transfer.curl = curl_easy_init()))
        status = err_set(err, E_INTERNAL, "libcurl has no memory for a transfer.");
    if (status == OK) {
        set_options(&transfer);
        CURLcode code = curl_easy_perform(transfer.curl);
        status = conclude(&transfer, code, again, err);
    }
    if (status == OK && fsync(transfer.fd))
        status = err_errno(err, "%s cannot be written", fetch->path);
    if (transfer.curl)
        curl_easy_cleanup(transfer.curl);
    if (transfer.fd >= 0)
        close(transfer.fd);
    return status;
}
