/* decode.c -- tokens as people read them (reader.h). */
#include "engine/text/reader.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/text/character.h"

#define MAX_REPEATS 100 /* that are written out: a model may dream of millions */

struct decoder {
    struct buf *out;
    bool glued;           /* no space before the next word */
    bool within_quotes;   /* an odd number of " so far */
    enum special casing;  /* SPECIAL_UP, SPECIAL_MAJ, or SPECIAL_UNK for none: of the next word */
    enum special repeats; /* SPECIAL_REP, SPECIAL_WREP, or SPECIAL_UNK */
    long times;           /* 0: the number is still to come */
    bool skips_number;    /* of a field */
};

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

/* Stands at the word before it, as a full stop does. */
static bool joins_left(const char *word)
{
    static const char *const joining[] = {".",
                                          ",",
                                          "!",
                                          "?",
                                          ";",
                                          ":",
                                          ")",
                                          "]",
                                          "}",
                                          "%",
                                          "\xe2\x80\xa6",
                                          "-",
                                          "/",
                                          "n't",
                                          "'s",
                                          "'m",
                                          "'re",
                                          "'ve",
                                          "'ll",
                                          "'d",
                                          "\xe2\x80\x9d",
                                          "n\xe2\x80\x99t",
                                          "\xe2\x80\x99s",
                                          "\xe2\x80\x99m",
                                          "\xe2\x80\x99re",
                                          "\xe2\x80\x99ve",
                                          "\xe2\x80\x99ll",
                                          "\xe2\x80\x99"
                                          "d",
                                          "\xc2\xbb",
                                          "\xe3\x80\x82",
                                          "\xe3\x80\x81"};
    return is_one_of(word, joining, ARRAY_LEN(joining)) || word[0] == '\n';
}

/* What follows stands at it, as behind a bracket. */
static bool joins_right(const char *word)
{
    static const char *const joining[] = {
        "(", "[", "{", "$", "#", "-", "/", "\xc2\xa3", "\xe2\x82\xac", "\xe2\x80\x9c", "\xc2\xab"};
    return is_one_of(word, joining, ARRAY_LEN(joining)) || word[0] == '\n';
}

/* Scripts without spaces between words get none. */
static bool is_unspaced(const char *word)
{
    size_t len;
    return char_class(char_read(word, &len)) == CHAR_UNSPACED;
}

static void put_cased(struct buf *out, const char *word, enum special casing)
{
    char bytes[CHAR_BYTES];
    bool upper = casing != SPECIAL_UNK;
    for (size_t len; *word; word += len) {
        uint32_t character = char_read(word, &len);
        buf_append(out, upper ? bytes : word,
                   upper ? char_write(char_upper(character), bytes) : len);
        upper = upper && casing == SPECIAL_UP;
    }
}

static void put_word(struct decoder *decoder, const char *word)
{
    bool is_quote = strcmp(word, "\"") == 0;
    bool left = joins_left(word) || (is_quote && decoder->within_quotes);
    bool unspaced = is_unspaced(word);
    if (decoder->out->len > 0 && !decoder->glued && !left && !unspaced)
        buf_puts(decoder->out, " ");
    put_cased(decoder->out, word, decoder->casing);
    decoder->glued = joins_right(word) || (is_quote && !decoder->within_quotes) || unspaced;
    decoder->within_quotes ^= is_quote;
    decoder->casing = SPECIAL_UNK;
}

/* The word of a repetition: "xxrep 4 a" is aaaa, "xxwrep 3 ah" is ah ah ah. */
static void put_repeated(struct decoder *decoder, const char *word)
{
    long times = decoder->times < MAX_REPEATS ? decoder->times : MAX_REPEATS;
    bool is_rep = decoder->repeats == SPECIAL_REP;
    decoder->repeats = SPECIAL_UNK;
    for (long i = 0; i < times; i++) {
        put_word(decoder, word);
        decoder->glued |= is_rep && i + 1 < times;
    }
}

static void begin_line(struct decoder *decoder)
{
    if (decoder->out->len > 0 && decoder->out->data[decoder->out->len - 1] != '\n')
        buf_puts(decoder->out, "\n");
    decoder->glued = true;
    decoder->within_quotes = false;
}

static void put_special(struct decoder *decoder, enum special special)
{
    switch (special) {
    case SPECIAL_BOS:
        begin_line(decoder);
        break;
    case SPECIAL_FLD:
        begin_line(decoder);
        decoder->skips_number = true;
        break;
    case SPECIAL_UP:
    case SPECIAL_MAJ:
        decoder->casing = special;
        break;
    case SPECIAL_REP:
    case SPECIAL_WREP:
        decoder->repeats = special;
        decoder->times = 0;
        break;
    default: /* xxpad and xxeos say nothing to people */
        break;
    }
}

static enum special find_special(const char *word)
{
    for (enum special s = SPECIAL_PAD; s < N_SPECIALS; s++)
        if (strcmp(word, special_name(s)) == 0)
            return s;
    return SPECIAL_UNK;
}

static void put_token(struct decoder *decoder, const char *word)
{
    char *end;
    long number = strtol(word, &end, 10);
    bool is_number = end != word && *end == '\0' && number > 0;
    enum special special = find_special(word);
    if (special != SPECIAL_UNK) {
        put_special(decoder, special);
        return;
    }
    if (decoder->skips_number && is_number) {
        decoder->skips_number = false;
        return;
    }
    decoder->skips_number = false;
    if (decoder->repeats != SPECIAL_UNK && decoder->times == 0) {
        decoder->times = is_number ? number : 1;
        if (is_number)
            return;
    }
    if (decoder->repeats != SPECIAL_UNK)
        put_repeated(decoder, word);
    else
        put_word(decoder, word);
}

void text_decode(const struct vocab *vocab, const int32_t *ids, size_t n, struct buf *out)
{
    struct decoder decoder = {
        .out = out, .glued = true, .casing = SPECIAL_UNK, .repeats = SPECIAL_UNK};
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && (uint32_t)ids[i] < vocab_n_words(vocab) &&
            strcmp(vocab_word(vocab, (uint32_t)ids[i]), "xxfake") != 0)
            put_token(&decoder, vocab_word(vocab, (uint32_t)ids[i]));
}
