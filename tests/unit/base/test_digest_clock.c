/* SHA-256 against FIPS 180-4's examples; times and ids as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <regex.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

static const struct {
    const char *text, *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    struct sha256 *running = sha256_new();
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        uint8_t sum[SHA256_BYTES];
        char hex[SHA256_HEX];
        sha256_bytes(vectors[i].text, strlen(vectors[i].text), sum);
        digest_hex(sum, sizeof(sum), hex);
        assert_string_equal(hex, vectors[i].hex);
        for (const char *p = vectors[i].text; *p; p++) /* byte by byte, and anew each time */
            sha256_update(running, p, 1);
        sha256_finish(running, sum);
        digest_hex(sum, sizeof(sum), hex);
        assert_string_equal(hex, vectors[i].hex);
    }
    sha256_free(running);
}

static void a_file_is_hashed_from_its_start(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    char *million = mem_alloc(1000000);
    memset(million, 'a', 1000000);
    assert_int_equal(write(fd, million, 1000000), 1000000);
    mem_free(million);
    char hex[SHA256_HEX];
    assert_int_equal(sha256_file(fd, hex, NULL), OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    close(fd);
    struct err err = {0};
    assert_int_equal(sha256_file(-1, hex, &err), E_IO);
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},         {1795465916123, "2026-11-23T20:31:56.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},        {951782400000, "2000-02-29T00:00:00.000Z"},
        {INT64_MAX, "0000-01-01T00:00:00.000Z"},
    };
    char text[CLOCK_TEXT];
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        clock_format(times[i].ms, text);
        assert_string_equal(text, times[i].text);
    }
    int64_t before = clock_monotonic_ns();
    assert_true(clock_monotonic_ns() >= before);
    assert_true(clock_seconds() > 0);
    assert_true(clock_wall_ms() > 1700000000000);
}

static void ids_are_typed_and_never_repeat(void **state)
{
    (void)state;
    char ids[2000][40];
    regex_t pattern;
    assert_int_equal(regcomp(&pattern, "^job_[0-9a-z]{24}$", REG_EXTENDED | REG_NOSUB), 0);
    int seen[128] = {0};
    for (int i = 0; i < 2000; i++) {
        id_new("job_", ids[i]);
        assert_int_equal(regexec(&pattern, ids[i], 0, NULL, 0), 0);
        for (const char *p = ids[i] + 4; *p; p++)
            seen[(int)*p]++;
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
    for (const char *p = "0123456789abcdefghijklmnopqrstuvwxyz"; *p; p++)
        assert_true(seen[(int)*p] > 1000 && seen[(int)*p] < 1700); /* 1333 expected */
    regfree(&pattern);
    id_new("a prefix that is far too long", ids[0]);
    assert_int_equal(strlen(ids[0]), 39);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(a_file_is_hashed_from_its_start),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(ids_are_typed_and_never_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
