/* Where words are cut. Expected tokens are spaCy's (English, 3.x), except where token.h says that
 * ours differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/text/token.h"

static void append(void *context, const char *token, size_t len)
{
    struct buf *out = context;
    if (out->len > 0)
        buf_puts(out, "|");
    buf_append(out, token, len);
}

/* The tokens of `text`, joined by |, are `expected`. */
static void check(const char *text, const char *expected)
{
    struct tokeniser *tokeniser = tokeniser_new();
    struct buf out;
    buf_init(&out, 4096);
    tokeniser_split(tokeniser, text, strlen(text), append, &out);
    assert_string_equal(out.data, expected);
    buf_deinit(&out);
    tokeniser_free(tokeniser);
}

static void words_fall_apart_at_white_space(void **state)
{
    (void)state;
    check("one two  three", "one|two|three");
    check(" \t ", "");
    check("", "");
    check("a\nb \n\n c", "a|\n|b|\n\n|c");
    check("a\u00a0b\u3000c", "a|b|c");
}

static void contractions_come_off(void **state)
{
    (void)state;
    check("don't can't won't isn't ain't", "do|n't|ca|n't|wo|n't|is|n't|ai|n't");
    check("don’t it’s", "do|n’t|it|’s");
    check("i'm you're we've he'll she'd it's", "i|'m|you|'re|we|'ve|he|'ll|she|'d|it|'s");
    check("she'd've couldn't've", "she|'d|'ve|could|n't|'ve");
    check("cannot gonna gotta Cannot", "can|not|gon|na|got|ta|Can|not");
    check("dont im didnt thats", "do|nt|i|m|did|nt|that|s");
    check("its well hell were shed", "its|well|hell|were|shed");
    check("john's dogs' 1990's", "john|'s|dogs|'|1990|'s");
    check("o'clock ma'am y'all 'em let's", "o'clock|ma'am|y'|all|'em|let|'s");
    check("'tis 's n't", "'|tis|'s|n't");
    check("DON'T I'LL", "DO|N'T|I|'LL");
}

static void punctuation_comes_off_at_both_ends(void **state)
{
    (void)state;
    check("\"(hello, world!)\"", "\"|(|hello|,|world|!|)|\"");
    check("what?! no.", "what|?|!|no|.");
    check("[a] {b} <c> *d* _e_ &f", "[|a|]|{|b|}|<|c|>|*|d|*|_|e|_|&|f");
    check("«non» “yes” ‘so’ ¿que? ¡ay!", "«|non|»|“|yes|”|‘|so|’|¿|que|?|¡|ay|!");
    check("...", "...");
    check("wait...what… ok..", "wait|...|what|…|ok|..");
    check("– yes—no –so–", "–|yes|—|no|–|so|–");
}

static void words_are_cut_inside_between_letters(void **state)
{
    (void)state;
    check("well-known state-of-the-art", "well|-|known|state|-|of|-|the|-|art");
    check("a--b a---b x~y", "a|--|b|a|---|b|x|~|y");
    check("one,two a:b a=b a<b a/b 1/b", "one|,|two|a|:|b|a|=|b|a|<|b|a|/|b|1|/|b");
    check("rock'n'roll ice-9", "rock'n'roll|ice-9");
    check("-5 x- -word", "-5|x-|-word");
    check("end.Start of U.S. and u.s.", "end.Start|of|U.S.|and|u.s|.");
}

static void numbers_keep_together_and_lose_their_units(void **state)
{
    (void)state;
    check("1,000.5 3.14 2.", "1,000.5|3.14|2|.");
    check("50% $5 £1,000 3€ 18+", "50|%|$|5|£|1,000|3|€|18|+");
    check("5km 10kg 3m² 90km/h 5xx", "5|km|10|kg|3|m²|90|km/h|5xx");
    check("10am 9p.m. 7 pm", "10|am|9|p.m.|7|pm");
    check("2020-01-05 10-20 1+2 3*4 2^8", "2020|-|01|-|05|10|-|20|1|+|2|3|*|4|2|^|8");
    check("10:30 1st 4x4", "10:30|1st|4x4");
    check("٣٫١٤ ١٢", "٣٫١٤|١٢");
}

