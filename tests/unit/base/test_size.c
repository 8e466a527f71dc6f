#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/size.h"

static void sizes_read_as_people_say_them(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 bytes"},
        {1023, "1023 bytes"},
        {1024, "1 KB"},
        {14 << 10, "14 KB"},
        {256 << 20, "256 MB"},
        {UINT64_C(5) << 29, "2.5 GB"},
        {UINT64_C(900) << 40, "900 TB"},
        {UINT64_MAX, "16 EB"},
    };
    char text[SIZE_TEXT];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(size_text(cases[i].bytes, text), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_read_as_people_say_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
