/* static.c -- the files of web/, taken in by the assembler.
 *
 * To add a file: one row here, EMBED and the table; the Makefile watches web/ by itself. */
#include "server/static.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "server/embed.h"

EMBED(web_index, "web/index.html");
EMBED(web_style, "web/app.css");
EMBED(web_icon, "web/icon.svg");
EMBED(web_main, "web/js/main.js");
EMBED(web_api, "web/js/api.js");
EMBED(web_state, "web/js/state.js");
EMBED(web_dom, "web/js/dom.js");
EMBED(web_jobs, "web/js/jobs.js");
EMBED(web_datasets, "web/js/datasets.js");
EMBED(web_chart, "web/js/chart.js");

#define HTML    "text/html; charset=utf-8"
#define CSS     "text/css; charset=utf-8"
#define SVG     "image/svg+xml"
#define MODULE  "text/javascript; charset=utf-8"
#define N_FILES ARRAY_LEN(files)

static const struct {
    const char *path, *content_type, *bytes, *end;
} files[] = {
    {"/", HTML, web_index, web_index_end},
    {"/app.css", CSS, web_style, web_style_end},
    {"/icon.svg", SVG, web_icon, web_icon_end},
    {"/js/main.js", MODULE, web_main, web_main_end},
    {"/js/api.js", MODULE, web_api, web_api_end},
    {"/js/state.js", MODULE, web_state, web_state_end},
    {"/js/dom.js", MODULE, web_dom, web_dom_end},
    {"/js/jobs.js", MODULE, web_jobs, web_jobs_end},
    {"/js/datasets.js", MODULE, web_datasets, web_datasets_end},
    {"/js/chart.js", MODULE, web_chart, web_chart_end},
};

static struct asset assets[N_FILES];
static char etags[N_FILES][24];

static void make_assets(void)
{
    for (size_t i = 0; i < N_FILES; i++) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX];
        size_t len = (size_t)(files[i].end - files[i].bytes);
        sha256_bytes(files[i].bytes, len, digest);
        digest_hex(digest, sizeof(digest), hex);
        snprintf(etags[i], sizeof(etags[i]), "\"%.16s\"", hex);
        assets[i] =
            (struct asset){files[i].path, files[i].content_type, files[i].bytes, len, etags[i]};
    }
}

const struct asset *static_asset(const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_assets);
    for (size_t i = 0; i < N_FILES; i++)
        if (strcmp(assets[i].path, path) == 0)
            return &assets[i];
    return NULL;
}
