/* Each of fastai's rules on the cases of its documentation, and on what they do not show. Expected
 * texts of other cases are Python's (tests/oracle/text.py compares on drawn ones). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/text/rules.h"

struct example {
    const char *before, *after;
};

static void check(const char *rule, const struct example *examples, size_t n)
{
    struct rules *rules = rules_new();
    for (size_t i = 0; i < n; i++) {
        const char *text;
        size_t len;
        assert_true(rules_apply_one(rules, rule, examples[i].before, strlen(examples[i].before),
                                    &text, &len));
        if (len != strlen(examples[i].after) || memcmp(text, examples[i].after, len) != 0)
            fail_msg("%s of \"%s\" is \"%.*s\", not \"%s\"", rule, examples[i].before, (int)len,
                     text, examples[i].after);
    }
    rules_free(rules);
}

#define CHECK(rule, ...)                                                                           \
    do {                                                                                           \
        static const struct example examples[] = {__VA_ARGS__};                                    \
        check(rule, examples, sizeof examples / sizeof *examples);                                 \
    } while (0)

static void html_is_undone(void **state)
{
    (void)state;
    CHECK("fix_html", {"#39;bli#146;", "'bli'"}, {"Sarah amp; Duck...", "Sarah & Duck …"},
          {"a nbsp; #36;", "a   $"}, {"\\\" <unk>", "\" xxunk"}, {"quot;  @.@  @-@ ", "' .-"},
          {"<br />text\\n", "\ntext\n"}, {"&#39;", "&'"}, {"amp;#39;", "&'"},
          {"amp;amp;eacute;", "&é"}, {"", ""}, {"....", " …."}, {"......", " … …"});
}

static void references_are_read_as_the_html_standard_says(void **state)
{
    (void)state;
    CHECK("fix_html", {"&eacute;", "é"}, {"&eacute", "é"}, {"&eacutex", "éx"}, {"&hellip;", "…"},
          {"&hellip", "&hellip"}, {"&notin;", "∉"}, {"&notit;", "¬it;"}, {"&ampx", "&x"},
          {"&nGt;", "≫⃒"}, {"&#233;", "é"}, {"&#xE9;x", "éx"}, {"&#XE9", "é"}, {"&#x80;", "€"},
          {"&#0;", "\uFFFD"}, {"&#xD800;", "\uFFFD"}, {"&#1114112;", "\uFFFD"},
          {"&#99999999999999999999;", "\uFFFD"}, {"&#1;&#x7f;&#xfffe;", ""}, {"&#;", "&#;"},
          {"&#x;", "&#x;"}, {"&", "&"}, {"&;", "&;"}, {"& lt;", "& lt;"}, {"&lt;&gt;", "<>"},
          {"&nosuchname;", "&nosuchname;"}, {"&zwnj;", "\u200c"},
          {"&CounterClockwiseContourIntegral;", "∳"});
}

static void repeated_characters_are_counted(void **state)
{
    (void)state;
    CHECK("replace_rep", {"aa", "aa"}, {"aaaa", " xxrep 4 a "}, {"baaab", "b xxrep 3 a b"},
          {"1000", "1 xxrep 3 0 "}, {"   ", "   "}, {"\n\n\n\n", "\n\n\n\n"},
          {"ééé", " xxrep 3 é "}, {"éé", "éé"}, {"😀😀😀😀", " xxrep 4 😀 "},
          {"aaabbb", " xxrep 3 a  xxrep 3 b "}, {"אאא", " xxrep 3 א "},
          {"e\u0301e\u0301e\u0301", "e\u0301e\u0301e\u0301"}, {"AAa", "AAa"}, {"", ""});
}

static void repeated_words_are_counted(void **state)
{
    (void)state;
    CHECK("replace_wrep", {"ah ah", "ah ah"}, {"ah ah ah", " xxwrep 3 ah "},
          {"ah ah   ah  ah", " xxwrep 4 ah "}, {"ah ah ah ah ", " xxwrep 4 ah  "},
          {"ah ah ah ah.", " xxwrep 4 ah ."}, {"ah ah ahi", "ah ah ahi"},
          {"oh ah ah ah oh", "oh xxwrep 3 ah  oh"}, {"ah ah ah ahi", " xxwrep 3 ah  ahi"},
          {"(ah ah ah)", "(ah ah ah)"}, {"ah. ah ah ah", "ah. xxwrep 3 ah "},
          {"ah\nah\tah", " xxwrep 3 ah "}, {"Ah ah ah", "Ah ah ah"}, {"é é é", " xxwrep 3 é "},
          {"a a a b b b", " xxwrep 3 a  b b b"}, {"a a a  b b b", " xxwrep 3 a   xxwrep 3 b "},
          {"да да да", " xxwrep 3 да "}, {"aah ah ah", "aah ah ah"}, {"", ""}, {" ", " "});
}

static void signs_stand_alone_and_spaces_once(void **state)
{
    (void)state;
    CHECK("spec_add_spaces", {"#fastai", " # fastai"}, {"/fastai", " / fastai"},
          {"\\fastai", " \\ fastai"}, {"a/b#c", "a / b # c"}, {"abc", "abc"}, {"", ""});
    CHECK("rm_useless_spaces", {"a  b   c", "a b c"}, {"  ", " "}, {"a\n\nb", "a\n\nb"},
          {"a b", "a b"}, {"a \u00a0 b", "a \u00a0 b"});
}

static void capitals_become_marks(void **state)
{
    (void)state;
    CHECK("replace_all_caps", {"I'M SHOUTING", "xxup i'm xxup shouting"},
          {"I'm speaking normally", "I'm speaking normally"},
          {"I am speaking normally", "i am speaking normally"}, {"U.S. A1", "xxup u.s. xxup a1"},
          {"ÉTÉ", "ÉTÉ"}, {"TÉ", "xxup té"}, {"(NASA)", "(NASA)"}, {"A\nB", "a\nb"},
          {"CO2 x", "xxup co2 x"}, {"MIXed", "MIXed"}, {"Aé", "xxup aé"}, {"", ""});
    CHECK("replace_maj", {"Jeremy Howard", "xxmaj jeremy xxmaj howard"},
          {"I don't think there is any maj here", "i don't think there is any maj here"},
          {"McDonald", "McDonald"}, {"Élan", "Élan"}, {"Zürich", "xxmaj zürich"},
          {" The", " xxmaj the"}, {"\"The", "\"The"}, {"", ""});
}

static void letters_become_small_as_pythons_do(void **state)
{
    (void)state;
    CHECK("lowercase", {"I am Jeremy Howard.", "xxbos i am jeremy howard."}, {"", "xxbos "},
          {" \n x \t\u3000", "xxbos x"}, {"\u0130", "xxbos i\u0307"}, {"ΟΔΟΣ", "xxbos οδος"},
          {"ΟΔΟΣ ΣΑΣ.", "xxbos οδος σας."}, {"Σ", "xxbos σ"}, {"ΑΣ'Α ΑΣ'", "xxbos ασ'α ας'"},
          {"ÀÉẞ", "xxbos àéß"}, {"ДА", "xxbos да"}, {"Ⅷ", "xxbos ⅷ"});
}

/* What rules_next gives of a document, pieces one after the other; a static buffer. */
static const char *ready(const char *document, size_t len)
{
    static char out[256];
    struct rules *rules = rules_new();
    const char *text;
    size_t text_len, n = 0;
    rules_begin(rules, document, len);
    while (rules_next(rules, &text, &text_len)) {
        assert_true(n + text_len < sizeof out);
        memcpy(out + n, text, text_len);
        n += text_len;
    }
    out[n] = '\0';
    rules_free(rules);
    return out;
}

