/* sse.c -- the content reader of event streams.
 *
 * A reader that has nothing to say must suspend its connection: one that merely returns 0 is called
 * again at once and burns a core. The suspending happens under hub.lock, which also guards the
 * waking, so that no ring is missed in between. */
#include "server/sse.h"

#include <microhttpd.h>

#include "base/mem.h"

#define BLOCK_BYTES 4096

static void suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

static void resume(void *connection)
{
    MHD_resume_connection(connection);
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t size)
{
    (void)position;
    size_t n;
    switch (stream_read(context, out, size, &n)) {
    case STREAM_DATA:
        return (ssize_t)n;
    case STREAM_ASLEEP:
        return 0;
    case STREAM_ENDED:
        break;
    }
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_stream(void *context)
{
    stream_close(context);
}

enum status sse_response(struct hub *hub, struct MHD_Connection *connection, const char *job,
                         int64_t after, struct MHD_Response **response, struct err *err)
{
    struct stream_port port = {connection, suspend, resume};
    struct stream *stream;
    enum status status = stream_open(hub, job, after, &port, &stream, err);
    if (status)
        return status;
    *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream,
                                                  stream, close_stream);
    if (*response)
        return OK;
    stream_close(stream);
    return err_set(err, E_UNAVAILABLE, "There is not enough memory for another event stream.");
}
