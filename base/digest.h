/* digest.h -- SHA-256 (nettle), as hex where people and file names see it; MD5 where others publish
 * nothing better. */
#ifndef THAW_BASE_DIGEST_H
#define THAW_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define SHA256_BYTES 32
#define SHA256_HEX   65 /* 64 digits and the NUL */
#define MD5_HEX      33

struct sha256; /* a running digest */

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *digest);
void sha256_update(struct sha256 *digest, const void *bytes, size_t len);
void sha256_finish(struct sha256 *digest, uint8_t out[SHA256_BYTES]); /* and starts anew */

void sha256_bytes(const void *bytes, size_t len, uint8_t out[SHA256_BYTES]);
void digest_hex(const uint8_t *bytes, size_t len, char *out);           /* 2*len digits and a NUL */
void md5_hex(const void *bytes, size_t len, char hex[MD5_HEX]);         /* no proof of origin */
enum status sha256_file(int fd, char hex[SHA256_HEX], struct err *err); /* from the start */

#endif