static void a_document_goes_through_all_in_order(void **state)
{
    (void)state;
    const char *text = "This MOVIE was sooooo good<br /><br />I'd see it again &amp; again...";
    assert_string_equal(
        ready(text, strlen(text)),
        "xxbos xxmaj this xxup movie was s xxrep 5 o good\n\nxxmaj i'd see it again && "
        "again …");
    assert_string_equal(ready("", 0), "xxbos ");
    assert_string_equal(ready(NULL, 0), "xxbos ");
}

static void fields_are_marked(void **state)
{
    (void)state;
    const char *two = "A title\x1f"
                      "the text";
    assert_string_equal(ready(two, strlen(two)), "xxbos xxfld 1 a title xxfld 2 the text");
    assert_string_equal(ready("\x1f", 1), "xxbos xxfld 1 xxfld 2");
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
    (void)state;
    assert_string_equal(ready("a\xff\xc3(\xe4\xb8", 6), "xxbos a\uFFFD\uFFFD(\uFFFD\uFFFD");
    assert_memory_equal(ready("a\0b", 3), "xxbos a\0b", 9);
}

/* A run of 100 spaces, words and capitals must not take the square of their number. */
static void long_documents_come_in_pieces_and_in_linear_time(void **state)
{
    (void)state;
    static const char *const units[] = {" ", "a",  "a ", "A",  "é",     "Σ",
                                        "&", "&#", "'",  "\n", "b a a "};
    size_t len = 3 * RULES_PIECE;
    char *document = mem_alloc(len);
    struct rules *rules = rules_new();
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t unit_len = strlen(units[u]), pieces = 0, text_len;
        const char *text;
        for (size_t i = 0; i < len; i++)
            document[i] = units[u][i % unit_len];
        rules_begin(rules, document, len);
        while (rules_next(rules, &text, &text_len)) {
            assert_true(utf8_is_valid(text, text_len));
            assert_true(text_len <= 2 * RULES_PIECE + 64);
            assert_int_equal(text_len >= 6 && memcmp(text, "xxbos ", 6) == 0, pieces == 0);
            pieces++;
        }
        assert_in_range(pieces, 3, 4);
    }
    mem_free(document);
    rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html_is_undone),
        cmocka_unit_test(references_are_read_as_the_html_standard_says),
        cmocka_unit_test(repeated_characters_are_counted),
        cmocka_unit_test(repeated_words_are_counted),
        cmocka_unit_test(signs_stand_alone_and_spaces_once),
        cmocka_unit_test(capitals_become_marks),
        cmocka_unit_test(letters_become_small_as_pythons_do),
        cmocka_unit_test(a_document_goes_through_all_in_order),
        cmocka_unit_test(fields_are_marked),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(long_documents_come_in_pieces_and_in_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
