/* digest.c -- nettle's SHA-256 and MD5. */
#include <nettle/md5.h>
#include <nettle/sha2.h>

/* nettle renames its functions with macros of the very names that digest.h uses. */
#undef sha256_update

#include "base/digest.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK (64 * 1024)

struct sha256 {
    struct sha256_ctx context;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *digest = mem_alloc(sizeof(*digest));
    nettle_sha256_init(&digest->context);
    return digest;
}

void sha256_free(struct sha256 *digest)
{
    mem_free(digest);
}

void sha256_update(struct sha256 *digest, const void *bytes, size_t len)
{
    nettle_sha256_update(&digest->context, len, bytes);
}

void sha256_finish(struct sha256 *digest, uint8_t out[SHA256_BYTES])
{
    nettle_sha256_digest(&digest->context, SHA256_BYTES, out); /* starts anew by itself */
}

void sha256_bytes(const void *bytes, size_t len, uint8_t out[SHA256_BYTES])
{
    struct sha256 digest;
    nettle_sha256_init(&digest.context);
    sha256_update(&digest, bytes, len);
    sha256_finish(&digest, out);
}

void digest_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

void md5_hex(const void *bytes, size_t len, char hex[MD5_HEX])
{
    struct md5_ctx context;
    uint8_t sum[MD5_DIGEST_SIZE];
    md5_init(&context);
    md5_update(&context, len, bytes);
    md5_digest(&context, sizeof sum, sum);
    digest_hex(sum, sizeof sum, hex);
}

enum status sha256_file(int fd, char hex[SHA256_HEX], struct err *err)
{
    struct sha256 *digest = sha256_new();
    char *chunk = mem_alloc(CHUNK);
    enum status status = OK;
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, chunk, CHUNK, at);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = err_errno(err, "The file could not be read while hashing it");
            goto done;
        }
        sha256_update(digest, chunk, (size_t)n);
        at += n;
    }
    uint8_t sum[SHA256_BYTES];
    sha256_finish(digest, sum);
    digest_hex(sum, sizeof(sum), hex);
done:
    mem_free(chunk);
    sha256_free(digest);
    return status;
}
