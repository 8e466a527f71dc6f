#include "base/json_file.h"

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

enum status json_write_file(const struct json *json, const char *folder, const char *name,
                            struct err *err)
{
    char *text = json_text(json), *path = mem_printf("%s/%s", folder, name);
    enum status status = fs_write_file(path, text, strlen(text), err);
    mem_free(path);
    mem_free(text);
    return status;
}
