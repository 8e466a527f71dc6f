/* fuzz_text.c -- any bytes become UTF-8 by the rules and fall into tokens that lie in the text, in
 * order, without white space in them; lines' ends aside, what lies between them is white space. */
#include "tests/fuzz/fuzz.h"

#include "base/utf8.h"
#include "engine/text/character.h"
#include "engine/text/rules.h"
#include "engine/text/token.h"

struct tokens {
    const char *at, *end; /* behind the last token; of the text */
};

static void see(void *context, const char *token, size_t len)
{
    struct tokens *tokens = context;
    promise(len > 0);
    if (token[0] == '\n')
        return;
    promise(token >= tokens->at && token + len <= tokens->end && utf8_is_valid(token, len));
    for (const char *byte = tokens->at; byte < token; byte++)
        promise((unsigned char)*byte <= ' ' || (unsigned char)*byte >= 0x7f);
    for (size_t i = 0; i < len; i++)
        promise((unsigned char)token[i] > ' ');
    tokens->at = token + len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules *rules = rules_new();
    struct tokeniser *tokeniser = tokeniser_new();
    const char *text;
    size_t len;
    rules_begin(rules, (const char *)data, size);
    while (rules_next(rules, &text, &len)) {
        struct tokens tokens = {text, text + len};
        promise(utf8_is_valid(text, len) && len <= 64 * size + 64);
        tokeniser_split(tokeniser, text, len, see, &tokens);
    }
    tokeniser_free(tokeniser);
    rules_free(rules);
    return 0;
}