static void abbreviations_and_faces_are_whole(void **state)
{
    (void)state;
    check("Mr. Smith e.g. i.e. a.m. Ph.D. D.C.", "Mr.|Smith|e.g.|i.e.|a.m.|Ph.D.|D.C.");
    check("mr. smith", "mr|.|smith");
    check("plan b. c++ C++", "plan|b.|c++|C++");
    check(":) :-( ;) :D <3 ^_^ :'( :|", ":)|:-(|;)|:D|<3|^_^|:'(|:|");
    check("(:)", "(|:)");
}

static void addresses_are_whole(void **state)
{
    (void)state;
    check("see http://www.example.com/a-b?c=d, or", "see|http://www.example.com/a-b?c=d|,|or");
    check("(www.my-site.org/x-y)", "(|www.my-site.org/x-y|)");
    check("john.doe@my-host.co.uk.", "john.doe@my-host.co.uk|.");
    check("my-site.com:80 my-site.c", "my-site.com:80|my|-|site.c");
    check("@user-name", "@user|-|name");
}

static void special_tokens_are_never_cut(void **state)
{
    (void)state;
    check("xxbos xxmaj xxup xxrep xxwrep xxfld xxunk xxpad xxeos",
          "xxbos|xxmaj|xxup|xxrep|xxwrep|xxfld|xxunk|xxpad|xxeos");
}

static void emoji_keep_what_belongs_to_them(void **state)
{
    (void)state;
    check("ok😀😀!❤️", "ok|😀|😀|!|❤️");
    check("👍🏽👨‍👩‍👧x", "👍🏽|👨‍👩‍👧|x");
    check("🇩🇪🇫🇷🇬", "🇩🇪|🇫🇷|🇬");
    check("a©b", "a|©|b");
}

static void other_scripts_are_read_by_their_characters(void **state)
{
    (void)state;
    check("日本語の本。", "日|本|語|の|本|。");
    check("hello世界", "hello|世|界");
    check("ไทย กำ", "ไ|ท|ย|ก|ำ");
    check("한국어 텍스트.", "한국어|텍스트|.");
    check("שלום, עולם!", "שלום|,|עולם|!");
    check("مرحبا، بالعالم؟", "مرحبا|،|بالعالم|؟");
    check("हिन्दी में।", "हिन्दी|में|।");
    check("Привет-мир. Ёж", "Привет|-|мир|.|Ёж");
    check("cafe\u0301. e\u0301-x", "cafe\u0301|.|e\u0301|-|x");
    check("\u0301a", "\u0301a");
}

static void count(void *context, const char *token, size_t len)
{
    (void)token;
    *(size_t *)context += len;
}

/* Every byte that is no white space is in one token; the longest chunk takes linear time. */
static void no_letter_is_lost_in_a_long_chunk(void **state)
{
    (void)state;
    static const char *const units[] = {"a",  "(", "a!", "'s", "n't", "-a",      ".a", "1%",
                                        "中", "😀", "a.", "a😀", ":)",  "http://", "@.", "..x"};
    size_t len = 1u << 20;
    char *text = mem_alloc(len);
    struct tokeniser *tokeniser = tokeniser_new();
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit_len = strlen(units[u]), used = len / unit_len * unit_len, seen = 0;
        for (size_t i = 0; i < used; i++)
            text[i] = units[u][i % unit_len];
        tokeniser_split(tokeniser, text, used, count, &seen);
        assert_int_equal(seen, used);
    }
    tokeniser_free(tokeniser);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_fall_apart_at_white_space),
        cmocka_unit_test(contractions_come_off),
        cmocka_unit_test(punctuation_comes_off_at_both_ends),
        cmocka_unit_test(words_are_cut_inside_between_letters),
        cmocka_unit_test(numbers_keep_together_and_lose_their_units),
        cmocka_unit_test(abbreviations_and_faces_are_whole),
        cmocka_unit_test(addresses_are_whole),
        cmocka_unit_test(special_tokens_are_never_cut),
        cmocka_unit_test(emoji_keep_what_belongs_to_them),
        cmocka_unit_test(other_scripts_are_read_by_their_characters),
        cmocka_unit_test(no_letter_is_lost_in_a_long_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
