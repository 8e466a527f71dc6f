/* images.c -- the engine's pictures as raw numbers, for images.py to compare with PIL's.
 *
 *     images              reads commands from stdin, one a line:
 *       decode FILE                      -> "HEIGHT WIDTH" and upright RGB bytes
 *       part FILE SHRINK X Y W H         -> the same of a part, as stored
 *       eval FILE SIZE                   -> "SIZE SIZE" and floats (S,S,3)
 *       train FILE SIZE X Y W H FLIP     -> the same
 * A failure answers "! sentence". */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/preprocess.h"

struct command {
    char verb[16], file[512];
    int numbers[6], n;
};

static enum status decode(const struct buf *file, const struct command *command,
                          struct image_header *header, struct image *out, struct err *err)
{
    struct image stored;
    image_init(&stored);
    struct region whole = {0, 0, header->width, header->height};
    enum status status;
    if (command->n == 5) {
        const int *at = command->numbers;
        struct region part = {at[1], at[2], at[3], at[4]};
        status = image_decode(file->data, file->len, header, &part, at[0], out, err);
    } else if (!(status = image_decode(file->data, file->len, header, &whole, 1, &stored, err))) {
        status = image_turn(&stored, header->orientation, out, err);
    }
    image_deinit(&stored);
    return status;
}

static enum status preprocess(struct preprocess *preprocess, const struct buf *file,
                              const struct command *command, const struct image_header *header,
                              float *out, struct err *err)
{
    const int *at = command->numbers;
    if (command->n == 1)
        return preprocess_eval(preprocess, file->data, file->len, header, at[0], out, err);
    struct augment augment = {{at[1], at[2], at[3], at[4]}, at[5] != 0};
    return preprocess_train(preprocess, file->data, file->len, header, &augment, at[0], out, err);
}

static enum status answer(const struct command *command, struct err *err)
{
    struct buf file;
    struct image_header header;
    struct image image;
    buf_init(&file, 256u << 20);
    image_init(&image);
    enum status status = fs_read_file(command->file, &file, err);
    if (!status)
        status = image_read_header(file.data, file.len, IMAGE_MAX_PIXELS, &header, err);
    if (!status && (strcmp(command->verb, "decode") == 0 || strcmp(command->verb, "part") == 0)) {
        if (!(status = decode(&file, command, &header, &image, err))) {
            printf("%d %d\n", image.height, image.width);
            fwrite(image.pixels, 3, (size_t)image.width * (size_t)image.height, stdout);
        }
    } else if (!status) {
        size_t values = (size_t)command->numbers[0] * (size_t)command->numbers[0] * 3;
        float *out = mem_alloc(values * sizeof *out);
        struct preprocess *scratch = preprocess_new();
        if (!(status = preprocess(scratch, &file, command, &header, out, err))) {
            printf("%d %d\n", command->numbers[0], command->numbers[0]);
            fwrite(out, sizeof *out, values, stdout);
        }
        preprocess_free(scratch);
        mem_free(out);
    }
    image_deinit(&image);
    buf_deinit(&file);
    return status;
}

int main(void)
{
    char line[1024];
    while (fgets(line, sizeof line, stdin)) {
        struct command command = {0};
        struct err err = {0};
        int *at = command.numbers;
        command.n = sscanf(line, "%15s %511s %d %d %d %d %d %d", command.verb, command.file, &at[0],
                           &at[1], &at[2], &at[3], &at[4], &at[5]) -
                    2;
        if (command.n < 0)
            return 2;
        if (answer(&command, &err))
            printf("! %s\n", err.detail);
        fflush(stdout);
    }
    return 0;
}
