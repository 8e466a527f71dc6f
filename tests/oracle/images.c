/* images.c -- the engine's pictures as raw numbers, for images.py to compare with PIL's.
 *
 *     images              reads commands from stdin, one a line:
 *       decode FILE                      -> "HEIGHT WIDTH" and upright RGB bytes
 *       part FILE SHRINK X Y W H         -> the same of a part, as stored
 *       eval FILE SIZE                   -> "SIZE SIZE" and floats (S,S,3)
 *       train FILE SIZE X Y W H PRESIZE TURN ANGLE ZOOM ZOOM_X ZOOM_Y WARP_X WARP_Y BRIGHTNESS
 *             CONTRAST HOLE_WIDTH HOLE_HEIGHT HOLE_X HOLE_Y NOISE     -> the same (augment.h)
 * A failure answers "! sentence". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/data/preprocess.h"

#define MAX_NUMBERS 20

struct command {
    char verb[16], file[512];
    double numbers[MAX_NUMBERS];
    int n;
};

static struct region region_at(const double *at)
{
    return (struct region){(int)at[0], (int)at[1], (int)at[2], (int)at[3]};
}

static enum status decode(const struct buf *file, const struct command *command,
                          struct image_header *header, struct image *out, struct err *err)
{
    struct image stored;
    image_init(&stored);
    struct region whole = {0, 0, header->width, header->height};
    enum status status;
    if (command->n == 5) {
        struct region part = region_at(command->numbers + 1);
        status =
            image_decode(file->data, file->len, header, &part, (int)command->numbers[0], out, err);
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
    const double *at = command->numbers;
    int size = (int)at[0];
    if (command->n == 1)
        return preprocess_eval(preprocess, file->data, file->len, header, size, out, err);
    struct augment augment = {.crop = region_at(at + 1),
                              .presize = (int)at[5],
                              .turn = (int)at[6],
                              .angle = at[7],
                              .zoom = at[8],
                              .zoom_x = at[9],
                              .zoom_y = at[10],
                              .warp_x = at[11],
                              .warp_y = at[12],
                              .brightness = at[13],
                              .contrast = at[14],
                              .hole_width = at[15],
                              .hole_height = at[16],
                              .hole_x = at[17],
                              .hole_y = at[18],
                              .noise = (uint64_t)at[19]};
    return preprocess_train(preprocess, file->data, file->len, header, &augment, size, out, err);
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
        int size = (int)command->numbers[0];
        size_t values = (size_t)size * (size_t)size * 3;
        float *out = mem_alloc(values * sizeof *out);
        struct preprocess *scratch = preprocess_new();
        if (!(status = preprocess(scratch, &file, command, &header, out, err))) {
            printf("%d %d\n", size, size);
            fwrite(out, sizeof *out, values, stdout);
        }
        preprocess_free(scratch);
        mem_free(out);
    }
    image_deinit(&image);
    buf_deinit(&file);
    return status;
}

/* False: it is no command. */
static bool read_command(char *line, struct command *command)
{
    int at = 0;
    if (sscanf(line, "%15s %511s%n", command->verb, command->file, &at) != 2)
        return false;
    char *end, *next = line + at;
    for (; command->n < MAX_NUMBERS; command->n++, next = end) {
        command->numbers[command->n] = strtod(next, &end);
        if (end == next)
            break;
    }
    return true;
}

int main(void)
{
    char line[2048];
    while (fgets(line, sizeof line, stdin)) {
        struct command command = {0};
        struct err err = {0};
        if (!read_command(line, &command))
            return 2;
        if (answer(&command, &err))
            printf("! %s\n", err.detail);
        fflush(stdout);
    }
    return 0;
}
