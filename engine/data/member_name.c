/* member_name.c -- see member_name.h. */
#include "engine/data/member_name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"

struct writer {
    char *out;
    size_t len, size; /* one byte of size is the NUL's */
    bool overflow;
};

static void write_bytes(struct writer *writer, const char *bytes, size_t len)
{
    if (len >= writer->size - writer->len) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->out + writer->len, bytes, len);
    writer->len += len;
    writer->out[writer->len] = '\0';
}

/* One component, made UTF-8. True when it holds control characters. */
static bool write_component(struct writer *writer, const char *text, size_t len)
{
    bool control = false;
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_sequence(text + i, len - i);
        unsigned char first = (unsigned char)text[i];
        if (n == 1 && (first < 0x20 || first == 0x7f)) {
            control = true;
            write_bytes(writer, "\xef\xbf\xbd", 3);
        } else if (n > 0) {
            write_bytes(writer, text + i, n);
        } else { /* Latin-1: 0x80..0xff are U+0080..U+00FF */
            char pair[2] = {(char)(0xc0 | first >> 6), (char)(0x80 | (first & 0x3f))};
            write_bytes(writer, pair, 2);
            n = 1;
        }
    }
    return control;
}

static bool is_absolute(const char *raw)
{
    bool drive = isalpha((unsigned char)raw[0]) && raw[1] == ':';
    return raw[0] == '/' || raw[0] == '\\' || drive;
}

const char *member_name_clean(const char *raw, char *name, size_t size)
{
    struct writer writer = {name, 0, size, false};
    bool control = false, parent = false;
    name[0] = '\0';
    for (const char *at = raw; *at;) {
        size_t len = strcspn(at, "/");
        bool skipped = len == 0 || (len == 1 && at[0] == '.');
        parent |= len == 2 && at[0] == '.' && at[1] == '.';
        if (!skipped && writer.len > 0)
            write_bytes(&writer, "/", 1);
        if (!skipped)
            control |= write_component(&writer, at, len);
        at += len + (at[len] == '/');
    }
    if (is_absolute(raw))
        return "Its name is absolute; names must stay inside the archive.";
    if (parent)
        return "Its name leads out of the archive (\"..\").";
    if (control)
        return "Its name holds control characters.";
    if (writer.overflow)
        return "Its name is too long.";
    if (writer.len == 0)
        return "It has no name.";
    return NULL;
}

bool member_name_is_litter(const char *name)
{
    static const char *const known[] = {"__MACOSX", "Thumbs.db", "desktop.ini"};
    for (const char *at = name; *at;) {
        size_t len = strcspn(at, "/");
        if (at[0] == '.')
            return true;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (strlen(known[i]) == len && strncasecmp(at, known[i], len) == 0)
                return true;
        at += len + (at[len] == '/');
    }
    return false;
}
