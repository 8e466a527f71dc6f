/* encoding.c -- see encoding.h. */
#include "engine/data/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/nearest.h"

#define BLOCK (64u << 10)

/* The names that people write, and the library's. */
static const struct {
    const char *name, *library;
} encodings[] = {
    {"utf-8", "UTF-8"},
    {"utf8", "UTF-8"},
    {"ascii", "ASCII"},
    {"us-ascii", "ASCII"},
    {"latin-1", "ISO-8859-1"},
    {"latin1", "ISO-8859-1"},
    {"iso-8859-1", "ISO-8859-1"},
    {"iso-8859-2", "ISO-8859-2"},
    {"latin-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "ISO-8859-9"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-11", "ISO-8859-11"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"latin-9", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"windows-1252", "CP1252"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"windows-1255", "CP1255"},
    {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},
    {"windows-1258", "CP1258"},
    {"cp1250", "CP1250"},
    {"cp1251", "CP1251"},
    {"cp1252", "CP1252"},
    {"cp437", "CP437"},
    {"cp850", "CP850"},
    {"cp866", "CP866"},
    {"macintosh", "MACINTOSH"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"utf-16", "UTF-16"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
    {"utf-32", "UTF-32"},
    {"utf-32le", "UTF-32LE"},
    {"utf-32be", "UTF-32BE"},
    {"gb18030", "GB18030"},
    {"gbk", "GBK"},
    {"gb2312", "GB2312"},
    {"big5", "BIG5"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"shift_jis", "SHIFT_JIS"},
    {"shift-jis", "SHIFT_JIS"},
    {"cp932", "CP932"},
    {"euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"euc-kr", "EUC-KR"},
    {"cp949", "CP949"},
};

struct decoder {
    struct source encoded;
    iconv_t state; /* owned */
    const char *name;
    char bytes[BLOCK]; /* encoded, not yet decoded */
    size_t len;
    bool ended; /* the source has */
    int64_t line;
};

static const char *library_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
        if (strcasecmp(encodings[i].name, name) == 0)
            return encodings[i].library;
    return NULL;
}

enum status encoding_check(const char *name, struct err *err)
{
    struct nearest nearest = {.word = name};
    if (library_name(name))
        return OK;
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
        nearest_offer(&nearest, encodings[i].name);
    if (nearest.best)
        err_set(err, E_INVALID, "There is no encoding %.60s; did you mean %s?", name, nearest.best);
    else
        err_set(err, E_INVALID,
                "There is no encoding %.60s; known are latin-1, windows-1252, utf-16, iso-8859-2 "
                "to 16, windows-1250 to 1258, koi8-r, gb18030, big5, shift_jis, euc-kr and others.",
                name);
    err_name(err, "bad_option", NULL);
    return E_INVALID;
}

bool encoding_is_utf8(const char *name)
{
    const char *library = name ? library_name(name) : "UTF-8";
    return library && strcmp(library, "UTF-8") == 0;
}

static enum status open_state(const char *name, iconv_t *state, struct err *err)
{
    enum status status = encoding_check(name, err);
    if (status)
        return status;
    *state = iconv_open("UTF-8", library_name(name));
    /* iconv_open says (iconv_t)-1, for which no pointer may be compared but this one. */
    if ((intptr_t)*state != -1)
        return OK;
    err_set(err, E_INVALID,
            "The encoding %s cannot be decoded on this machine: its C library lacks the table.",
            name);
    err_name(err, "bad_option", NULL);
    return E_INVALID;
}

enum status encoding_load(const char *name, struct err *err)
{
    static iconv_t kept; /* stays open: the library drops what nobody uses */
    return kept ? OK : open_state(name, &kept, err);
}

enum status decoder_new(const char *name, struct source encoded, struct decoder **out,
                        struct err *err)
{
    iconv_t state;
    enum status status = open_state(name, &state, err);
    if (status)
        return status;
    struct decoder *decoder = mem_alloc(sizeof *decoder);
    decoder->encoded = encoded;
    decoder->state = state;
    decoder->name = name;
    decoder->line = 1;
    *out = decoder;
    return OK;
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder)
        return;
    iconv_close(decoder->state);
    mem_free(decoder);
}

static enum status fill(struct decoder *decoder, struct err *err)
{
    size_t got;
    enum status status =
        decoder->encoded.read(decoder->encoded.context, decoder->bytes + decoder->len,
                              sizeof decoder->bytes - decoder->len, &got, err);
    if (status)
        return status;
    decoder->len += got;
    decoder->ended = got == 0;
    return OK;
}

static enum status not_decodable(const struct decoder *decoder, bool cut, struct err *err)
{
    err_set(err, E_INVALID,
            "Line %lld is not in %s, as encoding says: %s. Name the right one with ?encoding=, or "
            "leave it out for UTF-8.",
            (long long)decoder->line, decoder->name,
            cut ? "the last character is cut off" : "its bytes mean nothing there");
    err_name(err, "bad_encoding", NULL);
    return E_INVALID;
}

/* Decodes what is there into at most `size` bytes. */
static enum status decode(struct decoder *decoder, char *out, size_t size, size_t *got,
                          struct err *err)
{
    char *from = decoder->bytes, *to = out;
    size_t left = decoder->len, room = size;
    errno = 0;
    size_t result = iconv(decoder->state, &from, &left, &to, &room);
    int why = result == (size_t)-1 ? errno : 0;
    *got = (size_t)(to - out);
    for (const char *at = out; (at = memchr(at, '\n', (size_t)(to - at))); at++)
        decoder->line++;
    memmove(decoder->bytes, from, left);
    decoder->len = left;
    bool cut = why == EINVAL && decoder->ended;
    if (why == EILSEQ || cut)
        return not_decodable(decoder, cut, err);
    return OK;
}

static enum status read_decoded(void *context, void *bytes, size_t size, size_t *got,
                                struct err *err)
{
    struct decoder *decoder = context;
    enum status status = OK;
    *got = 0;
    while (!status && *got == 0) {
        if (!decoder->ended && decoder->len < sizeof decoder->bytes / 2)
            status = fill(decoder, err);
        if (!status && decoder->len == 0 && decoder->ended)
            return OK;
        if (!status && decoder->len > 0)
            status = decode(decoder, bytes, size, got, err);
    }
    return status;
}

struct source decoder_source(struct decoder *decoder)
{
    return (struct source){read_decoded, decoder};
}
